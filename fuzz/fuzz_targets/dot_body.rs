//! `cargo fuzz run dot_body`: see `posthouse_fuzz::dot_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::dot_body(data));
