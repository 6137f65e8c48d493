//! `cargo fuzz run feedback`: see `posthouse_fuzz::feedback`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::feedback(data));
