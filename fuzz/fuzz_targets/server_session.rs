//! `cargo fuzz run server_session`: see `posthouse_fuzz::server_session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::server_session(data));
