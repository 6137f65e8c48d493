//! `cargo fuzz run sender_zone`: see `posthouse_fuzz::sender_zone`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::sender_zone(data));
