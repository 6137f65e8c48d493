//! `cargo fuzz run dmarc_report`: see `posthouse_fuzz::dmarc_report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::dmarc_report(data));
