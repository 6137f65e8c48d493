//! `cargo fuzz run srs_address`: see `posthouse_fuzz::srs_address`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::srs_address(data));
