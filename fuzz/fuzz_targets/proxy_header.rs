//! `cargo fuzz run proxy_header`: see `posthouse_fuzz::proxy_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::proxy_header(data));
