//! `cargo fuzz run command`: see `posthouse_fuzz::command`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::command(data));
