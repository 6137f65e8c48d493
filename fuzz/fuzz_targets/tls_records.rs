//! `cargo fuzz run tls_records`: see `posthouse_fuzz::tls_records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::tls_records(data));
