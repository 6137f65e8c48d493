//! `cargo fuzz run token`: see `posthouse_fuzz::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::token(data));
