//! Mailers: splitting, reports, several letters.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use posthouse_client::{ClientError, Fault, Mailer, Message, RecipientResult, blocking};
use posthouse_runtime::block_on;
use posthouse_testkit::peer::{Peer, Talk};

fn greet(talk: &mut Talk) {
    talk.say("220 x");
    assert!(talk.hear().unwrap().starts_with("EHLO "));
    talk.say("250-x\r\n250 PIPELINING");
}

/// Takes one letter: the replies to MAIL, each RCPT and DATA are given; the letter itself is stored.
fn letter(talk: &mut Talk, replies: &[&str]) -> (Vec<String>, String) {
    let envelope = replies.iter().map(|_| talk.hear().unwrap()).collect();
    talk.say(&replies.join("\r\n"));
    let body = String::from_utf8(talk.body()).unwrap();
    talk.say("250 2.0.0 stored");
    (envelope, body)
}

fn message(recipients: &[&str]) -> Message {
    let builder = Message::builder().from("a@x.example").subject("s").text("hello\n");
    recipients.iter().fold(builder, |builder, recipient| builder.to(recipient)).build().unwrap()
}

fn mailer(peer: &Peer) -> Mailer {
    Mailer::connect(&format!("smtp://{}", peer.address())).unwrap()
}

#[test]
fn recipients_beyond_the_servers_limit_are_sent_to_in_further_rounds() {
    let peer = Peer::listen(1, |talk| {
        greet(talk);
        let first = letter(talk, &["250 ok", "250 ok", "452 4.5.3 too many", "550 5.1.1 no", "354 go"]);
        let second = letter(talk, &["250 ok", "250 ok", "354 go"]);
        assert_eq!(second.0[1], "RCPT TO:<c@y.example>");
        assert_eq!(first.1, second.1, "every recipient gets the same letter");
        assert_eq!(talk.hear().as_deref(), Some("QUIT"));
    });
    let message = message(&["b@y.example", "c@y.example", "d@y.example"]);
    let mailer = mailer(&peer);
    let report = block_on(async {
        let report = mailer.send(&message).await;
        mailer.close().await;
        report
    })
    .unwrap()
    .unwrap();
    let lines: Vec<String> = report.recipients.iter().map(ToString::to_string).collect();
    let expected = [
        "b@y.example: accepted: 250 2.0.0 stored",
        "c@y.example: accepted: 250 2.0.0 stored",
        "d@y.example: refused: 550 5.1.1 no",
    ];
    assert_eq!(lines, expected);
    assert!(!report.is_complete() && report.tls.is_none());
    let failed: Vec<_> = report.failed().collect();
    assert_eq!((failed.len(), failed[0].fault(), failed[0].advice()), (1, Some(Fault::Yours), "Check the address."));
    peer.finish();
}

#[test]
fn what_was_taken_stays_told_when_a_further_round_fails() {
    let peer = Peer::listen(1, |talk| {
        greet(talk);
        letter(talk, &["250 ok", "250 ok", "452 4.5.3 too many", "354 go"]);
        talk.hear();
        talk.hang_up();
    });
    let report = block_on(mailer(&peer).send(&message(&["b@y.example", "c@y.example"]))).unwrap().unwrap();
    assert!(report.recipients[0].is_accepted());
    assert!(matches!(report.recipients[1].result, RecipientResult::NotTried(_)) && report.recipients[1].is_temporary());
    peer.finish();
}

#[test]
fn several_letters_use_one_connection_and_a_new_one_when_it_is_lost() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let peer = Peer::listen(2, move |talk| {
        greet(talk);
        letter(talk, &["250 ok", "250 ok", "354 go"]);
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            talk.hear();
            talk.hang_up();
        } else {
            assert_eq!(talk.hear().as_deref(), Some("QUIT"));
        }
    });
    let letters = [message(&["b@y.example"]), message(&["c@y.example"]), message(&["d@y.example"])];
    let mailer = blocking::Mailer::from(mailer(&peer));
    let results = mailer.send_all(&letters).unwrap();
    mailer.close();
    let told: Vec<bool> = results.iter().map(|result| result.as_ref().is_ok_and(|report| report.is_complete())).collect();
    assert_eq!(told, [true, false, true]);
    assert!(matches!(results[1], Err(ClientError::Session { .. })));
    peer.finish();
}

#[test]
fn a_server_whose_name_leads_nowhere_is_named() {
    let zone = posthouse_dns::Zone::new();
    let mailer = Mailer::builder("smtp://nowhere.example").unwrap().resolver(std::sync::Arc::new(zone)).build().unwrap();
    let error = block_on(mailer.send(&message(&["b@y.example"]))).unwrap().unwrap_err();
    assert!(matches!(&error, ClientError::Resolve { .. }) && error.to_string().contains("nowhere.example"), "{error}");
    assert_eq!(error.advice(), "Check the server's name and its DNS records.");
}
