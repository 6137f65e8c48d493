//! `cargo fuzz run sender_letter`: see `posthouse_fuzz::sender_letter`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::sender_letter(data));
