//! `cargo fuzz run tlsa`: see `posthouse_fuzz::tlsa`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::tlsa(data));
