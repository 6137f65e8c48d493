//! What a peer cannot do: take time, memory or attention without end.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failure here is a failed test; an instant can be had from the clock alone"
)]

use std::time::Duration;

use bytes::BytesMut;
use posthouse_mail::Status;
use posthouse_sasl::{ChannelBinding, ClientExchange, ClientStep, Mechanism, Nonce};
use posthouse_smtp::server::{
    Answer, AuthAnswer, CloseReason, Output, Profile, Protocol, Question, Reason, Session, Stage, Verdict,
};

mod world;

use world::{World, profile, reject};

const SECOND: Duration = Duration::from_secs(1);

fn greeted(profile: Profile) -> World {
    let mut world = World::new(profile, false);
    world.run();
    assert!(world.ask("EHLO client").starts_with("250 "));
    world
}

/// As far as the letter's first octet.
fn in_letter(profile: Profile) -> World {
    let mut world = greeted(profile);
    world.ask("MAIL FROM:<sender@example.net>");
    world.ask("RCPT TO:<alice@example.org>");
    assert!(world.ask("DATA").starts_with("354 "));
    world
}

#[test]
fn a_command_that_drips_in_gets_no_more_time() {
    let mut world = greeted(profile());
    world.heard.clear();
    for octet in b"NOOP abcdefghijklmnopqrstuvwxyz".repeat(10) {
        world.now += SECOND * 10;
        world.send(&[octet]);
        if world.closed.is_some() {
            break;
        }
    }
    assert_eq!((world.text().as_str(), world.closed), ("421 4.4.2 you are too slow\r\n", Some(CloseReason::Timeout)));
    assert_eq!(world.refusals.len(), 1);
}

#[test]
fn a_letter_that_drips_in_ends_and_a_slow_one_does_not() {
    let mut world = in_letter(Profile { letter_bytes_max: 1 << 30, ..profile() });
    let slow = [b'x'; 16 << 10];
    for _ in 0..30 {
        world.now += SECOND * 170;
        world.send(&slow);
    }
    assert_eq!(world.closed, None, "90 octets a second are enough");
    for _ in 0..19 {
        world.now += SECOND * 10;
        world.send(b"x");
    }
    assert_eq!(world.closed, Some(CloseReason::Timeout));
    assert_eq!(world.refusals.last().unwrap().stage, Stage::Letter);
    assert_eq!(world.letters.len(), 0);
}

#[test]
fn whoever_only_keeps_us_busy_is_sent_away_and_a_letter_buys_more() {
    let mut world = in_letter(Profile { idle_commands_max: 4, ..profile() });
    assert!(world.ask("x\r\n.").starts_with("250 "));
    for command in ["NOOP", "RSET", "VRFY alice", "HELP"] {
        assert!(world.ask(command).starts_with('2'), "{command}");
    }
    world.ask("MAIL FROM:<sender@example.net>");
    world.ask("RCPT TO:<alice@example.org>");
    world.ask("DATA");
    assert!(world.ask("x\r\n.").starts_with("250 "), "a letter is no idle command, and counts them anew");
    for command in ["EHLO client", "NOOP", "NOOP", "NOOP"] {
        assert!(world.ask(command).starts_with("250"), "{command}");
    }
    assert!(world.ask("NOOP").starts_with("421 4.7.0 too many commands without a letter"));
    assert_eq!(world.closed, Some(CloseReason::TooMany));
}

#[test]
fn a_letter_has_an_end_however_steadily_it_comes() {
    let mut world = in_letter(Profile { letter_bytes_max: 1 << 30, ..profile() });
    let steady = [b'x'; 16 << 10];
    for _ in 0..80 {
        world.now += SECOND * 100;
        world.send(&steady);
    }
    assert_eq!(world.closed, Some(CloseReason::Timeout), "after two hours");
}

#[test]
fn silence_ends_everywhere() {
    for (sent, stage) in [
        ("", Stage::Command),
        ("EHLO client\r\n", Stage::Command),
        ("EHLO client\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n", Stage::Command),
        ("EHLO client\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nx", Stage::Letter),
        ("EHLO client\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nBDAT 9\r\nx", Stage::Letter),
        ("EHLO client\r\nBDAT 9\r\nx", Stage::Letter),
        ("EHLO client\r\nSTARTTLS\r\n", Stage::StartTls),
    ] {
        let mut world = World::new(profile(), false);
        world.run();
        world.send(sent.as_bytes());
        world.pass(SECOND * 301);
        assert_eq!(world.closed, Some(CloseReason::Timeout), "{sent:?}");
        assert_eq!(world.refusals.last().unwrap().stage, stage, "{sent:?}");
        assert!(world.text().ends_with("421 4.4.2 you are too slow\r\n"));
    }
}

#[test]
fn a_line_without_end_costs_two_kibibytes() {
    let mut world = greeted(profile());
    world.heard.clear();
    let mut taken = 0;
    while world.session.wants_read() && taken < 10 << 20 {
        world.send(&[b'A'; 512]);
        taken += 512;
    }
    assert!(taken <= 2560, "{taken}");
    assert_eq!((world.text().as_str(), world.closed), ("500 5.5.2 the line is too long\r\n", Some(CloseReason::Malformed)));
}

#[test]
fn a_login_line_may_be_long_but_not_endless() {
    let submission = || Profile { mechanisms: Mechanism::WITH_PASSWORD.to_vec(), ..profile() };
    let mut world = World::new(submission(), true);
    world.run();
    world.ask("EHLO client");
    assert_eq!(world.ask(&format!("AUTH PLAIN {}", "A".repeat(12_000))), "501 5.5.2 this does not follow the mechanism");
    assert_eq!(world.ask("AUTH PLAIN"), "334");
    assert_eq!(world.ask(&"A".repeat(12_284)), "501 5.5.2 this does not follow the mechanism");
    assert_eq!(world.ask(&format!("AUTH PLAIN {}", "A".repeat(12_300))), "500 5.5.2 the line is too long");
    assert_eq!(world.closed, Some(CloseReason::Malformed));
}

#[test]
fn logins_that_are_given_up_leave_nothing_and_are_not_endless() {
    let mut world =
        World::new(Profile { mechanisms: Mechanism::WITH_PASSWORD.to_vec(), auth_failures_max: 4, ..profile() }, true);
    world.run();
    world.ask("EHLO client");
    for begun in ["AUTH PLAIN", "AUTH LOGIN", "AUTH SCRAM-SHA-256"] {
        assert!(world.ask(begun).starts_with("334"), "{begun}");
        assert!(world.ask("*").starts_with("501 5.7.0 "), "{begun}");
        assert!(world.ask("*").starts_with("500 "), "the exchange is over");
        assert!(world.ask("MAIL FROM:<alice@example.org>").starts_with("530 "), "and nobody is logged in");
    }
    world.ask("AUTH LOGIN");
    world.ask("*");
    assert!(world.closed.is_some(), "{}", world.text());
}

#[test]
fn whoever_talks_before_the_greeting_is_not_served() {
    let mut world = World::new(Profile { greeting_delay: SECOND * 5, ..profile() }, false);
    world.run();
    assert_eq!((world.text().as_str(), world.until), ("", Some(world.now + SECOND * 5)));
    world.pass(SECOND);
    world.send(b"EHLO client\r\n");
    assert_eq!(
        (world.text().as_str(), world.closed),
        ("554 5.5.1 you talk before the greeting\r\n", Some(CloseReason::EarlyTalker))
    );
    assert_eq!(world.refusals.len(), 1);

    let mut patient = World::new(Profile { greeting_delay: SECOND * 5, ..profile() }, false);
    patient.run();
    patient.pass(SECOND * 5);
    assert_eq!(patient.text(), "220 mx.example.org ESMTP Posthouse\r\n");
}

#[test]
fn a_gibibyte_flows_through_without_being_kept_or_copied() {
    let mut world = in_letter(Profile { letter_bytes_max: 2 << 30, ..profile() });
    world.keep_body = false;
    let mut piece = b"a line of a letter that is rather large, with nothing to be done to it at all......\r\n".repeat(720);
    piece.truncate(piece.len() / 2 * 2);
    let mut sent = 0;
    while sent < 1 << 30 {
        let bytes = BytesMut::from(piece.as_slice());
        let range = bytes.as_ptr_range();
        world.session.receive(world.now, bytes);
        let Output::Body(body) = world.session.poll(world.now) else { panic!("no piece") };
        assert!(range.contains(&body.as_ptr()), "a copy");
        assert_eq!(body.len(), piece.len());
        sent += piece.len();
        assert!(world.session.wants_read());
    }
    world.send(b".\r\n");
    assert!(world.text().contains("250 2.6.0 01HZ stored"), "{}", world.text());
}

#[test]
fn a_million_tiny_chunks_leave_no_trace_of_themselves() {
    let mut world = greeted(profile());
    world.ask("MAIL FROM:<>");
    world.ask("RCPT TO:<alice@example.org>");
    world.heard.clear();
    let batch = b"BDAT 0\r\n".repeat(1000);
    for _ in 0..1000 {
        world.send(&batch);
        assert_eq!(world.heard.len(), "250 2.6.0 0 octets taken\r\n".len() * 1000);
        world.heard.clear();
    }
    assert_eq!(world.ask("BDAT 0 LAST"), "250 2.6.0 01HZ stored");
}

#[test]
fn replies_to_one_write_go_out_in_one_write_but_not_without_end() {
    let mut world = greeted(Profile { idle_commands_max: u32::MAX, ..profile() });
    world.writes = 0;
    world.send(b"MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n");
    assert_eq!(world.writes, 1);
    world.send(b".\r\n");
    world.writes = 0;
    world.heard.clear();
    // 64 KiB of questions would be 140 KiB of answers.
    world.send(&b"NOOP\r\n".repeat(10_000));
    assert!((2..10).contains(&world.writes), "{}", world.writes);
    assert_eq!(world.heard, b"250 2.0.0 ok\r\n".repeat(10_000));
}

#[test]
fn nothing_is_parsed_while_a_question_is_open() {
    let mut session = Session::new(profile(), None, std::time::Instant::now());
    let now = std::time::Instant::now();
    let Output::Ask(Question::Connect) = session.poll(now) else { panic!() };
    assert!(!session.wants_read());
    assert!(matches!(session.poll(now), Output::Wait(_)));
    session.answer(now, Answer::Verdict(Verdict::Accept));
    assert!(matches!(session.poll(now), Output::Send(_)));
    session.receive(now, BytesMut::from(&b"EHLO one\r\nEHLO two\r\nGARBAGE\r\n"[..]));
    let Output::Ask(Question::Hello { name, .. }) = session.poll(now) else { panic!() };
    assert_eq!(name, "one");
    assert!(matches!(session.poll(now), Output::Wait(_)));
    // An answer that does not fit is a fault of ours, and temporary.
    session.answer(now, Answer::Auth(AuthAnswer::Password(true)));
    let Output::Note(_) = session.poll(now) else { panic!() };
    let Output::Ask(Question::Hello { name, .. }) = session.poll(now) else { panic!() };
    assert_eq!(name, "two");
    // Nor does an answer come late.
    let late = now + Duration::from_secs(601);
    let Output::Send(first) = session.poll(late) else { panic!() };
    assert!(first.starts_with(b"451 4.3.0 "), "{first:?}");
    assert!(matches!(session.poll(late), Output::Note(_)));
    let Output::Send(last) = session.poll(late) else { panic!() };
    assert_eq!(&last[..], b"421 4.4.2 you are too slow\r\n");
    assert!(matches!(session.poll(late), Output::Close(CloseReason::Timeout)));
    session.answer(late, Answer::Verdict(Verdict::Accept));
    assert!(matches!(session.poll(late), Output::Close(CloseReason::Timeout)));
}

#[test]
fn what_comes_in_the_clear_behind_starttls_is_thrown_away() {
    let mut world = greeted(profile());
    world.heard.clear();
    world.send(b"STARTTLS\r\nMAIL FROM:<attacker@example.net>\r\nRCPT TO:<alice@example.org>\r\n");
    world.send(b"DATA\r\n");
    assert_eq!(world.text(), "220 2.0.0 begin the TLS handshake\r\n");
    world.secure();
    assert_eq!(world.text(), "220 2.0.0 begin the TLS handshake\r\n");
    assert!(world.ask("MAIL FROM:<>").starts_with("503 5.5.1"));
    let hello = {
        world.ask("EHLO client");
        world.text()
    };
    assert!(!hello.contains("STARTTLS"), "{hello}");
}

#[test]
fn a_connection_that_breaks_leaves_no_letter() {
    for sent in ["Subject: x\r\n\r\nhalf", "Subject: x\r\n.", "Subject: x\r\n.\r", ""] {
        let mut world = in_letter(profile());
        world.send(sent.as_bytes());
        world.session.receive_eof(world.now);
        world.run();
        assert_eq!((world.closed, world.letters.len()), (Some(CloseReason::Eof), 0), "{sent:?}");
    }
    let mut world = greeted(profile());
    world.send(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nBDAT 10 LAST\r\n123456789");
    world.session.receive_eof(world.now);
    world.run();
    assert_eq!((world.closed, world.letters.len()), (Some(CloseReason::Eof), 0));
}

#[test]
fn a_command_without_its_end_is_not_obeyed_at_the_end() {
    let mut world = in_letter(profile());
    world.send(b".\r\nQUIT");
    world.session.receive_eof(world.now);
    world.run();
    assert_eq!(world.closed, Some(CloseReason::Eof));
    assert!(!world.text().contains("221"));
}

#[test]
fn no_room_is_said_before_the_letter() {
    let full = Verdict::Defer(Reason::new(452, Status::temporary(3, 1), "full"));
    let broken = Verdict::Drop(Reason::new(421, Status::temporary(3, 0), "broken"));
    for (command, room, reply, closed) in [
        ("DATA", &full, "452 4.3.1 full", None),
        ("DATA", &broken, "421 4.3.0 broken", Some(CloseReason::Dropped)),
        ("BDAT 4 LAST\r\nQUIT", &full, "452 4.3.1 full", None),
        ("BDAT 6\r\nQUIT", &broken, "421 4.3.0 broken", Some(CloseReason::Dropped)),
    ] {
        let mut world = greeted(profile());
        world.send(b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n");
        world.room = room.clone();
        let answer = world.ask(command);
        let answer = if command.contains("LAST") {
            // The line end of the last line was one octet pair too many for the chunk: an empty command.
            assert_eq!(answer, "500 5.5.1 unknown command");
            world.text().lines().next().unwrap().to_owned()
        } else {
            answer
        };
        assert_eq!((answer.as_str(), world.closed), (reply, closed), "{command}");
        if closed.is_none() {
            assert!(world.ask("RCPT TO:<bob@example.org>").starts_with("503"), "the envelope is gone");
        }
    }
}

#[test]
fn a_letter_refused_on_its_way_is_read_to_its_end_and_not_put_out() {
    let mut world = in_letter(profile());
    world.send(b"Subject: x\r\n\r\nfirst");
    let before = world.body_octets;
    world.session.refuse_letter(world.now, &reject(554, 6, 0));
    world.heard.clear();
    world.send(b"second\r\nQUIT\r\n");
    assert_eq!((world.body_octets, world.text().as_str()), (before, ""));
    world.send(b".\r\nNOOP\r\n");
    assert_eq!(world.text(), "554 5.6.0 no\r\n250 2.0.0 ok\r\n");
    assert_eq!((world.letters.len(), world.refusals.len()), (0, 1));
}

#[test]
fn a_verdict_never_promises_more_than_it_says() {
    let status = Status::permanent(1, 1);
    for (verdict, reply) in [
        (Verdict::Defer(Reason::new(550, status, "x")), "451 4.1.1 x"),
        (Verdict::Reject(Reason::new(450, Status::temporary(1, 1), "x")), "554 5.1.1 x"),
        (Verdict::Reject(Reason::new(250, Status::success(1, 1), "x\r\n250 ok")), "554-5.1.1 x 554 5.1.1 250 ok"),
        (Verdict::Drop(Reason::new(421, status, "x")), "421 4.1.1 x"),
    ] {
        let mut world = in_letter(profile());
        world.verdict = verdict;
        world.heard.clear();
        world.send(b".\r\n");
        assert_eq!(world.text().trim_end().replace("\r\n", " "), reply);
    }
}

#[test]
fn a_server_that_stops_lets_a_letter_end() {
    let mut idle = greeted(profile());
    idle.session.shut_down(idle.now);
    idle.heard.clear();
    idle.run();
    assert_eq!(
        (idle.text().as_str(), idle.closed),
        ("421 4.3.2 the server stops, come back later\r\n", Some(CloseReason::Shutdown))
    );

    let mut busy = in_letter(profile());
    busy.session.shut_down(busy.now);
    busy.run();
    assert_eq!(busy.closed, None);
    busy.heard.clear();
    busy.send(b"x\r\n.\r\n");
    assert!(busy.text().starts_with("250 2.6.0 01HZ stored\r\n421 4.3.2 "), "{}", busy.text());
    assert_eq!(busy.letters.len(), 1);
}

#[test]
fn the_octets_of_a_letter_come_out_as_they_went_in() {
    let mut world = in_letter(profile());
    world.send(b"..dot\r\n...two\r\n.one\r\n\r\n..\r\na.\r\n.\r\n");
    assert_eq!(world.letters, [b".dot\r\n..two\r\none\r\n\r\n.\r\na.\r\n".to_vec()]);
}

#[test]
fn scram_plus_binds_to_the_connection_and_to_no_other() {
    for (binding, right) in [([7; 32], true), ([8; 32], false)] {
        let mut world = World::new(Profile { mechanisms: Mechanism::WITH_PASSWORD.to_vec(), ..profile() }, true);
        world.run();
        world.ask("EHLO client");
        let binding = ChannelBinding::Exporter(binding);
        let nonce = Nonce::from_random([5; 18]);
        let mut client =
            ClientExchange::start(Mechanism::ScramSha256Plus, "alice@example.org", "secret", binding, nonce).unwrap();
        let mut line = "AUTH SCRAM-SHA-256-PLUS".to_owned();
        let last = loop {
            let reply = world.ask(&line);
            let Some(challenge) = reply.strip_prefix("334") else { break reply };
            let challenge = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, challenge.trim()).unwrap();
            let ClientStep::Send(message) = client.step(&challenge) else { panic!("the client gives up") };
            line = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, message);
        };
        assert_eq!(last.starts_with("235 "), right, "{last}");
    }
}

#[test]
fn lmtp_tells_each_recipient_its_own_fate() {
    let mut session = Session::new(Profile { protocol: Protocol::Lmtp, ..profile() }, None, std::time::Instant::now());
    let now = std::time::Instant::now();
    let mut said = Vec::new();
    session.answer(now, Answer::Verdict(Verdict::Accept)); // not asked for: ignored
    let mut input = Some(BytesMut::from(
        &b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\nDATA\r\nx\r\n.\r\n"[..],
    ));
    loop {
        match session.poll(now) {
            Output::Send(bytes) => said.extend_from_slice(&bytes),
            Output::Ask(Question::Message { .. }) => {
                let verdicts = vec![Verdict::Accept, reject(550, 2, 2)];
                session.answer(now, Answer::Message { id: "ID".to_owned(), verdicts });
            }
            Output::Ask(_) => session.answer(now, Answer::Verdict(Verdict::Accept)),
            Output::Wait(_) => match input.take() {
                Some(bytes) => session.receive(now, bytes),
                None => break,
            },
            Output::Body(_) | Output::Note(_) => {}
            Output::StartTls | Output::Close(_) => panic!(),
        }
    }
    let said = String::from_utf8(said).unwrap();
    // The last verdict holds for those that got none.
    assert!(said.ends_with("250 2.6.0 ID stored\r\n550 5.2.2 no\r\n550 5.2.2 no\r\n"), "{said}");
}
