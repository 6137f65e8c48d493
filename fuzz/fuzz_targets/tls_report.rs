//! `cargo fuzz run tls_report`: see `posthouse_fuzz::tls_report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::tls_report(data));
