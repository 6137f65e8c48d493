//! `cargo fuzz run report_letter`: see `posthouse_fuzz::report_letter`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    // Parts are read by a library whose panics are caught and make a letter unreadable; libFuzzer would end at them. Those of ours end it all the same.
    init: drop(std::panic::take_hook()),
    |data: &[u8]| posthouse_fuzz::report_letter(data)
);
