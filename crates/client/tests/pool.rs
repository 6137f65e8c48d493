//! Pools: reuse, health, limits, fail-over, and what is never done twice.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use posthouse_client::{Catcher, ClientError, Mailer, MailerBuilder, Message, RecipientResult};
use posthouse_runtime::block_on;
use posthouse_testkit::peer::{Peer, Talk};

fn greet(talk: &mut Talk, offers: &[&str]) {
    talk.say("220 x");
    assert!(talk.hear().unwrap().starts_with("EHLO "));
    talk.say("250-x");
    for offer in offers {
        talk.say(&format!("250-{offer}"));
    }
    talk.say("250 PIPELINING");
}

fn take_letter(talk: &mut Talk) -> bool {
    let Some(mail) = talk.hear() else { return false };
    if mail == "QUIT" {
        talk.say("221 bye");
        return false;
    }
    talk.hear();
    talk.hear();
    talk.say("250 ok\r\n250 ok\r\n354 go");
    talk.body();
    talk.say("250 2.0.0 stored");
    true
}

fn message(to: &str) -> Message {
    Message::builder().from("a@x.example").to(to).subject("s").text("hello\n").build().unwrap()
}

fn builder(peer: &Peer) -> MailerBuilder {
    Mailer::builder(&format!("smtp://{}", peer.address())).unwrap()
}

fn is_accepted(result: &Result<posthouse_client::SendReport, ClientError>) -> bool {
    result.as_ref().is_ok_and(posthouse_client::SendReport::is_complete)
}

#[test]
fn one_connection_serves_letters_that_come_one_after_the_other() {
    let peer = Peer::listen(1, |talk| {
        greet(talk, &[]);
        while take_letter(talk) {}
    });
    let mailer = builder(&peer).build().unwrap();
    block_on(async {
        for _ in 0..3 {
            assert!(is_accepted(&mailer.send(&message("b@y.example")).await));
        }
        mailer.close().await;
    })
    .unwrap();
    peer.finish();
}

#[test]
fn a_connection_at_rest_that_said_something_unasked_is_not_used_again() {
    let peer = Peer::listen(2, |talk| {
        greet(talk, &[]);
        assert!(take_letter(talk));
        talk.say("421 4.4.2 bored");
        assert!(talk.is_closed());
    });
    let mailer = builder(&peer).build().unwrap();
    block_on(async {
        assert!(is_accepted(&mailer.send(&message("b@y.example")).await));
        // The 421 lies in the socket before the next letter is begun, or comes while it is: either way nobody has it, and it goes over a new connection.
        assert!(is_accepted(&mailer.send(&message("b@y.example")).await));
    })
    .unwrap();
    drop(mailer);
    peer.finish();
}

#[test]
fn a_letter_whose_reply_was_lost_is_unknown_and_never_sent_again() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let peer = Peer::listen(1, move |talk| {
        greet(talk, &[]);
        for reply in ["250 ok", "250 ok", "354 go"] {
            talk.hear();
            talk.say(reply);
        }
        talk.body();
        count.fetch_add(1, Ordering::SeqCst);
        talk.hang_up();
    });
    let mailer = builder(&peer).build().unwrap();
    let report = block_on(mailer.send(&message("b@y.example"))).unwrap().unwrap();
    assert!(matches!(report.recipients[0].result, RecipientResult::Unknown(_)));
    assert_eq!(report.recipients[0].advice(), "Ask the recipient before sending it again: it may have arrived.");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    peer.finish();
}

#[test]
fn the_second_server_is_used_when_the_first_cannot_be() {
    let catcher = Catcher::start().unwrap();
    let peer = Peer::listen(1, |talk| talk.say("421 4.3.2 closing"));
    let mailer = builder(&peer).or(&catcher.url()).unwrap().build().unwrap();
    block_on(async {
        assert!(is_accepted(&mailer.send(&message("b@y.example")).await));
        mailer.close().await;
        // The first is avoided for a while: it is not even asked.
        assert!(is_accepted(&mailer.send(&message("c@y.example")).await));
    })
    .unwrap();
    assert_eq!(catcher.letters().len(), 2);
    peer.finish();
}

#[test]
fn without_a_server_all_letters_fail_and_only_one_connection_is_tried() {
    let refusals = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&refusals);
    let peer = Peer::listen(1, move |talk| {
        count.fetch_add(1, Ordering::SeqCst);
        talk.say("554 5.7.1 not you");
    });
    let mailer = builder(&peer).connections(1).build().unwrap();
    let letters: Vec<Message> = (0..50).map(|n| message(&format!("r{n}@y.example"))).collect();
    let results = block_on(mailer.send_all(&letters)).unwrap();
    assert_eq!(results.len(), 50);
    assert!(results.iter().all(|result| result.as_ref().is_err_and(|error| error.to_string().contains("not you"))));
    assert_eq!(refusals.load(Ordering::SeqCst), 1);
    peer.finish();
}

#[test]
fn many_letters_over_several_connections_arrive_once_each_and_are_told_in_order() {
    let catcher = Catcher::start().unwrap();
    let mailer = catcher.mailer().unwrap().connections(3).letters_per_connection(40).build().unwrap();
    let letters: Vec<Message> = (0..300).map(|n| message(&format!("r{n}@y.example"))).collect();
    let results = block_on(async {
        let results = mailer.send_all(&letters).await;
        mailer.close().await;
        results
    })
    .unwrap();
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.as_ref().unwrap().recipients[0].address.to_string(), format!("r{n}@y.example"));
        assert!(is_accepted(result));
    }
    let mut arrived: Vec<String> = catcher.letters().iter().flat_map(|letter| letter.to()).collect();
    arrived.sort();
    arrived.dedup();
    assert_eq!((catcher.letters().len(), arrived.len()), (300, 300));
}

#[test]
fn one_letter_that_cannot_be_read_does_not_stop_the_others() {
    let catcher = Catcher::start().unwrap();
    let mailer = catcher.mailer().unwrap().connections(1).build().unwrap();
    let broken = Message::builder()
        .from("a@x.example")
        .to("b@y.example")
        .attach_stream("x", "a/b", 10, || Err::<std::io::Empty, _>(std::io::Error::other("gone")))
        .build()
        .unwrap();
    let letters = [message("r0@y.example"), broken, message("r2@y.example")];
    let results = block_on(mailer.send_all(&letters)).unwrap();
    let accepted: Vec<bool> = results.iter().map(is_accepted).collect();
    assert_eq!(accepted, [true, false, true]);
    assert!(matches!(results[1], Err(ClientError::Read(_))));
    assert_eq!(catcher.letters().len(), 2);
}

#[test]
fn callers_beyond_the_bound_are_told_that_the_mailer_is_busy() {
    let peer = Peer::listen(1, |talk| {
        greet(talk, &[]);
        assert!(take_letter(talk));
        while take_letter(talk) {}
    });
    let mailer = builder(&peer).connections(1).waiting_max(1).build().unwrap();
    let (one, two, three) = (message("a@y.example"), message("b@y.example"), message("c@y.example"));
    let (one, two, three) = block_on(async {
        let all = posthouse_runtime::join!(mailer.send(&one), mailer.send(&two), mailer.send(&three));
        mailer.close().await;
        all
    })
    .unwrap();
    assert!(is_accepted(&one) && is_accepted(&two));
    assert!(matches!(three, Err(ClientError::Busy { waiting: 1 })), "{three:?}");
    peer.finish();
}

#[test]
fn letters_are_slowed_down_to_the_rate() {
    let catcher = Catcher::start().unwrap();
    let mailer = catcher.mailer().unwrap().rate(5, Duration::from_millis(100)).build().unwrap();
    let letters: Vec<Message> = (0..15).map(|n| message(&format!("r{n}@y.example"))).collect();
    let (begun, ended) = block_on(async {
        let begun = posthouse_runtime::clock::now();
        assert!(mailer.send_all(&letters).await.iter().all(is_accepted));
        (begun, posthouse_runtime::clock::now())
    })
    .unwrap();
    assert!(ended.duration_since(begun) >= Duration::from_millis(180), "five at once, then one each 20 ms");
}
