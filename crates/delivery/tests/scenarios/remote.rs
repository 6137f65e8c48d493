//! To another host.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use bytes::BytesMut;
use posthouse_config::{Period, Secret};
use posthouse_delivery::{Settings, TlsFloor};
use posthouse_journal::{Event, Outcome};
use posthouse_queue::DeliveryState;
use posthouse_runtime::net::{Listener, Stream};
use posthouse_runtime::tls::{Ca, ServerTls};
use posthouse_runtime::{clock, shutdown, task};
use posthouse_testkit::peer::{Peer, Talk};
use posthouse_testkit::ports;

use crate::world::{ARRIVED, World, farewell, greet, greet_with, hours, on, run, take, take_letter};

const BODY: &str = "Subject: dots\r\n\r\n.one\r\n..two\r\n.\r\nend\r\n";

#[test]
fn a_letter_for_many_at_one_host_travels_once_and_unchanged() {
    let (sender, bodies) = mpsc::channel();
    let peer = Peer::listen(1, move |talk| {
        sender.send(take(talk, &["a@far.test", "b@far.test", "c@far.test"])).unwrap();
    });
    run(async {
        let world = World::new(peer.address().port(), "").await;
        let letter = world.submit("s@ours.test", &["a@far.test", "b@far.test", "c@far.test"], BODY).await;
        assert_eq!(world.deliver_at(ARRIVED).await, 1);
        assert!(world.context.queue.is_empty());
        let attempts = world.attempts(letter).await;
        assert_eq!(attempts.len(), 3);
        assert!(attempts.iter().all(|(_, host, outcome, reply)| {
            host == "mx.far.test" && *outcome == Outcome::Delivered && reply == "250 taken"
        }));
    });
    peer.finish();
    assert_eq!(bodies.recv().unwrap(), "Subject: dots\r\n\r\n..one\r\n...two\r\n..\r\nend\r\n");
}

/// The server says no for now at each place where it can; the letter waits and goes out when it is due again.
#[test]
fn a_temporary_refusal_at_any_stage_is_tried_again() {
    type Script = fn(&mut Talk);
    let stages: [(&str, Script); 7] = [
        ("the greeting", |talk| talk.say("421 busy")),
        ("EHLO", |talk| {
            talk.say("220 mx");
            on(talk, "EHLO", "451 not now");
            // RFC 5321 §3.2: a client may fall back.
            if talk.hear().is_some_and(|line| line.starts_with("HELO")) {
                talk.say("451 not now");
            }
        }),
        ("MAIL", |talk| {
            greet(talk);
            on(talk, "MAIL", "451 4.7.1 greylisted");
            farewell(talk);
        }),
        ("RCPT", |talk| {
            greet(talk);
            on(talk, "MAIL", "250 ok");
            on(talk, "RCPT", "450 4.2.0 greylisted");
            farewell(talk);
        }),
        ("DATA", |talk| {
            greet(talk);
            on(talk, "MAIL", "250 ok");
            on(talk, "RCPT", "250 ok");
            on(talk, "DATA", "451 no room");
            farewell(talk);
        }),
        ("the end of the letter", |talk| {
            greet(talk);
            on(talk, "MAIL", "250 ok");
            on(talk, "RCPT", "250 ok");
            on(talk, "DATA", "354 go on");
            talk.body();
            talk.say("452 4.3.1 no room");
            farewell(talk);
        }),
        ("a hang-up in the envelope", |talk| {
            greet(talk);
            on(talk, "MAIL", "250 ok");
            talk.hear().unwrap();
            talk.hang_up();
        }),
    ];
    for (stage, script) in stages {
        let visits = AtomicUsize::new(0);
        let peer = Peer::listen(2, move |talk| {
            if visits.fetch_add(1, Ordering::SeqCst) == 0 {
                script(talk);
            } else {
                take(talk, &["a@far.test"]);
            }
        });
        run(async {
            let world = World::new(peer.address().port(), "").await;
            let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
            world.deliver_at(ARRIVED).await;
            let state = world.states(letter).remove(0);
            let DeliveryState::Pending { next } = state.state else { panic!("{stage}: {state:?}") };
            assert!(next > ARRIVED && next < hours(1), "{stage}: {next}");
            assert!(state.last.is_some_and(|reply| reply.is_temporary()), "{stage}");
            assert_eq!(world.deliver_at(ARRIVED).await, 0, "{stage}: not before it is due");
            // A host that is busy is left alone for a time of its own, which may end a little later than the letter's.
            assert_eq!(world.deliver_at(next.plus(Duration::from_secs(60))).await, 1, "{stage}");
            assert!(world.context.queue.is_empty(), "{stage}");
            let outcomes: Vec<_> = world.attempts(letter).await.into_iter().map(|attempt| attempt.2).collect();
            assert_eq!(outcomes, [Outcome::Deferred, Outcome::Delivered], "{stage}");
        });
        peer.finish();
    }
}

#[test]
fn a_lost_last_reply_is_tried_again_but_given_to_no_other_host() {
    let peer = Peer::listen(1, |talk| {
        greet(talk);
        on(talk, "MAIL", "250 ok");
        on(talk, "RCPT", "250 ok");
        on(talk, "DATA", "354 go on");
        talk.body();
        talk.hang_up();
    });
    run(async {
        let world = World::new(peer.address().port(), "far.test MX 20 second.far.test\nsecond.far.test A 127.0.0.1").await;
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        assert!(world.states(letter)[0].is_pending());
        let attempts = world.attempts(letter).await;
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        assert!(attempts[0].3.contains("may have arrived"), "{attempts:?}");
    });
    peer.finish();
}

#[test]
fn the_next_host_is_tried_when_the_first_cannot_be_reached() {
    let peer = Peer::listen(1, |talk| {
        take(talk, &["a@far.test"]);
    });
    run(async {
        // Nobody listens at 127.0.0.9.
        let world = World::new(peer.address().port(), "far.test MX 5 dead.far.test\ndead.far.test A 127.0.0.9").await;
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        assert!(world.context.queue.is_empty());
        let hosts: Vec<_> = world.attempts(letter).await.into_iter().map(|(_, host, outcome, _)| (host, outcome)).collect();
        assert_eq!(hosts, [("dead.far.test".into(), Outcome::Deferred), ("mx.far.test".into(), Outcome::Delivered)]);
    });
    peer.finish();
}

#[test]
fn the_next_host_is_tried_when_the_first_takes_nobody_for_now() {
    let first = Peer::listen(1, |talk| {
        greet(talk);
        on(talk, "MAIL", "451 4.3.2 not now");
        farewell(talk);
    });
    let port = first.address().port();
    let second = Peer::listen_on(&format!("127.0.0.2:{port}"), 1, |talk| {
        take(talk, &["a@far.test", "b@far.test"]);
    });
    run(async {
        let world = World::new(port, "far.test MX 20 second.far.test\nsecond.far.test A 127.0.0.2").await;
        world.submit("s@ours.test", &["a@far.test", "b@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        assert!(world.context.queue.is_empty());
    });
    first.finish();
    second.finish();
}

#[test]
fn a_permanent_answer_is_asked_of_one_host_only() {
    let peer = Peer::listen(1, |talk| {
        greet(talk);
        on(talk, "MAIL", "250 ok");
        on(talk, "RCPT", "550 5.1.1 no such user");
        farewell(talk);
    });
    run(async {
        let world = World::new(peer.address().port(), "far.test MX 20 second.far.test\nsecond.far.test A 127.0.0.1").await;
        let letter = world.submit("", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        assert!(world.context.queue.is_empty());
        assert_eq!(world.attempts(letter).await.len(), 1);
    });
    peer.finish();
}

#[test]
fn what_one_destination_took_is_stored_while_another_is_slow() {
    let (taken, is_taken) = mpsc::channel();
    let (resume, may_resume) = mpsc::channel::<()>();
    let fast = Peer::listen(1, move |talk| {
        take(talk, &["a@far.test"]);
        taken.send(()).unwrap();
    });
    let port = fast.address().port();
    let slow = Peer::listen_on(&format!("127.0.0.2:{port}"), 1, move |talk| {
        greet(talk);
        may_resume.recv().unwrap();
        take_letter(talk, &["b@slow.test"]);
        farewell(talk);
    });
    run(async {
        let world = World::new(port, "slow.test MX 10 mx.slow.test\nmx.slow.test A 127.0.0.2").await;
        let letter = world.submit("s@ours.test", &["b@slow.test", "a@far.test"], BODY).await;
        let watch = async {
            task::blocking(move || is_taken.recv().unwrap()).await;
            // The end is stored right behind the reply, and the slow host is silent until it is.
            while world.states(letter)[1].state != DeliveryState::Delivered {
                clock::timeout(Duration::from_millis(5), std::future::pending::<()>()).await.unwrap_err();
            }
            assert!(world.states(letter)[0].is_pending());
            resume.send(()).unwrap();
        };
        let (trigger, shutdown) = shutdown::channel();
        let running = task::spawn("delivery", posthouse_delivery::run(world.context.clone(), world.way.clone(), shutdown));
        watch.await;
        trigger.fire();
        running.join().await;
        assert!(world.context.queue.is_empty());
    });
    fast.finish();
    slow.finish();
}

#[test]
fn a_connection_is_used_for_the_next_letter() {
    let peer = Peer::listen(1, |talk| {
        greet(talk);
        take_letter(talk, &["a@far.test"]);
        take_letter(talk, &["b@far.test"]);
    });
    run(async {
        let settings =
            Settings { port: peer.address().port(), idle_timeout: Period(Duration::from_secs(60)), ..Settings::default() };
        let world = World::with("", settings).await;
        world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.submit("s@ours.test", &["b@far.test"], BODY).await;
        assert_eq!(world.deliver_at(ARRIVED).await, 2);
        assert!(world.context.queue.is_empty());
    });
    peer.finish();
}

#[test]
fn a_connection_that_was_closed_while_it_rested_costs_nothing() {
    let peer = Peer::listen(2, |talk| {
        greet(talk);
        take_letter(talk, &["a@far.test"]);
        talk.hang_up();
    });
    run(async {
        let settings =
            Settings { port: peer.address().port(), idle_timeout: Period(Duration::from_secs(60)), ..Settings::default() };
        let world = World::with("", settings).await;
        for _ in 0..2 {
            let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
            world.deliver_at(ARRIVED).await;
            assert_eq!(world.attempts(letter).await.len(), 1);
        }
        assert!(world.context.queue.is_empty());
    });
    peer.finish();
}

#[test]
fn without_tls_nothing_is_sent_when_tls_is_required() {
    let peer = Peer::listen(1, |talk| {
        greet(talk);
        assert!(!talk.hear().is_some_and(|line| line.starts_with("MAIL")));
    });
    run(async {
        let settings = Settings { port: peer.address().port(), tls: TlsFloor::Require, ..Settings::default() };
        let world = World::with("", settings).await;
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        assert!(world.states(letter)[0].is_pending());
    });
    peer.finish();
}

#[test]
fn tls_that_does_not_work_is_done_without_and_the_journal_shows_it() {
    let visits = AtomicUsize::new(0);
    let peer = Peer::listen(2, move |talk| {
        if visits.fetch_add(1, Ordering::SeqCst) > 0 {
            greet_with(talk, "250-mx.far.test\n250 STARTTLS");
            take_letter(talk, &["a@far.test"]);
            farewell(talk);
            return;
        }
        greet_with(talk, "250-mx.far.test\n250 STARTTLS");
        on(talk, "STARTTLS", "220 go on");
        talk.hang_up();
    });
    run(async {
        let world = World::new(peer.address().port(), "").await;
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        assert!(world.context.queue.is_empty());
        let timeline = world.timeline(letter).await;
        assert!(matches!(&timeline[..], [Event::Attempt { tls: None, outcome: Outcome::Delivered, .. }]), "{timeline:?}");
    });
    peer.finish();
}

#[test]
fn tls_is_used_where_it_is_offered_whatever_the_certificate_says() {
    run(async {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let folder = tempfile::TempDir::new().unwrap();
        let (certificate, key) = Ca::load_or_create(folder.path()).unwrap().issue(&["elsewhere.test".to_owned()]).unwrap();
        let tls = ServerTls::from_pem(&certificate, &key).unwrap();
        let world = World::new(listener.local_addr().port(), "").await;
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        let peer = async {
            let mut stream = listener.accept().await.unwrap();
            stream.write_all(b"220 mx\r\n").await.unwrap();
            answer(&mut stream, "EHLO", "250-mx\r\n250 STARTTLS\r\n").await;
            answer(&mut stream, "STARTTLS", "220 go on\r\n").await;
            let mut stream = stream.into_tls_server(&tls).await.unwrap();
            for (command, reply) in [("EHLO", "250 mx"), ("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go on")] {
                answer(&mut stream, command, &format!("{reply}\r\n")).await;
            }
            answer(&mut stream, "Subject", "250 taken\r\n").await;
            answer(&mut stream, "QUIT", "221 bye\r\n").await;
        };
        posthouse_runtime::join!(world.deliver_at(ARRIVED), peer);
        assert!(world.context.queue.is_empty());
        let timeline = world.timeline(letter).await;
        assert!(matches!(&timeline[..], [Event::Attempt { tls: Some(tls), .. }] if tls.contains("1.3")), "{timeline:?}");
    });
}

/// Hears up to the end of a command, or of a letter, and answers.
pub(crate) async fn answer(stream: &mut Stream, command: &str, reply: &str) {
    let mut heard = BytesMut::new();
    let end: &[u8] = if ["", "Subject"].contains(&command) { b"\r\n.\r\n" } else { b"\r\n" };
    while !heard.ends_with(end) {
        assert!(stream.read(&mut heard).await.unwrap() > 0, "closed after {heard:?}");
    }
    assert!(heard.starts_with(command.as_bytes()), "{heard:?}");
    stream.write_all(reply.as_bytes()).await.unwrap();
}

#[test]
fn everything_goes_through_the_smarthost_with_its_password() {
    let peer = Peer::listen(1, |talk| {
        greet_with(talk, "250-relay\n250 AUTH PLAIN");
        on(talk, "AUTH PLAIN AHVzZXIAYSBzZWNyZXQ=", "235 welcome");
        take_letter(talk, &["a@far.test", "b@other.test"]);
        farewell(talk);
    });
    run(async {
        let settings = Settings {
            smarthost: Some(format!("smtp://user@127.0.0.1:{}", peer.address().port())),
            smarthost_password: Some(Secret::new("a secret")),
            idle_timeout: Period(Duration::ZERO),
            ..Settings::default()
        };
        let world = World::with("", settings).await;
        world.submit("s@ours.test", &["a@far.test", "b@other.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        assert!(world.context.queue.is_empty());
    });
    peer.finish();
}

#[test]
fn the_loop_delivers_what_is_due_and_stops_when_it_is_asked_to() {
    let peer = Peer::listen(1, |talk| {
        take(talk, &["a@far.test"]);
    });
    run(async {
        let world = World::new(peer.address().port(), "").await;
        world.submit("s@ours.test", &["a@far.test"], BODY).await;
        let (trigger, shutdown) = shutdown::channel();
        let running = task::spawn("delivery", posthouse_delivery::run(world.context.clone(), world.way.clone(), shutdown));
        // The peer ends when it has taken the letter; what is under way then still comes to its end.
        task::blocking(move || peer.finish()).await;
        trigger.fire();
        running.join().await;
        assert!(world.context.queue.is_empty());
    });
}

#[test]
fn a_host_that_cannot_be_reached_at_all_defers() {
    run(async {
        let world = World::new(ports::free(), "").await;
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        let last = world.states(letter).remove(0).last.unwrap();
        assert_eq!(last.status_or_default().to_string(), "4.4.1", "{last}");
    });
}
