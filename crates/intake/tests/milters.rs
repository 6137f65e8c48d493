//! Filters that speak the milter protocol, played by one that says what a test wants.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is a failed test"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use posthouse_config::Period;
use posthouse_dns::Zone;
use posthouse_intake::{ListenerKind, MilterAddress, MilterSettings, OnFailure, Senders, Settings};
use posthouse_journal::{Event, Query};
use posthouse_mail::header::Header;
use posthouse_mailauth::dkim::{Algorithm, BodyDigest, Signer, SigningKey, key_record};
use posthouse_runtime::net::{Listener, Stream};
use posthouse_runtime::{clock, task};

mod world;

use world::{Client, World, run, soon};

/// What a milter says to a command: packets, each a letter and its data; `Hang`: nothing, and the connection stays; `End`: it ends.
#[derive(Clone)]
enum Say {
    Packets(Vec<(u8, Vec<u8>)>),
    Hang,
    End,
}

/// A milter that says yes to everything but what it was told to answer otherwise.
#[derive(Clone)]
struct Fake {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

fn say(packets: &[(u8, &[u8])]) -> Say {
    Say::Packets(packets.iter().map(|(command, data)| (*command, data.to_vec())).collect())
}

impl Fake {
    fn start(protocol: u32, script: Vec<(u8, Say)>) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let fake = Self { address: listener.local_addr(), heard: Arc::default() };
        let (heard, script) = (Arc::clone(&fake.heard), Arc::new(script));
        task::spawn("milter", async move {
            while let Ok(stream) = listener.accept().await {
                let (heard, script) = (Arc::clone(&heard), Arc::clone(&script));
                task::spawn("milter", async move { play(stream, protocol, &script, &heard).await });
            }
        });
        fake
    }

    fn settings(&self, on_failure: OnFailure) -> MilterSettings {
        MilterSettings {
            name: "fake".to_owned(),
            address: MilterAddress::Inet(self.address),
            listeners: vec![ListenerKind::Mx, ListenerKind::Lmtp, ListenerKind::Submission],
            timeout: Period::seconds(20),
            letter_timeout: Period::seconds(20),
            on_failure,
        }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn play(mut stream: Stream, protocol: u32, script: &[(u8, Say)], heard: &Mutex<Vec<String>>) {
    let mut input = BytesMut::new();
    loop {
        while input.len() < 4 || input.len() < 4 + u32::from_be_bytes(input[..4].try_into().unwrap()) as usize {
            if stream.read(&mut input).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let length = u32::from_be_bytes(input.split_to(4)[..].try_into().unwrap()) as usize;
        let packet = input.split_to(length);
        let (command, data) = (packet[0], &packet[1..]);
        let shown = if command == b'B' { format!("{} octets", data.len()) } else { data.escape_ascii().to_string() };
        heard.lock().unwrap().push(format!("{} {shown}", char::from(command)));
        let told = script.iter().find(|(of, _)| *of == command).map(|(_, say)| say.clone());
        let say = match (command, told) {
            (b'O', None) => {
                let options = [6, 0xff_u32, protocol].map(u32::to_be_bytes);
                Say::Packets(vec![(b'O', options.as_flattened().to_vec())])
            }
            (b'D' | b'A' | b'Q', _) => continue,
            (_, Some(say)) => say,
            (_, None) => say(&[(b'c', b"")]),
        };
        match say {
            Say::Hang => std::future::pending().await,
            Say::End => return,
            Say::Packets(packets) => {
                for (command, data) in packets {
                    if command == b'!' {
                        return;
                    }
                    let length = u32::try_from(data.len() + 1).unwrap().to_be_bytes();
                    stream.write_all(&[&length[..], &[command], &data].concat()).await.unwrap();
                }
            }
        }
    }
}

async fn world(milter: MilterSettings) -> (World, SocketAddr) {
    let world = World::new(Settings { milter: vec![milter], ..Settings::default() }).await;
    let address = world.listen(ListenerKind::Mx);
    (world, address)
}

const LETTER: &[u8] = b"Subject: old\r\nX-Remove: me\r\nFrom: <x@elsewhere.example>\r\n\r\nthe old body\r\n";

#[test]
fn what_a_filter_changes_is_what_is_stored() {
    run(async {
        let changes = say(&[
            (b'i', b"\0\0\0\0X-First\0one\0"),
            (b'h', b"X-Spam\0yes\n very\0"),
            (b'm', b"\0\0\0\x01Subject\0new\0"),
            (b'm', b"\0\0\0\x01X-Remove\0\0"),
            (b'p', b""),
            (b'b', b"the new body\n"),
            (b'b', b".\nand more"),
            (b'+', b"<bob@example.org>\0"),
            (b'-', b"<alice@example.org>\0"),
            (b'e', b"<bounces@list.example>\0"),
            (b'q', b"looks odd\0"),
            (b'c', b""),
        ]);
        let fake = Fake::start(0, vec![(b'E', changes)]);
        let (world, address) = world(fake.settings(OnFailure::Defer)).await;
        let mut client = Client::greeted(address).await;
        assert!(client.letter("x@elsewhere.example", &["alice@example.org"], LETTER).await.starts_with("250 "));
        let (letter, text) = world.only_letter().await;
        let recipients: Vec<_> = letter.envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
        assert_eq!(
            (letter.envelope.reverse_path.to_string().as_str(), recipients),
            ("bounces@list.example", vec!["bob@example.org".to_owned()])
        );
        let body = text.split_once("X-First").unwrap();
        assert!(body.0.starts_with("X-Posthouse-Quarantine: fake looks odd\r\nReceived: from client.example.net"), "{}", body.0);
        let expected =
            ": one\r\nSubject: new\r\nFrom: <x@elsewhere.example>\r\nX-Spam: yes\r\n very\r\n\r\nthe new body\r\n.\r\nand more";
        assert_eq!(body.1, expected);
        world.context.journal.flush().await;
        let events = world.context.journal.query(Query::Address("bob@example.org".to_owned())).await.unwrap();
        let filtered: Vec<_> = events.iter().filter(|entry| matches!(entry.event, Event::Filtered { .. })).collect();
        assert_eq!(filtered[0].event.to_string(), "the filter fake added X-First, added X-Spam, changed Subject and 6 more");
    });
}

#[test]
fn a_filter_hears_everything_in_order_and_the_next_letter_over_the_same_connection() {
    run(async {
        let fake = Fake::start(0, Vec::new());
        let (world, address) = world(fake.settings(OnFailure::Defer)).await;
        let mut client = Client::greeted(address).await;
        let large = [&b"Subject: a\r\n b\r\n\r\n"[..], &b"0123456789abcd\r\n".repeat(20_000)].concat();
        assert!(
            client.letter("x@elsewhere.example", &["alice@example.org", "team@example.org"], &large).await.starts_with("250 ")
        );
        client.expect("MAIL FROM:<>", "250 ").await;
        client.expect("RCPT TO:<bob@example.org>", "250 ").await;
        client.expect("RSET", "250 ").await;
        assert!(client.letter("", &["bob@example.org"], b"no header here\r\n").await.starts_with("250 "));
        let heard: Vec<_> = fake.heard().into_iter().filter(|line| !line.starts_with('D')).collect();
        let body = ["B 65535 octets"; 4].into_iter().chain(["B 57860 octets"]);
        let connected = heard.iter().find(|line| line.starts_with("C ")).unwrap();
        let port = client.local_port().to_be_bytes();
        let greeting = format!(r"C [127.0.0.1]\x004{}127.0.0.1\x00", port.escape_ascii());
        assert_eq!(*connected, greeting);
        let expected = [
            r"O \x00\x00\x00\x06\x00\x00\x00\xff\x00\r\xf6\xff",
            &greeting,
            r"H client.example.net\x00",
            r"M <x@elsewhere.example>\x00",
            r"R <alice@example.org>\x00",
            r"R <team@example.org>\x00",
            "T ",
            r"L Subject\x00a\n b\x00",
            "N ",
        ];
        let after = [
            "E ",
            "A ",
            r"M <>\x00",
            r"R <bob@example.org>\x00",
            "A ",
            r"M <>\x00",
            r"R <bob@example.org>\x00",
            "T ",
            "N ",
            "B 16 octets",
            "E ",
        ];
        assert_eq!(heard, expected.into_iter().chain(body).chain(after).collect::<Vec<_>>());
        let macros = fake.heard().join("\n");
        for known in [
            r"D Cj\x00mx.example.org\x00",
            r"D R{rcpt_addr}\x00team@example.org\x00",
            r"D M{mail_addr}\x00x@elsewhere.example\x00",
        ] {
            assert!(macros.contains(known), "{known} in {macros}");
        }
        let letters = world.letters().await;
        assert!(letters[0].1.ends_with(&large[18..]), "what nobody changed is as it came");
        assert!(letters[1].1.ends_with(b"\r\n\r\nno header here\r\n"));
    });
}

#[test]
fn a_filter_is_told_the_name_that_leads_back_to_the_peer_and_no_other() {
    run(async {
        let honest = "1.0.0.127.in-addr.arpa. PTR client.test.\nclient.test. A 127.0.0.1";
        let forged = "1.0.0.127.in-addr.arpa. PTR client.test.\nclient.test. A 192.0.2.1";
        for (zone, name, word) in [(honest, "client.test", "OK"), (forged, "[127.0.0.1]", "FORGED"), ("", "[127.0.0.1]", "FAIL")]
        {
            let fake = Fake::start(0, Vec::new());
            let (mut world, _) = world(fake.settings(OnFailure::Defer)).await;
            world.context.resolver = Arc::new(Zone::master(zone).unwrap());
            let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
            assert!(client.letter("x@elsewhere.example", &["alice@example.org"], LETTER).await.starts_with("250 "));
            let heard = fake.heard().join("\n");
            assert!(heard.contains(&format!("\nC {name}\\x004")), "{heard}");
            let macros = format!(
                r"{{client_port}}\x00{}\x00{{client_name}}\x00{name}\x00{{client_resolve}}\x00{word}\x00_\x00{name} [127.0.0.1]\x00",
                client.local_port()
            );
            assert!(heard.contains(&macros), "{macros} in {heard}");
        }
    });
}

#[test]
fn a_filter_that_changes_a_letter_does_not_spoil_its_signature_and_sees_none_that_is_refused() {
    run(async {
        let fake =
            Fake::start(0, vec![(b'E', say(&[(b'm', b"\0\0\0\x01Subject\0[list] x\0"), (b'b', b"new\r\n"), (b'c', b"")]))]);
        let senders = Senders { exempt: Vec::new(), ..Senders::default() };
        let settings = Settings { milter: vec![fake.settings(OnFailure::Defer)], senders, ..Settings::default() };
        let mut world = World::new(settings).await;
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let record = key_record(&key).unwrap();
        let zone = format!("k._domainkey.a.test. TXT \"{record}\"\n_dmarc.a.test. TXT \"v=DMARC1; p=reject\"");
        world.context.resolver = Arc::new(Zone::master(&zone).unwrap());
        let header = b"From: alice@a.test\r\nSubject: x\r\n";
        let mut digest = BodyDigest::new();
        digest.update(b"old\r\n");
        let signer = Signer { domain: "a.test".parse().unwrap(), selector: "k".to_owned(), key: key.into() };
        let field = signer.sign(Header::parse(header).unwrap(), &digest.finish(), clock::unix_millis() / 1000).unwrap();
        let letter = [field.as_bytes(), header, b"\r\nold\r\n"].concat();
        let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
        assert!(client.letter("alice@a.test", &["bob@example.org"], &letter).await.starts_with("250 "));
        let (_, text) = world.only_letter().await;
        assert!(text.contains("dkim=pass") && text.contains("dmarc=pass"), "{text}");
        assert!(text.contains("Subject: [list] x\r\n") && text.ends_with("\r\n\r\nnew\r\n"), "{text}");
        // What came changed is refused, and no filter is shown it.
        let changed = [field.as_bytes(), header, b"\r\nnew\r\n"].concat();
        let reply = client.letter("alice@a.test", &["bob@example.org"], &changed).await;
        assert!(reply.starts_with("550 5.7.26 "), "{reply}");
        assert_eq!(fake.heard().iter().filter(|line| line.starts_with("E ")).count(), 1);
    });
}

#[test]
fn a_letter_that_a_filter_refuses_is_explained_all_the_same() {
    run(async {
        let fake = Fake::start(0, vec![(b'E', say(&[(b'y', b"550 5.7.1 junk\0")]))]);
        let senders = Senders { exempt: Vec::new(), ..Senders::default() };
        let world = World::new(Settings { milter: vec![fake.settings(OnFailure::Defer)], senders, ..Settings::default() }).await;
        let mut client = Client::greeted(world.listen(ListenerKind::Mx)).await;
        let reply = client.letter("alice@a.test", &["bob@example.org"], LETTER).await;
        assert!(reply.starts_with("550 5.7.1 junk"), "{reply}");
        world.context.journal.flush().await;
        let entries = world.context.journal.query(Query::Address("x@elsewhere.example".to_owned())).await.unwrap();
        let lines: Vec<String> = entries.iter().map(|entry| entry.event.to_string()).collect();
        assert!(
            lines[0].starts_with("author x@elsewhere.example: spf=") && lines[0].ends_with("; refused by a filter"),
            "{lines:?}"
        );
        assert!(lines[1].ends_with("for bob@example.org: 550 5.7.1 junk"), "{lines:?}");
    });
}

#[test]
fn a_filter_that_wants_little_is_told_little() {
    run(async {
        // Without connect, helo, header and body; and no answer to MAIL.
        let fake = Fake::start(0x1 | 0x2 | 0x20 | 0x10 | 0x40 | 0x200, Vec::new());
        let (_world, address) = world(fake.settings(OnFailure::Defer)).await;
        let mut client = Client::greeted(address).await;
        assert!(client.letter("x@elsewhere.example", &["alice@example.org"], LETTER).await.starts_with("250 "));
        let heard: String = fake.heard().iter().map(|line| &line[..1]).filter(|command| *command != "D").collect();
        assert_eq!(heard, "OMRE");
    });
}

#[test]
fn a_refusal_is_said_in_the_filters_words_where_it_belongs() {
    run(async {
        for (command, said, replies) in [
            (b'C', say(&[(b'r', b"")]), ["550 5.7.1", "503", "503"]),
            (b'H', say(&[(b't', b"")]), ["451 4.7.1", "503", "503"]),
            (b'M', say(&[(b'y', b"550 5.7.1 not from you\0")]), ["550 5.7.1 not from you", "503", "503"]),
            (b'R', say(&[(b'y', b"452 4.2.2 full\0")]), ["250", "452 4.2.2 full", "503"]),
            (b'L', say(&[(b'y', b"554 5.6.0 that field\0")]), ["250", "250", "554 5.6.0 that field"]),
            (b'B', say(&[(b'r', b"")]), ["250", "250", "550 5.7.1 refused by a filter"]),
            (b'E', say(&[(b'y', b"550 5.7.1 junk\r\n250 2.0.0 stored\0")]), ["250", "250", "550 5.7.1 junk stored"]),
        ] {
            let fake = Fake::start(0, vec![(command, said)]);
            let (world, address) = world(fake.settings(OnFailure::Accept)).await;
            let mut client = Client::greeted(address).await;
            client.expect("MAIL FROM:<x@elsewhere.example>", replies[0]).await;
            client.expect("RCPT TO:<alice@example.org>", replies[1]).await;
            if replies[2] != "503" {
                client.expect("DATA", "354 ").await;
                client.send(LETTER).await;
                client.expect(".", replies[2]).await;
            }
            client.expect("RSET", "250 ").await;
            assert_eq!(world.letters().await.len(), 0, "{}", char::from(command));
        }
    });
}

#[test]
fn a_filter_lost_in_the_middle_of_a_new_body_puts_the_letter_off_whatever_was_configured() {
    run(async {
        for on_failure in [OnFailure::Accept, OnFailure::Reject, OnFailure::Defer] {
            for end in [b'!', b'Z'] {
                let fake = Fake::start(0, vec![(b'E', say(&[(b'b', b"half of the new bo"), (end, b"")]))]);
                let (world, address) = world(fake.settings(on_failure)).await;
                let mut client = Client::greeted(address).await;
                let reply = client.letter("x@elsewhere.example", &["alice@example.org"], LETTER).await;
                assert_eq!(reply, "451 4.3.0 a filter does not answer, try again later", "{on_failure:?}");
                assert_eq!(world.letters().await.len(), 0);
            }
        }
    });
}

#[test]
fn a_filter_that_cannot_be_asked_is_what_the_operator_says_it_is() {
    run(async {
        for (on_failure, reply) in
            [(OnFailure::Accept, "250 "), (OnFailure::Defer, "451 4.3.0 "), (OnFailure::Reject, "554 5.7.1 ")]
        {
            for (command, said) in
                [(b'O', Say::End), (b'M', Say::End), (b'R', say(&[(b'Z', b"")])), (b'N', Say::End), (b'O', say(&[(b'c', b"")]))]
            {
                let fake = Fake::start(0, vec![(command, said)]);
                let (world, address) = world(fake.settings(on_failure)).await;
                let mut client = Client::greeted(address).await;
                let mut last = client.ask("MAIL FROM:<x@elsewhere.example>").await;
                if last.starts_with("250 ") {
                    last = client.ask("RCPT TO:<alice@example.org>").await;
                }
                if last.starts_with("250 ") {
                    client.expect("DATA", "354 ").await;
                    client.send(LETTER).await;
                    last = client.ask(".").await;
                }
                assert!(last.starts_with(reply), "{on_failure:?} {}: {last}", char::from(command));
                assert_eq!(world.context.filters.health().failing().len(), 1, "the operator can see it");
                assert_eq!(world.letters().await.len(), usize::from(on_failure == OnFailure::Accept));
            }
        }
    });
}

#[test]
fn a_filter_that_says_nothing_has_its_time_and_no_more() {
    run(async {
        for command in [b'O', b'M', b'E'] {
            let fake = Fake::start(0, vec![(command, Say::Hang)]);
            let settings = MilterSettings { timeout: soon(), letter_timeout: soon(), ..fake.settings(OnFailure::Defer) };
            let (_world, address) = world(settings).await;
            let mut client = Client::greeted(address).await;
            let mut last = client.ask("MAIL FROM:<x@elsewhere.example>").await;
            if last.starts_with("250 ") {
                client.expect("RCPT TO:<alice@example.org>", "250 ").await;
                client.expect("DATA", "354 ").await;
                client.send(LETTER).await;
                last = client.ask(".").await;
            }
            assert!(last.starts_with("451 4.3.0 "), "{last}");
        }
    });
}

#[test]
fn a_letter_that_a_filter_throws_away_is_answered_with_yes_and_told_in_the_timeline() {
    run(async {
        for command in [b'M', b'R', b'B', b'E'] {
            let fake = Fake::start(0, vec![(command, say(&[(b'd', b"")]))]);
            let (world, address) = world(fake.settings(OnFailure::Defer)).await;
            let mut client = Client::greeted(address).await;
            assert!(client.letter("x@elsewhere.example", &["alice@example.org"], LETTER).await.starts_with("250 "));
            assert_eq!(world.letters().await.len(), 0);
            world.context.journal.flush().await;
            let events = world.context.journal.query(Query::Address("alice@example.org".to_owned())).await.unwrap();
            let why = "dropped for alice@example.org: thrown away by the filter fake";
            assert!(events.iter().any(|entry| entry.event.to_string() == why), "{events:?}");
        }
    });
}

#[test]
fn a_filter_that_does_what_it_did_not_ask_for_is_a_fault() {
    run(async {
        let options = [6, 0x1_u32, 0].map(u32::to_be_bytes);
        let options = say(&[(b'O', options.as_flattened())]);
        let fake = Fake::start(0, vec![(b'O', options), (b'E', say(&[(b'b', b"new body"), (b'c', b"")]))]);
        let (world, address) = world(fake.settings(OnFailure::Accept)).await;
        let mut client = Client::greeted(address).await;
        assert!(client.letter("x@elsewhere.example", &["alice@example.org"], LETTER).await.starts_with("451 4.3.0 "));
        assert_eq!(world.letters().await.len(), 0);
    });
}

#[test]
fn a_filter_that_answers_again_fails_no_more() {
    run(async {
        let (lost, found) = (Fake::start(0, vec![(b'O', Say::End)]), Fake::start(0, Vec::new()));
        let (before, address) = world(lost.settings(OnFailure::Accept)).await;
        let mut client = Client::greeted(address).await;
        assert!(client.letter("x@elsewhere.example", &["alice@example.org"], LETTER).await.starts_with("250 "));
        assert_eq!(before.context.filters.health().failing().len(), 1, "what it is not asked it does not answer");
        let settings = Settings { milter: vec![found.settings(OnFailure::Accept)], ..Settings::default() };
        let mut after = World::new(settings).await;
        after.context.filters = before.context.filters.clone();
        let mut client = Client::greeted(after.listen(ListenerKind::Mx)).await;
        assert!(client.letter("x@elsewhere.example", &["alice@example.org"], LETTER).await.starts_with("250 "));
        assert_eq!(after.context.filters.health().failing(), []);
    });
}
