//! What is asked of a letter on its way in is asked of the next server on its way out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and it stands outside: real processes, real sockets, real time"
)]

mod common;

use std::sync::mpsc;

use common::{PATIENCE, Running, Site, Smtp};
use posthouse_testkit::peer::{Peer, Talk};

/// A relay that is trusted and gives everything to the peer.
fn relay_to(peer: &Peer) -> (Site, Running) {
    let port = peer.address().port();
    let more = format!("[intake]\ntrusted-networks = [\"127.0.0.0/8\"]\n[delivery]\nsmarthost = \"smtp://127.0.0.1:{port}\"\n");
    let site = Site::new(&["mx"], &more);
    let server = site.start();
    (site, server)
}

fn submit(server: &Running, envelope: &[&str]) {
    let mut smtp = Smtp::open(server.address("mx")).unwrap();
    for line in envelope.iter().copied().chain(["DATA", "Subject: x\r\n\r\nx\r\n."]) {
        let reply = smtp.command(line).unwrap();
        assert!(reply[0].starts_with(['2', '3']), "{line}: {reply:?}");
    }
}

/// A server that takes one letter; gives the envelope it heard.
fn take(talk: &mut Talk, offers: &[&str]) -> Vec<String> {
    talk.say("220 next.test");
    assert_eq!(talk.hear().as_deref(), Some("EHLO mail.example.test"));
    talk.say("250-next.test");
    offers.iter().for_each(|offer| talk.say(&format!("250-{offer}")));
    talk.say("250 HELP");
    let mut envelope = Vec::new();
    loop {
        let line = talk.hear().unwrap();
        if line == "DATA" {
            break;
        }
        envelope.push(line);
        talk.say("250 ok");
    }
    talk.say("354 go on");
    talk.body();
    talk.say("250 taken");
    envelope
}

const ASKED: [&str; 3] = [
    "MAIL FROM:<alice@example.test> RET=HDRS ENVID=A+2B1 MT-PRIORITY=-3",
    "RCPT TO:<one@far.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;First+2B@far.test",
    "RCPT TO:<two@far.test> NOTIFY=NEVER",
];

#[test]
fn what_a_sender_asked_for_travels_on_to_a_server_that_offers_it() {
    let (heard, envelopes) = mpsc::channel();
    let peer = Peer::listen(1, move |talk| heard.send(take(talk, &["DSN", "MT-PRIORITY"])).unwrap());
    let (_site, server) = relay_to(&peer);
    submit(&server, &ASKED);
    assert_eq!(envelopes.recv_timeout(PATIENCE).unwrap(), ASKED);
    peer.finish();
}

#[test]
fn a_server_that_offers_nothing_is_asked_for_nothing_and_the_sender_hears_from_us() {
    let (heard, envelopes) = mpsc::channel();
    let peer = Peer::listen(1, move |talk| heard.send(take(talk, &[])).unwrap());
    let (site, server) = relay_to(&peer);
    submit(&server, &ASKED);
    let bare = ["MAIL FROM:<alice@example.test>", "RCPT TO:<one@far.test>", "RCPT TO:<two@far.test>"];
    assert_eq!(envelopes.recv_timeout(PATIENCE).unwrap(), bare);
    peer.finish();
    let report = site.wait_for_any("alice");
    assert!(report.contains("Original-Envelope-Id: A+1\r\n"), "{report}");
    assert!(report.contains("Original-Recipient: rfc822; First+@far.test\r\n"), "{report}");
    assert!(report.contains("Action: relayed\r\n") && !report.contains("two@far.test"), "{report}");
}

#[test]
fn a_server_that_takes_one_domain_a_connection_gets_two_connections() {
    let (heard, envelopes) = mpsc::channel();
    let peer = Peer::listen(2, move |talk| heard.send(take(talk, &["LIMITS RCPTDOMAINMAX=1"])).unwrap());
    let (_site, server) = relay_to(&peer);
    submit(
        &server,
        &["MAIL FROM:<alice@example.test>", "RCPT TO:<one@far.test>", "RCPT TO:<two@other.test>", "RCPT TO:<three@far.test>"],
    );
    let first = envelopes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(first, ["MAIL FROM:<alice@example.test>", "RCPT TO:<one@far.test>", "RCPT TO:<three@far.test>"]);
    let second = envelopes.recv_timeout(PATIENCE).unwrap();
    assert_eq!(second, ["MAIL FROM:<alice@example.test>", "RCPT TO:<two@other.test>"]);
    peer.finish();
}

#[test]
fn a_server_that_takes_few_letters_and_recipients_a_connection_is_obeyed() {
    let (heard, envelopes) = mpsc::channel();
    let peer = Peer::listen(2, move |talk| heard.send(take(talk, &["LIMITS MAILMAX=1 RCPTMAX=2"])).unwrap());
    let (_site, server) = relay_to(&peer);
    submit(
        &server,
        &["MAIL FROM:<alice@example.test>", "RCPT TO:<one@far.test>", "RCPT TO:<two@far.test>", "RCPT TO:<three@far.test>"],
    );
    let counts: Vec<_> = (0..2).map(|_| envelopes.recv_timeout(PATIENCE).unwrap().len()).collect();
    assert_eq!(counts, [3, 2], "MAIL with two recipients, then with the third");
    peer.finish();
}

#[test]
fn a_deadline_travels_on_as_the_seconds_that_are_left() {
    let (heard, envelopes) = mpsc::channel();
    let peer = Peer::listen(1, move |talk| heard.send(take(talk, &["DELIVERBY 60"])).unwrap());
    let (_site, server) = relay_to(&peer);
    submit(&server, &["MAIL FROM:<alice@example.test> BY=3600;RT", "RCPT TO:<one@far.test>"]);
    let mail = envelopes.recv_timeout(PATIENCE).unwrap().swap_remove(0);
    let left = mail.strip_prefix("MAIL FROM:<alice@example.test> BY=").and_then(|rest| rest.strip_suffix(";RT"));
    let left: u64 = left.unwrap_or_else(|| panic!("{mail}")).parse().unwrap();
    assert!((3600 - PATIENCE.as_secs()..=3600).contains(&left), "{mail}");
    peer.finish();
}

#[test]
fn a_letter_to_be_returned_when_late_goes_back_before_a_server_that_would_keep_it() {
    let peer = Peer::listen(1, |talk| {
        talk.say("220 next.test");
        assert_eq!(talk.hear().as_deref(), Some("EHLO mail.example.test"));
        talk.say("250 next.test");
        let heard = talk.hear();
        assert!(heard.as_deref().is_none_or(|line| line == "QUIT"), "nothing is given to it, but {heard:?}");
    });
    let (site, server) = relay_to(&peer);
    submit(&server, &["MAIL FROM:<alice@example.test> BY=3600;R", "RCPT TO:<one@far.test>"]);
    let report = site.wait_for_any("alice");
    assert!(report.contains("Action: failed\r\n") && report.contains("Status: 5.3.3\r\n"), "{report}");
    drop(server);
    peer.finish();
}
