//! `cargo fuzz run report_letter`: see `posthouse_fuzz::report_letter`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::report_letter(data));
