//! A letter to 100,000 recipients.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a failure here is a failed test")]

use std::time::{Duration, Instant};

use posthouse_client::{Catcher, Message, block_on};

const RECIPIENTS: usize = 100_000;

#[test]
fn a_hundred_thousand_recipients_are_told_each_in_rounds_of_what_the_server_takes() {
    let catcher = Catcher::start().unwrap();
    let begun = Instant::now();
    let builder = Message::builder().from("a@x.example").subject("s").text("Hi.");
    let message = (0..RECIPIENTS).fold(builder, |builder, n| builder.bcc(&format!("r{n}@y.example"))).build().unwrap();
    let mailer = catcher.mailer().unwrap().build().unwrap();
    let report = block_on(mailer.send(&message)).unwrap().unwrap();
    assert!(report.is_complete() && report.recipients.len() == RECIPIENTS);
    let letters = catcher.letters();
    let taken: usize = letters.iter().map(|letter| letter.envelope().recipients.len()).sum();
    assert_eq!(taken, RECIPIENTS, "nobody twice");
    assert!(letters.len() >= 100 && letters.iter().all(|letter| letter.envelope().recipients.len() <= 1_000));
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}
