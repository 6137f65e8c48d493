//! `cargo fuzz run path`: see `posthouse_fuzz::path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::path(data));
