//! Connections over real sockets to peers that speak plain text.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failure here is a failed test")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthouse_client::mail::{BodyKind, Envelope, Recipient, ReversePath};
use posthouse_client::{ClientError, Connection, Credentials, Fault, RecipientResult, Security, SessionError, Stage, Target};
use posthouse_runtime::block_on;
use posthouse_runtime::stream::Buffered;
use posthouse_runtime::tls::ClientTls;
use posthouse_testkit::peer::{Peer, Talk};

const BODY: &str = "Subject: x\r\n\r\nhello\r\n";

fn envelope(recipients: usize) -> Envelope {
    let each = |n| Recipient::from(format!("r{n}@y.example").parse::<posthouse_client::mail::Address>().unwrap());
    Envelope::new("a@x.example".parse::<ReversePath>().unwrap(), (0..recipients).map(each).collect())
}

fn target(addresses: Vec<SocketAddr>) -> Target {
    Target::new("mx.example", addresses, Security::Plain, "me.example")
}

/// Everything at once: opens, sends one letter, quits.
fn send(target: &Target, envelope: &Envelope, body: &[u8]) -> Result<Vec<RecipientResult>, ClientError> {
    block_on(async {
        let mut connection = Connection::open(target).await?;
        let results = connection.send(envelope, &mut Buffered::new(body.to_vec())).await;
        connection.quit().await;
        results
    })
    .unwrap()
}

fn codes(results: &[RecipientResult]) -> Vec<String> {
    results
        .iter()
        .map(|result| match result {
            RecipientResult::Accepted(reply) => format!("accepted {}", reply.code()),
            RecipientResult::Refused(reply) => format!("refused {}", reply.code()),
            RecipientResult::Unsendable(reply) => format!("unsendable {}", reply.code()),
            RecipientResult::Unknown(_) => "unknown".to_owned(),
            RecipientResult::NotTried(_) => "not tried".to_owned(),
        })
        .collect()
}

fn greet(talk: &mut Talk, offers: &[&str]) {
    talk.say("220 mx.example");
    assert_eq!(talk.hear().as_deref(), Some("EHLO me.example"));
    talk.say("250-mx.example");
    for offer in offers {
        talk.say(&format!("250-{offer}"));
    }
    talk.say("250 ENHANCEDSTATUSCODES");
}

/// Hears so many lines.
fn hear(talk: &mut Talk, lines: usize) {
    for _ in 0..lines {
        assert!(talk.hear().is_some());
    }
}

fn unused_address() -> SocketAddr {
    let listener = posthouse_runtime::net::Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    listener.local_addr()
}

#[test]
fn each_recipient_has_its_own_result() {
    let peer = Peer::listen(1, |talk| {
        greet(talk, &["PIPELINING"]);
        hear(talk, 5);
        for reply in ["250 2.1.0 ok", "250 2.1.5 ok", "550 5.1.1 nobody", "451 4.2.1 later", "354 go"] {
            talk.say(reply);
        }
        assert_eq!(talk.body(), BODY.as_bytes());
        talk.say("250 2.0.0 stored");
        assert_eq!(talk.hear().as_deref(), Some("QUIT"));
        talk.say("221 2.0.0 bye");
        assert!(talk.is_closed());
    });
    let results = send(&target(vec![peer.address()]), &envelope(3), BODY.as_bytes()).unwrap();
    assert_eq!(codes(&results), ["accepted 250", "refused 550", "refused 451"]);
    peer.finish();
}

#[test]
fn an_address_that_is_dead_or_turns_away_is_followed_by_the_next() {
    let busy = Peer::listen(1, |talk| talk.say("421 4.3.2 busy"));
    let mute = Peer::listen(1, |talk| assert!(talk.is_closed()));
    let right = Peer::listen(1, |talk| {
        greet(talk, &[]);
        assert_eq!(talk.hear().as_deref(), Some("QUIT"));
    });
    let mut target = target(vec![unused_address(), busy.address(), mute.address(), right.address()]);
    target.timeouts.greeting = Duration::from_millis(200);
    block_on(async {
        let connection = Connection::open(&target).await.unwrap();
        assert_eq!(connection.peer(), right.address());
        connection.quit().await;
    })
    .unwrap();
    for peer in [busy, mute, right] {
        peer.finish();
    }
}

#[test]
fn when_no_address_answers_each_is_named() {
    let dead = unused_address();
    let error = send(&target(vec![dead]), &envelope(1), b"").unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ClientError::Connect { .. }) && text.contains(&dead.to_string()), "{text}");
    assert!(error.is_temporary() && error.fault() == Fault::Network);
    assert!(matches!(send(&target(vec![]), &envelope(1), b"").unwrap_err(), ClientError::NoAddress { .. }));
}

#[test]
fn a_refusal_in_the_middle_of_a_large_letter_is_heard_though_the_server_reads_no_more() {
    let peer = Peer::listen(1, |talk| {
        greet(talk, &["PIPELINING"]);
        hear(talk, 3);
        talk.say("250 ok\r\n250 ok\r\n354 go");
        hear(talk, 1000);
        talk.say("552 5.3.4 too large");
        // And not another octet is read until the client gives up.
        let _ = talk.rest();
    });
    let large = "0123456789012345678901234567890123456789012345678901234567890\r\n".repeat(300_000);
    let results = send(&target(vec![peer.address()]), &envelope(1), large.as_bytes()).unwrap();
    assert_eq!(codes(&results), ["refused 552"]);
    peer.finish();
}

#[test]
fn ten_thousand_recipients_and_their_long_replies_do_not_block_each_other() {
    const MANY: usize = 10_000;
    let peer = Peer::listen(1, |talk| {
        greet(talk, &["PIPELINING"]);
        let long = "x".repeat(400);
        // A server that answers each command before it reads the next, as most do.
        for _ in 0..=MANY {
            hear(talk, 1);
            talk.say(&format!("250 2.1.5 {long}"));
        }
        hear(talk, 1);
        talk.say("354 go");
        assert_eq!(talk.body(), BODY.as_bytes());
        talk.say("250 stored");
        hear(talk, 1);
    });
    let results = send(&target(vec![peer.address()]), &envelope(MANY), BODY.as_bytes()).unwrap();
    assert_eq!(results.iter().filter(|result| matches!(result, RecipientResult::Accepted(_))).count(), MANY);
    peer.finish();
}

#[test]
fn a_large_letter_travels_in_chunks_and_whole() {
    let large: Vec<u8> = ".0123456789 0123456789 0123456789\r\n".repeat(20_000).into_bytes();
    let expected = large.clone();
    let peer = Peer::listen(1, move |talk| {
        greet(talk, &["PIPELINING", "CHUNKING", "SIZE 1000000"]);
        assert_eq!(talk.hear().unwrap(), format!("MAIL FROM:<a@x.example> SIZE={}", expected.len()));
        hear(talk, 1);
        // The chunks end with their lines here, so the peer can tell octets from commands.
        let (mut chunks, mut whole) = (0, String::new());
        loop {
            let line = talk.hear().unwrap();
            let Some(size) = line.strip_prefix("BDAT ") else {
                whole.push_str(&format!("{line}\r\n"));
                continue;
            };
            chunks += 1;
            if chunks == 1 {
                talk.say("250 ok\r\n250 ok");
            }
            if size.ends_with(" LAST") {
                break;
            }
            talk.say("250 chunk");
        }
        while whole.len() < expected.len() {
            whole.push_str(&format!("{}\r\n", talk.hear().unwrap()));
        }
        talk.say("250 stored");
        assert!(chunks > 2 && whole.as_bytes() == expected, "{chunks} {}", whole.len());
        hear(talk, 1);
    });
    block_on(async {
        let mut connection = Connection::open(&target(vec![peer.address()])).await.unwrap();
        let mut source = Lines { len: large.len(), rest: large };
        let results = connection.send(&envelope(1), &mut source).await.unwrap();
        assert_eq!(codes(&results), ["accepted 250"]);
        connection.quit().await;
    })
    .unwrap();
    peer.finish();
}

/// A source whose chunks are whole lines.
struct Lines {
    rest: Vec<u8>,
    len: usize,
}

impl posthouse_runtime::stream::ByteSource for Lines {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn next(&mut self) -> posthouse_runtime::stream::NextChunk<'_> {
        let chunk: Vec<u8> = self.rest.drain(..self.rest.len().min(35 * 1000)).collect();
        Box::pin(std::future::ready(Ok((!chunk.is_empty()).then(|| chunk.into()))))
    }
}

/// A source that breaks after its first chunk.
struct Broken(bool);

impl posthouse_runtime::stream::ByteSource for Broken {
    fn len(&self) -> u64 {
        1000
    }

    fn next(&mut self) -> posthouse_runtime::stream::NextChunk<'_> {
        let first = std::mem::replace(&mut self.0, false);
        let chunk = if first { Ok(Some("half a letter\r\n".into())) } else { Err(std::io::Error::other("the disk is gone")) };
        Box::pin(std::future::ready(chunk))
    }
}

#[test]
fn a_letter_that_cannot_be_read_to_its_end_is_never_ended() {
    let peer = Peer::listen(1, |talk| {
        greet(talk, &["PIPELINING"]);
        hear(talk, 3);
        talk.say("250 ok\r\n250 ok\r\n354 go");
        let rest = talk.rest();
        assert!(!rest.contains("\r\n.\r\n") && !rest.contains("QUIT"), "{rest}");
    });
    block_on(async {
        let mut connection = Connection::open(&target(vec![peer.address()])).await.unwrap();
        let error = connection.send(&envelope(1), &mut Broken(true)).await.unwrap_err();
        assert!(matches!(&error, ClientError::Read(why) if why.to_string() == "the disk is gone"), "{error}");
        assert!(!connection.is_reusable());
        connection.quit().await;
    })
    .unwrap();
    peer.finish();
}

#[test]
fn a_connection_lost_after_the_end_leaves_the_letter_unknown() {
    let peer = Peer::listen(1, |talk| {
        greet(talk, &["PIPELINING"]);
        hear(talk, 3);
        talk.say("250 ok\r\n250 ok\r\n354 go");
        talk.body();
        talk.hang_up();
    });
    let results = send(&target(vec![peer.address()]), &envelope(1), BODY.as_bytes()).unwrap();
    assert_eq!(codes(&results), ["unknown"]);
    peer.finish();
}

#[test]
fn a_connection_that_the_server_closed_at_rest_takes_no_letter() {
    let (tell, told) = std::sync::mpsc::channel();
    let (open, opened) = std::sync::mpsc::channel();
    let peer = Peer::listen(1, move |talk| {
        greet(talk, &["PIPELINING", "CHUNKING"]);
        opened.recv().unwrap();
        talk.say("421 4.4.2 idle");
        talk.hang_up();
        tell.send(()).unwrap();
    });
    block_on(async {
        let mut connection = Connection::open(&target(vec![peer.address()])).await.unwrap();
        open.send(()).unwrap();
        told.recv().unwrap();
        let error = connection.send(&envelope(1), &mut Buffered::new(BODY)).await.unwrap_err();
        assert!(matches!(&error, ClientError::Session { .. }) && error.is_temporary(), "{error}");
    })
    .unwrap();
    peer.finish();
}

#[test]
fn a_server_that_falls_silent_is_not_waited_for() {
    let peer = Peer::listen(1, |talk| {
        greet(talk, &[]);
        hear(talk, 1);
        talk.rest();
    });
    let mut target = target(vec![peer.address()]);
    target.timeouts.command = Duration::from_millis(100);
    let error = send(&target, &envelope(1), BODY.as_bytes()).unwrap_err();
    assert!(matches!(&error, ClientError::Session { source: SessionError::Timeout(Stage::Envelope), .. }), "{error}");
    peer.finish();
}

#[test]
fn tls_that_does_not_work_is_done_without_where_it_is_only_wanted() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let peer = Peer::listen(2, move |talk| {
        greet(talk, &["STARTTLS"]);
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
            assert_eq!(talk.hear().as_deref(), Some("STARTTLS"));
            talk.say("220 go");
            talk.hang_up();
        } else {
            assert_eq!(talk.hear().as_deref(), Some("QUIT"));
        }
    });
    let mut target = target(vec![peer.address()]);
    target.security = Security::Opportunistic(ClientTls::danger_unverified().unwrap());
    block_on(async {
        let connection = Connection::open(&target).await.unwrap();
        assert!(connection.tls().is_none() && connection.tls_fallback().is_some());
        connection.quit().await;
    })
    .unwrap();
    peer.finish();
}

#[test]
fn tls_that_is_stripped_ends_it_where_it_is_required() {
    let peer = Peer::listen(1, |talk| {
        greet(talk, &["AUTH PLAIN"]);
        assert_eq!(talk.rest(), "");
    });
    let mut target = target(vec![peer.address()]);
    target.security = Security::StartTls(ClientTls::danger_unverified().unwrap());
    target.credentials = Some(Credentials::new("user", "pencil").unwrap());
    let error = send(&target, &envelope(1), BODY.as_bytes()).unwrap_err();
    assert!(matches!(&error, ClientError::Session { source: SessionError::NoStartTls, .. }), "{error}");
    peer.finish();
}

#[test]
fn a_login_on_loopback_may_go_in_clear_and_is_not_written_down() {
    let peer = Peer::listen(1, |talk| {
        greet(talk, &["AUTH PLAIN"]);
        assert_eq!(talk.hear().as_deref(), Some("AUTH PLAIN AHVzZXIAcGVuY2ls"));
        talk.say("235 in");
        assert_eq!(talk.hear().as_deref(), Some("QUIT"));
    });
    let lines = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&lines);
    let mut target = target(vec![peer.address()]);
    target.credentials = Some(Credentials::new("user", "pencil").unwrap());
    target.transcript = Some(Arc::new(move |line| kept.lock().unwrap().push_str(&format!("{line}\n"))));
    block_on(async { Connection::open(&target).await.unwrap().quit().await }).unwrap();
    let text = lines.lock().unwrap().clone();
    assert!(text.contains("C: AUTH PLAIN ***\nS: 235 in\nC: QUIT\n"), "{text}");
    assert!(!text.contains("AHVzZXIAcGVuY2ls") && !format!("{target:?}").contains("pencil"));
    peer.finish();
}

#[test]
fn without_a_name_of_ours_the_address_is_given() {
    let peer = Peer::listen(1, |talk| {
        talk.say("220 x");
        assert_eq!(talk.hear().as_deref(), Some("EHLO [127.0.0.1]"));
        talk.say("250 x");
        assert_eq!(talk.hear().as_deref(), Some("QUIT"));
    });
    let mut target = target(vec![peer.address()]);
    target.helo = String::new();
    block_on(async { Connection::open(&target).await.unwrap().quit().await }).unwrap();
    peer.finish();
    target.helo = "a\r\nMAIL FROM:<>".to_owned();
    assert!(matches!(send(&target, &envelope(1), b"").unwrap_err(), ClientError::Helo(_)));
}

#[test]
fn many_letters_share_a_connection() {
    let peer = Peer::listen(1, |talk| {
        greet(talk, &["PIPELINING", "8BITMIME", "LIMITS MAILMAX=2"]);
        for body in ["hé\r\n", ".\r\n"] {
            hear(talk, 3);
            talk.say("250 ok\r\n250 ok\r\n354 go");
            let heard = String::from_utf8(talk.body()).unwrap();
            assert_eq!(heard.replace("..", "."), body);
            talk.say("250 stored");
        }
        assert_eq!(talk.hear().as_deref(), Some("QUIT"));
    });
    block_on(async {
        let mut connection = Connection::open(&target(vec![peer.address()])).await.unwrap();
        for body in ["hé\r\n", ".\r\n"] {
            assert!(connection.is_reusable());
            let mut envelope = envelope(1);
            envelope.body = BodyKind::EightBitMime;
            let results = connection.send(&envelope, &mut Buffered::new(body)).await.unwrap();
            assert_eq!(codes(&results), ["accepted 250"]);
        }
        assert!(!connection.is_reusable(), "the server said two");
        connection.quit().await;
    })
    .unwrap();
    peer.finish();
}
