//! `cargo fuzz run reply`: see `posthouse_fuzz::reply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::reply(data));
