//! What becomes of a letter that is taken: where it goes, what is added, and what is not touched.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use posthouse_client::{Mailer, Message, RecipientResult, Roots};
use posthouse_intake::{ListenerKind, Settings};
use posthouse_journal::{Event, Query};
use posthouse_mail::{BodyKind, ByMode, DeliverBy, Notify, OriginalRecipient, Ret, TlsWish, UnixMillis};
use posthouse_queue::Queue;
use posthouse_runtime::clock;
use posthouse_runtime::tls::Ca;
use posthouse_testkit::letters::samples;

mod world;

use world::{Client, World, run, small};

/// The stored letter without the field that was put on top.
fn without_received(text: &str) -> &str {
    assert!(text.starts_with("Received: from "), "{text}");
    let end = text.match_indices("\r\n").find(|(at, _)| !text[at + 2..].starts_with(['\t', ' '])).unwrap().0;
    &text[end + 2..]
}

#[test]
fn a_letter_that_was_answered_is_there_when_the_queue_is_opened_again() {
    run(async {
        let world = World::new(Settings::default()).await;
        let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
        let reply = client.letter("sender@example.net", &["alice@example.org"], b"Subject: kept\r\n\r\nx\r\n").await;
        let id = reply.split(' ').nth(2).unwrap().parse().unwrap();
        // What a crash would leave: the files as they are now.
        let copy = world.folder.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        for entry in std::fs::read_dir(world.folder.path().join("spool")).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        let (reopened, _) = Queue::open(&posthouse_queue::Settings::default(), &copy).unwrap();
        assert_eq!(reopened.list().iter().map(|letter| letter.id).collect::<Vec<_>>(), [id]);
    });
}

#[test]
fn a_relayed_letter_gets_one_field_and_nothing_else() {
    run(async {
        let world = World::new(Settings::default()).await;
        let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
        let octets = b"Return-Path: <x@y>\r\nbcc: hidden@example.net\r\nX-Odd :  kept\r\n\tas it is \r\n\r\n.dot\r\n\r\n..\r\n";
        let stuffed =
            b"Return-Path: <x@y>\r\nbcc: hidden@example.net\r\nX-Odd :  kept\r\n\tas it is \r\n\r\n..dot\r\n\r\n...\r\n";
        let reply = client.letter("sender@example.net", &["alice@example.org"], stuffed).await;
        let id = reply.split(' ').nth(2).unwrap().to_owned();
        let (letter, text) = world.only_letter().await;
        assert_eq!(without_received(&text).as_bytes(), octets);
        let expected = format!(
            "Received: from client.example.net ([127.0.0.1])\r\n\tby mx.example.org with ESMTP id {id}\r\n\tfor <alice@example.org>;\r\n\t"
        );
        assert!(text.starts_with(&expected), "{text}");
        assert_eq!(letter.origin.peer, Some("127.0.0.1".parse().unwrap()));
        assert_eq!((letter.origin.helo.as_deref(), letter.origin.listener.as_str()), (Some("client.example.net"), "mx"));
    });
}

#[test]
fn every_sample_letter_is_stored_as_it_came() {
    run(async {
        let world = World::new(Settings::default()).await;
        let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
        for sample in samples() {
            client.expect("MAIL FROM:<sender@example.net>", "250 ").await;
            client.expect("RCPT TO:<alice@example.org>", "250 ").await;
            client.send(format!("BDAT {} LAST\r\n", sample.bytes.len()).as_bytes()).await;
            client.send(&sample.bytes).await;
            let reply = client.reply().await;
            assert!(reply.starts_with("250 2.6.0 "), "{}: {reply}", sample.name);
            let (letter, octets) = world.letters().await.pop().unwrap();
            let end = octets.len() - sample.bytes.len();
            assert_eq!(octets[end..], sample.bytes, "{}", sample.name);
            assert!(octets[..end].starts_with(b"Received: "), "{}", sample.name);
            let is_ascii = sample.bytes.is_ascii();
            assert_eq!(
                letter.envelope.body,
                if is_ascii { BodyKind::SevenBit } else { BodyKind::EightBitMime },
                "{}",
                sample.name
            );
        }
    });
}

#[test]
fn aliases_are_followed_once_and_written_down() {
    run(async {
        let world = World::new(small()).await;
        let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
        client.expect("MAIL FROM:<sender@example.net> RET=HDRS ENVID=E1", "250 ").await;
        client.expect("RCPT TO:<bob@example.org> NOTIFY=NEVER", "250 ").await;
        client.expect("RCPT TO:<team@example.org> NOTIFY=SUCCESS", "250 ").await;
        client.expect("RCPT TO:<Alice+list@Example.ORG> ORCPT=rfc822;first+40example.com", "250 ").await;
        client.expect("RCPT TO:<team@example.org> NOTIFY=NEVER", "250 ").await;
        client.expect("DATA", "354 ").await;
        let reply = client.ask("Message-ID: <1@example.net>\r\n\r\nx\r\n.").await;
        let id: posthouse_mail::LetterId = reply.split(' ').nth(2).unwrap().parse().unwrap();
        let letter = world.letters().await.pop().unwrap().0;
        assert_eq!((letter.envelope.ret, letter.envelope.envid.as_deref()), (Some(Ret::Headers), Some("E1")));
        let shown: Vec<_> = letter
            .envelope
            .recipients
            .iter()
            .map(|recipient| (recipient.address.to_string(), recipient.notify, recipient.orcpt.clone()))
            .collect();
        let orcpt = |address: &str| Some(OriginalRecipient { kind: "rfc822".to_owned(), address: address.to_owned() });
        let (never, success) = (Some(Notify::default()), Some(Notify { success: true, ..Notify::default() }));
        assert_eq!(
            shown,
            [
                ("bob@example.org".to_owned(), never, None),
                ("alice@example.org".to_owned(), success, orcpt("team@example.org")),
                ("friend@elsewhere.example".to_owned(), success, orcpt("team@example.org")),
                ("alice+list@example.org".to_owned(), None, orcpt("first@example.com")),
            ]
        );
        world.context.journal.flush().await;
        let timeline = world.context.journal.query(Query::Letter(id)).await.unwrap();
        let Event::Accepted { to, message_id, .. } = &timeline[0].event else { panic!("{timeline:?}") };
        assert_eq!((to.len(), message_id.as_deref()), (4, Some("<1@example.net>")));
        let Event::Expanded { address, targets } = &timeline[1].event else { panic!("{timeline:?}") };
        assert_eq!((address.as_str(), targets.len()), ("team@example.org", 3));
    });
}

#[test]
fn a_submitted_letter_is_completed_and_tells_of_no_bcc() {
    run(async {
        let world = World::new(Settings::default()).await;
        let mut client = Client::logged_in(world.listen(ListenerKind::Submission)).await;
        let octets = b"Subject: x\r\nbcc: hidden@example.net,\r\n other@example.net\r\nReturn-Path: <a@b>\r\nTo: a@b.example\r\n\r\nbody\r\n";
        let reply = client.letter("alice@example.org", &["friend@elsewhere.example", "bob@example.org"], octets).await;
        let id = reply.split(' ').nth(2).unwrap().to_owned();
        let (letter, text) = world.only_letter().await;
        assert!(text.contains(&format!("\r\n\tby mx.example.org with ESMTPSA id {id};\r\n")), "{text}");
        assert!(text.contains("(using TLSv1.3 TLS_"), "{text}");
        let text = without_received(&text);
        let (added, given) = text.split_once("Subject: ").unwrap();
        assert_eq!(given, "x\r\nTo: a@b.example\r\n\r\nbody\r\n");
        let lines: Vec<&str> = added.lines().collect();
        assert!(lines[0].starts_with("Date: ") && lines[0].ends_with(" +0000"), "{lines:?}");
        assert_eq!(lines[1..], [format!("Message-ID: <{id}@mx.example.org>"), "From: alice@example.org".to_owned()]);
        assert_eq!(letter.origin.account.as_deref(), Some("alice@example.org"));
    });
}

#[test]
fn what_the_sender_asks_of_tls_is_kept() {
    run(async {
        let world = World::new(Settings::default()).await;
        let mut client = Client::logged_in(world.listen(ListenerKind::Submission)).await;
        let no = "TLS-Required: no\r\n";
        let cases = [
            ("", "", TlsWish::AsPromised),
            (" REQUIRETLS", "", TlsWish::Required),
            ("", no, TlsWish::Optional),
            (" REQUIRETLS", no, TlsWish::Required),
            ("", "TLS-Required: No\r\nTLS-Required: No\r\n", TlsWish::AsPromised),
            ("", "TLS-Required: yes\r\n", TlsWish::AsPromised),
        ];
        for (parameter, field, _) in &cases {
            client.expect(&format!("MAIL FROM:<alice@example.org>{parameter}"), "250 ").await;
            client.expect("RCPT TO:<friend@elsewhere.example>", "250 ").await;
            client.expect("DATA", "354 ").await;
            client.expect(&format!("{field}Subject: x\r\n\r\nx\r\n."), "250 ").await;
        }
        let mut letters = world.letters().await;
        letters.sort_by_key(|(letter, _)| letter.arrived);
        let kept: Vec<TlsWish> = letters.iter().map(|(letter, _)| letter.envelope.tls).collect();
        assert_eq!(kept, cases.map(|case| case.2));
        let text = String::from_utf8_lossy(&letters[2].1);
        assert!(text.contains(no), "the field travels on: {text}");
    });
}

#[test]
fn what_is_asked_in_seconds_is_kept_as_a_time() {
    run(async {
        let world = World::new(Settings::default()).await;
        let mut client = Client::logged_in(world.listen(ListenerKind::Submission)).await;
        let before = UnixMillis(clock::unix_millis());
        for wishes in ["", "MT-PRIORITY=9 HOLDFOR=3600 BY=60;RT", "HOLDUNTIL=2001-01-01T00:00:00Z BY=-60;N MT-PRIORITY=-3"] {
            assert!(client.ask(&format!("MAIL FROM:<alice@example.org> {wishes}")).await.starts_with("250 "));
            client.expect("RCPT TO:<friend@elsewhere.example>", "250 ").await;
            client.expect("DATA", "354 ").await;
            client.expect("\r\nx\r\n.", "250 ").await;
        }
        let passed = UnixMillis(clock::unix_millis()).since(before);
        let near = |time: UnixMillis, seconds: i64| {
            let early = UnixMillis(before.0.saturating_add_signed(seconds * 1000));
            assert!(time >= early && time.since(early) <= passed, "{time} is not {seconds} seconds behind {before}");
        };
        let mut letters = world.letters().await;
        letters.sort_by_key(|(letter, _)| letter.arrived);
        let [plain, held, late] = letters.as_slice() else { panic!("{letters:?}") };
        let (envelope, text) = (&plain.0.envelope, String::from_utf8_lossy(&plain.1));
        assert_eq!((envelope.priority.level(), envelope.release_at, envelope.deliver_by), (0, None, None));
        assert!(!text.contains("PRIORITY"), "{text}");

        let (envelope, text) = (&held.0.envelope, String::from_utf8_lossy(&held.1));
        assert!(text.contains("\r\n\tPRIORITY 4;\r\n") && envelope.priority.level() == 4, "{text}");
        near(envelope.release_at.unwrap(), 3600);
        // It counts from the release.
        let DeliverBy { at, mode, trace } = envelope.deliver_by.unwrap();
        assert_eq!((mode, trace), (ByMode::Return, true));
        near(at, 3660);

        let envelope = &late.0.envelope;
        assert_eq!((envelope.priority.level(), envelope.release_at), (-3, None));
        let DeliverBy { at, mode, trace } = envelope.deliver_by.unwrap();
        assert_eq!((mode, trace), (ByMode::Notify, false));
        near(at, -60);
    });
}

#[test]
fn a_submitted_letter_that_is_complete_is_left_alone() {
    run(async {
        let world = World::new(Settings::default()).await;
        let mut client = Client::logged_in(world.listen(ListenerKind::Submission)).await;
        let octets =
            "From: Alice <alice+work@example.org>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nmessage-id: <m@x>\r\n\r\nbody\r\n";
        assert!(client.letter("", &["bob@example.org"], octets.as_bytes()).await.starts_with("250 "));
        assert_eq!(without_received(&world.only_letter().await.1), octets);
    });
}

#[test]
fn nobody_writes_in_another_name() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Submission);
        for (header, reply) in [
            ("From: bob@example.org\r\n", "553 5.7.1 "),
            ("From: Alice <alice@example.org>, bob@example.org\r\n", "553 5.7.1 "),
            ("From: alice@example.org\r\nFrom: bob@example.org\r\n", "554 5.6.0 "),
            ("From: alice@example.org\r\nSender: boss@elsewhere.example\r\n", "553 5.7.1 "),
            ("From: \"alice@example.org\" <ceo@elsewhere.example>\r\n", "553 5.7.1 "),
            ("From: team@example.org\r\n", "553 5.7.1 "),
            ("From: nobody:;\r\n", "554 5.6.0 "),
            ("From: <alice@example.org\r\n", "554 5.6.0 "),
            ("from : bob@example.org\r\n", "553 5.7.1 "),
            ("X: y\r\n\r\nFrom: bob@example.org\r\n", "250 2.6.0 "),
        ] {
            let mut client = Client::logged_in(address).await;
            client.expect("MAIL FROM:<bob@example.org>", "553 5.7.1 ").await;
            let said = client.letter("alice@example.org", &["bob@example.org"], header.as_bytes()).await;
            assert!(said.starts_with(reply), "{header:?} got {said}");
        }
        assert_eq!(world.letters().await.len(), 1);
        // But for names that were granted, in the envelope and in the header.
        let granted = "team@example.org".parse().unwrap();
        world.context.directory.grant(&"alice@example.org".parse().unwrap(), &granted).await.unwrap();
        let mut client = Client::logged_in(address).await;
        let said = client.letter("team@example.org", &["bob@example.org"], b"From: team@example.org\r\n\r\nx\r\n").await;
        assert!(said.starts_with("250 "), "{said}");
    });
}

#[test]
fn named_networks_relay_and_nobody_else() {
    run(async {
        for (networks, reply) in [("", "550 5.7.1 "), ("192.0.2.0/24", "550 5.7.1 "), ("127.0.0.0/8", "250 2.1.5 ")] {
            let trusted_networks = networks.split_terminator(',').map(|network| network.parse().unwrap()).collect();
            let world = World::new(Settings { trusted_networks, ..Settings::default() }).await;
            let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
            client.expect("MAIL FROM:<alice@example.org>", "250 ").await;
            client.expect("RCPT TO:<friend@elsewhere.example>", reply).await;
            client.expect("RCPT TO:<nobody@example.org>", "550 5.1.1 ").await;
            // Neither a login nor another protocol comes by trust.
            let mut client = Client::greeted(world.listen(ListenerKind::Submission)).await;
            client.expect("MAIL FROM:<alice@example.org>", "530 5.7.0 ").await;
        }
    });
}

#[test]
fn the_client_library_submits_by_scram_in_tls_from_the_start() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Submissions);
        let ca = Ca::load_or_create(&world.folder.path().join("ca")).unwrap();
        let builder = Mailer::builder(&format!("smtps://localhost:{}", address.port())).unwrap();
        let builder = builder.credentials("alice@example.org", "secret").roots(Roots::PemFile(ca.certificate_path().to_owned()));
        let mailer = builder.build().unwrap();
        let message =
            Message::builder().from("alice@example.org").to("friend@elsewhere.example").subject("grüße").text("hello\n");
        let report = mailer.send(&message.build().unwrap()).await.unwrap();
        assert!(matches!(report.recipients[0].result, RecipientResult::Accepted(_)), "{report:?}");
        world.context.journal.flush().await;
        let entries = world.context.journal.query(Query::Address("alice@example.org".to_owned())).await.unwrap();
        let logins = entries.iter().filter_map(|entry| {
            let Event::Login { mechanism, ok, .. } = &entry.event else { return None };
            Some((mechanism.as_str(), *ok))
        });
        assert_eq!(logins.collect::<Vec<_>>(), [("SCRAM-SHA-256-PLUS", true)]);
        assert_eq!(world.letters().await.len(), 1);
    });
}

#[test]
fn a_server_that_stops_lets_a_letter_end() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Mx);
        let (mut idle, mut busy) = (Client::greeted(address).await, Client::greeted(address).await);
        busy.expect("MAIL FROM:<>", "250 ").await;
        busy.expect("RCPT TO:<alice@example.org>", "250 ").await;
        busy.expect("DATA", "354 ").await;
        world.stop();
        assert!(idle.reply().await.starts_with("421 4.3.2 "));
        assert!(idle.is_closed().await);
        busy.expect("Subject: last\r\n.", "250 2.6.0 ").await;
        assert!(busy.reply().await.starts_with("421 4.3.2 "));
        assert!(busy.is_closed().await);
        assert_eq!(world.letters().await.len(), 1);
    });
}

#[test]
fn a_connection_that_breaks_in_a_letter_leaves_nothing() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Mx);
        for sent in ["DATA\r\nSubject: x\r\n\r\nhalf", "BDAT 1000\r\nhalf", "BDAT 12\r\nSubject: x\r\n"] {
            let mut client = Client::greeted(address).await;
            client.expect("MAIL FROM:<>", "250 ").await;
            client.expect("RCPT TO:<alice@example.org>", "250 ").await;
            client.send(sent.as_bytes()).await;
        }
        world.assert_serves(address).await;
        assert!(world.context.queue.is_empty());
    });
}
