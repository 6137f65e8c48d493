//! `cargo fuzz run mta_sts_policy`: see `posthouse_fuzz::mta_sts_policy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| posthouse_fuzz::mta_sts_policy(data));
