//! What is refused, each with its reply, its one line in the journal, and a server that serves the next.
//!
//! The forms of relaying, of smuggling and of broken chunks are dialogs (`dialogs.rs`); here is what is large, slow or early.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use posthouse_config::{ByteSize, Period};
use posthouse_intake::{ListenerKind, Settings};
use posthouse_journal::Event;
use posthouse_queue::sim::Disk;

mod world;

use world::{Client, World, run, small, soon};

/// One refusal, and the next client is served.
async fn assert_refused_once(world: &World, address: std::net::SocketAddr, stage: &str, reply: &str) {
    assert_eq!(world.refused().await, [(stage.to_owned(), reply.to_owned())]);
    world.assert_serves(address).await;
}

#[test]
fn the_recipient_after_the_thousandth_is_put_off() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::greeted(address).await;
        client.expect("MAIL FROM:<sender@example.net>", "250 ").await;
        let envelope: String = (1..=1001).map(|n| format!("RCPT TO:<alice+{n}@example.org>\r\n")).collect();
        client.send(envelope.as_bytes()).await;
        for _ in 1..=1000 {
            assert!(client.reply().await.starts_with("250 2.1.5 "));
        }
        let last = client.reply().await;
        assert_eq!(last, "452 4.5.3 too many recipients, send to the others in another letter");
        client.expect("DATA", "354 ").await;
        client.expect("Subject: to many\r\n.", "250 2.6.0 ").await;
        assert_eq!(world.only_letter().await.0.envelope.recipients.len(), 1000);
        assert_refused_once(&world, address, "recipient", &last).await;
    });
}

#[test]
fn a_line_of_ten_megabytes_is_not_read() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::connect(address).await;
        client.reply().await;
        client.send(&vec![b'A'; 10 << 20]).await;
        assert_eq!(client.line().await.as_deref(), Some("500 5.5.2 the line is too long"));
        assert!(client.is_closed().await);
        assert_refused_once(&world, address, "command", "500 5.5.2 the line is too long").await;
    });
}

#[test]
fn a_hundred_thousand_header_lines_are_refused_and_the_session_goes_on() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::greeted(address).await;
        let header: String = (0..100_000).map(|n| format!("X-{n}: y\r\n")).collect();
        let reply = client.letter("sender@example.net", &["alice@example.org"], header.as_bytes()).await;
        assert_eq!(reply, "554 5.6.0 the header has more than 10000 lines");
        assert!(client.letter("", &["alice@example.org"], b"Subject: next\r\n").await.starts_with("250 "));
        assert!(world.only_letter().await.1.contains("Subject: next"));
        assert_refused_once(&world, address, "body", &reply).await;
    });
}

#[test]
fn a_header_field_of_two_megabytes_is_refused() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::greeted(address).await;
        let field = format!("Subject: {}\r\n", "x".repeat(2 << 20));
        let reply = client.letter("sender@example.net", &["alice@example.org"], field.as_bytes()).await;
        assert_eq!(reply, "552 5.3.4 the header is too long");
        assert_refused_once(&world, address, "body", &reply).await;
        let Event::Refused { from, .. } = world.refusals().await.remove(0) else { panic!() };
        assert_eq!(from.as_deref(), Some("sender@example.net"));
    });
}

#[test]
fn a_letter_beyond_the_limit_is_refused_at_its_end() {
    run(async {
        let world = World::new(small()).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::greeted(address).await;
        let letter = b"Subject: x\r\n\r\n".iter().chain(b"0123456789abcdef\r\n".repeat(6000).iter()).copied().collect::<Vec<_>>();
        let reply = client.letter("", &["alice@example.org"], &letter).await;
        assert_eq!(reply, "552 5.3.4 a letter may have 100000 octets");
        assert!(world.context.queue.is_empty());
        assert_refused_once(&world, address, "body", &reply).await;
    });
}

#[test]
fn a_letter_that_goes_round_is_refused() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::greeted(address).await;
        let hops = |count: usize| "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n".repeat(count) + "\r\nx\r\n";
        assert!(client.letter("", &["alice@example.org"], hops(50).as_bytes()).await.starts_with("250 "));
        let reply = client.letter("", &["alice@example.org"], hops(51).as_bytes()).await;
        assert!(reply.starts_with("554 5.4.6 "), "{reply}");
        assert_eq!(world.letters().await.len(), 1);
        assert_refused_once(&world, address, "body", &reply).await;
    });
}

#[test]
fn a_header_that_hides_text_is_refused_and_text_alone_is_a_letter() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::greeted(address).await;
        let reply = client.letter("", &["bob@example.org"], b"Subject: x\r\nno field\r\nFrom: a@b\r\n\r\nx\r\n").await;
        assert!(reply.starts_with("554 5.6.0 line 2 of the header"), "{reply}");
        assert!(client.letter("", &["bob@example.org"], b"just text\r\nand more\r\n").await.starts_with("250 "));
        let (_, text) = world.only_letter().await;
        assert!(text.starts_with("Received: ") && text.ends_with("+0000\r\n\r\njust text\r\nand more\r\n"), "{text}");
        assert_refused_once(&world, address, "body", &reply).await;
    });
}

#[test]
fn a_command_that_drips_in_is_cut_off() {
    run(async {
        let world = World::new(Settings { command_timeout: soon(), ..Settings::default() }).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::connect(address).await;
        client.reply().await;
        let mut drops = 0;
        // The deadline is of the whole command: octets do not move it.
        let last = loop {
            client.send(b"N").await;
            drops += 1;
            assert!(drops < 2_000, "a line of that length is refused for its length");
            if let Ok(line) = posthouse_runtime::clock::timeout(std::time::Duration::from_millis(2), client.line()).await {
                break line;
            }
        };
        assert_eq!(last.as_deref(), Some("421 4.4.2 you are too slow"));
        assert!(client.is_closed().await);
        assert_eq!(world.refused().await, [("command".to_owned(), "421 4.4.2 you are too slow".to_owned())]);
    });
}

#[test]
fn a_letter_that_stops_coming_is_cut_off_and_leaves_nothing() {
    run(async {
        let world = World::new(Settings { body_timeout: soon(), ..Settings::default() }).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::greeted(address).await;
        client.expect("MAIL FROM:<>", "250 ").await;
        client.expect("RCPT TO:<alice@example.org>", "250 ").await;
        client.expect("DATA", "354 ").await;
        client.send(b"Subject: never done\r\n").await;
        assert_eq!(client.reply().await, "421 4.4.2 you are too slow");
        assert!(client.is_closed().await);
        assert!(world.context.queue.is_empty());
        assert_refused_once(&world, address, "body", "421 4.4.2 you are too slow").await;
    });
}

#[test]
fn whoever_talks_before_the_greeting_is_not_served() {
    run(async {
        let world = World::new(Settings { greeting_delay: Period::hours(1), ..Settings::default() }).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::connect(address).await;
        client.send(b"EHLO spammer\r\nMAIL FROM:<a@b>\r\n").await;
        assert_eq!(client.line().await.as_deref(), Some("554 5.5.1 you talk before the greeting"));
        assert!(client.is_closed().await);
        assert_eq!(world.refused().await.len(), 1);
        assert_eq!(world.refused().await[0].0, "connect");
        // Users' programs are not made to wait.
        world.assert_serves(world.listen(ListenerKind::Submission)).await;
    });
}

#[test]
fn garbage_is_answered_and_ends() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Mx);
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        for round in 0..50_usize {
            let mut garbage = Vec::new();
            for _ in 0..2_000 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                garbage.push(state.to_le_bytes()[0]);
            }
            let mut client = Client::connect(address).await;
            client.reply().await;
            client.send(&garbage).await;
            let reply = client.reply().await;
            assert!(reply.starts_with("500 5.5."), "{reply:?} to {garbage:?}");
            assert!(world.refused().await.len() > round, "round {round}");
        }
        world.assert_serves(address).await;
    });
}

#[test]
fn one_address_does_not_take_every_place() {
    run(async {
        let world = World::new(Settings { connections_per_address_max: 1, ..Settings::default() }).await;
        let address = world.listen(ListenerKind::Mx);
        let mut first = Client::greeted(address).await;
        let mut second = Client::connect(address).await;
        assert_eq!(second.line().await.as_deref(), Some("421 4.7.0 too many connections, try again later"));
        assert!(second.is_closed().await);
        assert_eq!(world.refused().await.len(), 1);
        first.expect("QUIT", "221 ").await;
        assert!(first.is_closed().await);
        // The place is given back when the server has let go of the connection.
        drop(first);
        for _ in 0..10_000 {
            if world.context.gate.open() == 0 {
                break;
            }
            posthouse_runtime::clock::timeout(std::time::Duration::from_millis(1), std::future::pending::<()>())
                .await
                .unwrap_err();
        }
        world.assert_serves(address).await;
    });
}

#[test]
fn a_full_queue_is_said_before_the_letter_and_takes_no_promise_back() {
    run(async {
        // The least the queue can be set to is some tens of mebibytes.
        let least =
            posthouse_queue::Settings { spool_size: ByteSize(1), size_max: ByteSize(1), ..posthouse_queue::Settings::default() };
        let world = World::with_queue(Settings::default(), least).await;
        let address = world.listen(ListenerKind::Mx);
        let mut client = Client::greeted(address).await;
        let letter = [b"Subject: large\r\n\r\n".as_slice(), &b"0123456789abcdef\r\n".repeat(500_000)].concat();
        let mut accepted = 0;
        let refusal = loop {
            let reply = client.ask("MAIL FROM:<>").await;
            if !reply.starts_with("250 ") {
                break reply;
            }
            client.expect("RCPT TO:<alice@example.org>", "250 ").await;
            client.expect("DATA", "354 ").await;
            client.send(&letter).await;
            let end = client.ask(".").await;
            match &end[..3] {
                "250" => accepted += 1,
                _ => assert!(end.starts_with("452 4.3.1 "), "{end}"),
            }
            assert!(accepted < 50, "the queue has no end");
        };
        assert_eq!(refusal, "452 4.3.1 insufficient system storage, try again later");
        client.expect("RCPT TO:<alice@example.org>", "503 ").await;
        assert!(accepted > 0);
        assert_eq!(world.context.queue.len(), accepted);
        world.assert_serves(address).await;
    });
}

/// The write fails, or the sync behind it: the letter is not stored, its sender hears so, and so does everybody after.
#[test]
fn a_disk_that_fails_under_a_letter_is_said_with_421_and_nothing_more_is_taken() {
    const FAILED: &str = "421 4.3.0 letters cannot be stored now, try again later";
    for changes in [0, 1] {
        run(async {
            let disk = Disk::new();
            let world = World::on_disk(&disk).await;
            let address = world.listen(ListenerKind::Mx);
            let mut client = Client::greeted(address).await;
            // Behind the first letter there is a segment: without one it would not be the log that fails but the making of it.
            for subject in ["kept", "lost"] {
                client.expect("MAIL FROM:<sender@example.net>", "250 ").await;
                client.expect("RCPT TO:<alice@example.org>", "250 ").await;
                client.expect("DATA", "354 ").await;
                if subject == "kept" {
                    client.expect("Subject: kept\r\n\r\nas the disk works\r\n.", "250 ").await;
                }
            }
            disk.cut_after(changes, || {});
            assert_eq!(client.ask("Subject: lost\r\n\r\nwith the disk\r\n.").await, FAILED, "change {changes}");
            assert!(client.is_closed().await);
            let mut next = Client::connect(address).await;
            assert_eq!(next.line().await.as_deref(), Some(FAILED));
            assert!(next.is_closed().await);
            let refused = world.refused().await;
            assert_eq!(refused, [("body".to_owned(), FAILED.to_owned()), ("connect".to_owned(), FAILED.to_owned())]);
        });
    }
}

#[test]
fn above_its_memory_the_server_puts_off_who_connects() {
    run(async {
        let world = World::new(Settings { memory_max: ByteSize(1), ..Settings::default() }).await;
        let mut client = Client::connect(world.listen(ListenerKind::Mx)).await;
        assert_eq!(client.line().await.as_deref(), Some("421 4.3.2 too much is under way here, try again later"));
        assert!(client.is_closed().await);
        assert_eq!(world.refused().await.len(), 1);
    });
}

#[test]
fn a_letter_that_begins_above_the_memory_is_put_off_before_it_is_sent() {
    run(async {
        let limit = posthouse_runtime::memory::resident().unwrap() + (200 << 20);
        let world = World::new(Settings { memory_max: ByteSize(limit), ..Settings::default() }).await;
        let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
        client.expect("MAIL FROM:<>", "250 ").await;
        let ballast = vec![1_u8; 400 << 20];
        // What was seen last stands for a second.
        let refusal = loop {
            client.expect("RSET", "250 ").await;
            let reply = client.ask("MAIL FROM:<>").await;
            if !reply.starts_with("250 ") {
                break reply;
            }
        };
        assert_eq!(refusal, "452 4.3.1 too much is under way here, try again later");
        drop(ballast);
    });
}

#[test]
fn plaintext_behind_starttls_is_not_heard() {
    run(async {
        let world = World::new(Settings::default()).await;
        let address = world.listen(ListenerKind::Submission);
        let mut client = Client::greeted(address).await;
        client.send(b"STARTTLS\r\nNOOP\r\nVRFY injected\r\n").await;
        assert!(client.reply().await.starts_with("220 "));
        client.secure().await;
        // Were anything of it left, its reply would come first.
        client.expect("EHLO client", "250 AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN").await;
        client.expect("MAIL FROM:<alice@example.org>", "530 5.7.0 ").await;
        assert_eq!(world.refused().await.len(), 1);
    });
}

#[test]
fn a_login_on_loopback_outside_tls_is_refused_unless_allowed() {
    run(async {
        let allowed = World::new(Settings { plain_login_on_loopback: true, ..Settings::default() }).await;
        let mut client = Client::greeted(allowed.listen(ListenerKind::Submission)).await;
        client.expect("AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==", "235 ").await;

        let refused = World::new(Settings::default()).await;
        let address = refused.listen(ListenerKind::Submission);
        let mut client = Client::greeted(address).await;
        client.expect("AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==", "538 5.7.11 ").await;
        assert_refused_once(&refused, address, "auth", "538 5.7.11 encryption first: STARTTLS").await;
    });
}

/// A sender that we wrote into a letter that was forwarded is no way through us: bounces alone come back by it.
#[test]
fn a_forwarders_address_takes_bounces_alone_and_only_those_we_made() {
    run(async {
        let world = World::new(Settings::default()).await;
        let now = posthouse_mail::UnixMillis(posthouse_runtime::clock::unix_millis());
        let keys = world.context.directory.forwarding_keys(now).await.unwrap();
        let (sender, domain) = ("alice@a.test".parse().unwrap(), "example.org".parse().unwrap());
        let made = posthouse_mailauth::srs::forward(&keys[0], &sender, &domain, now).unwrap();
        let forged = posthouse_mailauth::srs::forward(b"another key", &sender, &domain, now).unwrap();
        for (from, to, reply) in [
            ("", made.to_string(), "250 "),
            ("", made.to_string().to_lowercase(), "250 "),
            ("eve@b.test", made.to_string(), "550 5.7.1 this address takes only bounces"),
            ("", forged.to_string(), "550 5.1.1 "),
            ("", made.to_string().replace("example.org", "other.test"), "550 5.7.1 relaying denied"),
            ("", "SRS0=x=y=z@example.org".to_owned(), "550 5.1.1 "),
        ] {
            let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
            client.ask(&format!("MAIL FROM:<{from}>")).await;
            let said = client.ask(&format!("RCPT TO:<{to}>")).await;
            assert!(said.starts_with(reply), "{from} {to}: {said}");
        }
    });
}
