//! A server that announces CHUNKING and does not know BDAT, as some firewalls make of one that does: every letter arrives, once, by DATA.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use std::sync::Arc;

use posthouse_client::{Mailer, Message, RecipientResult, SendReport, dns, mx::NoPolicies};
use posthouse_runtime::block_on;
use posthouse_testkit::peer::{Peer, Talk};

fn greet(talk: &mut Talk) {
    talk.say("220 x");
    assert!(talk.hear().unwrap().starts_with("EHLO "));
    talk.say("250-x\r\n250-CHUNKING\r\n250 PIPELINING");
}

/// Takes one envelope, does not understand BDAT, reads the chunk as commands, and has no more said to it.
fn fail_at_bdat(talk: &mut Talk) {
    greet(talk);
    assert!(talk.hear().unwrap().starts_with("MAIL "));
    assert!(talk.hear().unwrap().starts_with("RCPT "));
    assert!(talk.hear().unwrap().starts_with("BDAT "));
    talk.say("250 ok\r\n250 ok\r\n500 5.5.1 unrecognized command");
    while let Some(line) = talk.hear() {
        assert!(!line.starts_with("MAIL ") && !line.starts_with("RSET") && !line.starts_with("DATA"), "{line}");
        // It may be gone by now.
        talk.try_send(b"500 5.5.1 unrecognized command\r\n");
    }
}

/// Takes letters by DATA until QUIT; the subjects.
fn take_by_data(talk: &mut Talk, subjects: &mut Vec<String>) {
    greet(talk);
    loop {
        let line = talk.hear().unwrap();
        if line == "QUIT" {
            return talk.say("221 bye");
        }
        assert!(line.starts_with("MAIL "), "{line}");
        assert!(talk.hear().unwrap().starts_with("RCPT "));
        assert_eq!(talk.hear().as_deref(), Some("DATA"));
        talk.say("250 ok\r\n250 ok\r\n354 go");
        let body = String::from_utf8(talk.body()).unwrap();
        let subject = body.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
        subjects.push(subject.to_owned());
        talk.say("250 2.0.0 stored");
    }
}

/// One that fails at the first connection and takes letters at the others; the subjects it took.
fn server(connections: usize) -> (Peer, std::sync::mpsc::Receiver<Vec<String>>) {
    let (tell, told) = std::sync::mpsc::channel();
    let count = std::sync::atomic::AtomicUsize::new(0);
    let peer = Peer::listen(connections, move |talk| {
        if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            return fail_at_bdat(talk);
        }
        let mut subjects = Vec::new();
        take_by_data(talk, &mut subjects);
        tell.send(subjects).unwrap();
    });
    (peer, told)
}

fn letter(subject: &str) -> Message {
    Message::builder().from("a@x.example").to("b@y.example").subject(subject).text("hello\n").build().unwrap()
}

fn is_accepted(report: &SendReport) -> bool {
    matches!(report.recipients[0].result, RecipientResult::Accepted(_))
}

#[test]
fn letters_for_a_server_that_does_not_know_bdat_go_by_data_each_once() {
    let (peer, told) = server(3);
    let mailer = Mailer::builder(&format!("smtp://{}", peer.address())).unwrap().connections(1).build().unwrap();
    let letters: Vec<Message> = ["one", "two", "three"].into_iter().map(letter).collect();
    block_on(async {
        for sent in mailer.send_all(&letters).await {
            assert!(is_accepted(&sent.unwrap()));
        }
        mailer.close().await;
        // What was found out is remembered for the connections that follow.
        assert!(is_accepted(&mailer.send(&letter("four")).await.unwrap()));
        mailer.close().await;
    })
    .unwrap();
    assert_eq!(told.recv().unwrap(), ["one", "two", "three"]);
    assert_eq!(told.recv().unwrap(), ["four"]);
    peer.finish();
}

#[test]
fn a_mail_host_that_does_not_know_bdat_is_given_the_letter_by_data() {
    let (peer, told) = server(2);
    let zone = dns::Zone::of("y.example MX 10 mx.y.example\nmx.y.example A 127.0.0.1").unwrap();
    let mailer = Mailer::direct_with("app.example.org", Arc::new(NoPolicies))
        .resolver(Arc::new(zone))
        .port(peer.address().port())
        .build()
        .unwrap();
    block_on(async {
        assert!(is_accepted(&mailer.send(&letter("one")).await.unwrap()));
        mailer.close().await;
    })
    .unwrap();
    assert_eq!(told.recv().unwrap(), ["one"]);
    peer.finish();
}
