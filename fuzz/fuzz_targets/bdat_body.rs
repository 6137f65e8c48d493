//! `cargo fuzz run bdat_body`: see `posthouse_fuzz::bdat_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::bdat_body(data));
