//! Clients that are slow, endless, wrong or gone, and storage that fails.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// When the session would end by itself.
fn deadline(session: &mut Session, now: Instant) -> Instant {
    let output = session.poll(now);
    let Output::Wait(deadline) = output else { panic!("{output:?}") };
    deadline
}

#[test]
fn who_does_not_log_in_is_shut_out_without_a_word() {
    let now = clock::now();
    let mut world = World::new(&[]);
    let mut session = secure(&mut world, now);
    let late = now + 179 * SECOND;
    let (sent, ended) = say(&mut world, &mut session, late, "CAPA\r\n");
    assert!(sent.ends_with(".\r\n") && !ended, "talking is not logging in");
    assert_eq!(deadline(&mut session, late), now + 180 * SECOND);
    assert_eq!(world.drive(&mut session, now + 180 * SECOND), (Vec::new(), true));
}

#[test]
fn an_idle_session_ends_without_removing_anything() {
    let now = clock::now();
    let mut world = World::new(&[b"x\r\n"]);
    let mut session = logged_in(&mut world, now);
    say(&mut world, &mut session, now, "DELE 1\r\n");
    let later = now + 599 * SECOND;
    let (_, ended) = say(&mut world, &mut session, later, "NOOP\r\n");
    assert!(!ended);
    assert_eq!(deadline(&mut session, later), later + 600 * SECOND, "ten minutes from the last command");
    assert_eq!(world.drive(&mut session, later + 600 * SECOND), (Vec::new(), true));
    assert!(world.log.is_empty(), "{:?}", world.log);
}

#[test]
fn an_idle_time_below_the_standard_is_not_taken() {
    let now = clock::now();
    let mut world = World::new(&[]);
    let mut session = Session::new(Config { idle: SECOND, ..config() }, now, Some(EXPORTER.into()));
    world.drive(&mut session, now);
    say(&mut world, &mut session, now, "USER alice@a.test\r\nPASS secret\r\n");
    assert_eq!(deadline(&mut session, now), now + 600 * SECOND);
}

#[test]
fn a_line_that_drips_is_cut_off() {
    let now = clock::now();
    let mut world = World::new(&[]);
    let mut session = logged_in(&mut world, now);
    for second in 0..59 {
        let (sent, ended) = say(&mut world, &mut session, now + second * SECOND, "N");
        assert!(sent.is_empty() && !ended);
    }
    let (_, ended) = say(&mut world, &mut session, now + 60 * SECOND, "N");
    assert!(ended);
}

#[test]
fn a_download_that_takes_an_hour_is_not_idle() {
    let now = clock::now();
    let letter = vec![b'x'; 3 * 64 * 1024];
    let mut world = World::new(&[&letter]);
    world.chunk = 64 * 1024;
    let mut session = logged_in(&mut world, now);
    session.receive(now, b"RETR 1\r\nNO");
    let mut at = now;
    let deadline = loop {
        match session.poll(at) {
            Output::Ask(question) => world.answer(&mut session, question),
            Output::NeedChunk => world.next_chunk(&mut session),
            Output::Send(_) => at += 1200 * SECOND, // the client takes twenty minutes to read it
            Output::Wait(deadline) => break deadline,
            Output::Fetched(uid) => assert_eq!(uid, Uid(10)),
            other @ (Output::StartTls | Output::LoginFailed { .. } | Output::Close) => panic!("{other:?}"),
        }
    };
    assert!(at >= now + 3600 * SECOND);
    assert_eq!(deadline, at + 60 * SECOND, "the half command behind it has its own time");
    let (sent, ended) = say(&mut world, &mut session, at, "OP\r\n");
    assert_eq!((sent.as_str(), ended), ("+OK nothing done\r\n", false));
}

#[test]
fn garbage_is_answered_ten_times_and_then_no_more() {
    let now = clock::now();
    let mut world = World::new(&[]);
    let mut session = secure(&mut world, now);
    for _ in 0..9 {
        let (sent, ended) = say(&mut world, &mut session, now, "\x16\x03\x01\r\n");
        assert!(sent.starts_with("-ERR") && !ended, "{sent}");
    }
    let (sent, ended) = say(&mut world, &mut session, now, "XYZZY\r\nQUIT\r\n");
    assert_eq!((sent.as_str(), ended), ("-ERR too many bad commands\r\n", true));
}

#[test]
fn a_line_without_an_end_is_given_up() {
    let now = clock::now();
    let mut world = World::new(&[]);
    let mut session = logged_in(&mut world, now);
    let mut pushed = 0;
    let (sent, ended) = loop {
        pushed += 4096;
        assert!(pushed < 10_000_000);
        let (sent, ended) = say(&mut world, &mut session, now, &"x".repeat(4096));
        if ended {
            break (sent, ended);
        }
    };
    assert!(ended && pushed <= 80_000, "{pushed}");
    assert_eq!(sent, "-ERR that line does not end\r\n");
}

#[test]
fn a_long_line_is_refused_and_the_next_is_heard() {
    let now = clock::now();
    let mut world = World::new(&[]);
    let mut session = secure(&mut world, now);
    let long = format!("USER {}\r\n", "x".repeat(300));
    let (sent, _) = say(&mut world, &mut session, now, &format!("{long}CAPA\r\n"));
    assert!(sent.starts_with("-ERR that line is too long\r\n+OK"), "{sent}");
    let mut session = logged_in(&mut world, now);
    let (sent, _) = say(&mut world, &mut session, now, &format!("{}\r\nNOOP\r\n", "x".repeat(60_000)));
    assert_eq!(sent, "-ERR that line is too long\r\n+OK nothing done\r\n");
}

#[test]
fn an_exchange_may_have_long_lines() {
    let now = clock::now();
    let mut world = World::new(&[]);
    let mut session = secure(&mut world, now);
    // A PLAIN message of 4,000 octets: longer than a command may be, not longer than a mechanism may be.
    let message = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [b"\0a\0", &[b'x'; 3900][..]].concat());
    let (sent, _) = say(&mut world, &mut session, now, &format!("AUTH PLAIN {message}\r\n"));
    assert!(!sent.contains("too long"), "{sent}");
    let (sent, _) = say(&mut world, &mut session, now, &format!("AUTH PLAIN\r\n{}\r\nCAPA\r\n", "A".repeat(20_000)));
    assert!(sent.starts_with("+ \r\n-ERR that line is too long\r\n+OK"), "{sent}");
}

#[test]
fn a_list_of_very_many_messages_goes_out_in_pieces() {
    let now = clock::now();
    let letters = vec![&b"x\r\n"[..]; 50_000];
    let mut world = World::new(&letters);
    let mut session = logged_in(&mut world, now);
    session.receive(now, b"UIDL\r\nNOOP\r\n");
    let (mut whole, mut pieces) = (Vec::new(), 0);
    while let Output::Send(octets) = session.poll(now) {
        assert!(octets.len() < OUT_BYTES + 100, "{}", octets.len());
        whole.extend(octets);
        pieces += 1;
    }
    assert!(pieces > 10, "{pieces}");
    let whole = String::from_utf8(whole).unwrap();
    assert_eq!(whole.lines().count(), 50_000 + 3);
    assert!(whole.ends_with("\r\n50000 77.500000\r\n.\r\n+OK nothing done\r\n"));
}

#[test]
fn a_hundred_thousand_commands_at_once_do_not_gather_replies() {
    let now = clock::now();
    let mut world = World::new(&[]);
    let mut session = logged_in(&mut world, now);
    session.receive(now, "NOOP\r\n".repeat(100_000).as_bytes());
    let mut replies = 0;
    while let Output::Send(octets) = session.poll(now) {
        assert!(octets.len() < OUT_BYTES + 100);
        replies += octets.iter().filter(|&&octet| octet == b'\n').count();
    }
    assert_eq!(replies, 100_000);
}

#[test]
fn a_letter_that_breaks_off_on_the_disk_never_gets_its_end() {
    let now = clock::now();
    let mut world = World::new(&[b"Subject: x\r\n\r\nhalf of it\r\n"]);
    let mut session = logged_in(&mut world, now);
    session.receive(now, b"RETR 1\r\nQUIT\r\n");
    let Output::Ask(question) = session.poll(now) else { panic!("no question") };
    world.answer(&mut session, question);
    assert!(matches!(session.poll(now), Output::NeedChunk));
    assert!(session.chunk(Some(b"Subject: x\r\n")));
    session.broken();
    let (sent, ended) = world.drive(&mut session, now);
    assert!(ended && !sent.ends_with(b".\r\n"), "{sent:?}");
    assert!(world.log.is_empty(), "nothing was fetched and nothing removed: {:?}", world.log);
}

#[test]
fn a_message_that_cannot_be_opened_does_not_end_the_session() {
    let now = clock::now();
    let mut world = World::new(&[b"x\r\n"]);
    let mut session = logged_in(&mut world, now);
    world.failing = true;
    let (sent, ended) = say(&mut world, &mut session, now, "RETR 1\r\nTOP 1 0\r\nNOOP\r\n");
    let unreadable = "-ERR [SYS/TEMP] the message cannot be read now\r\n";
    assert_eq!((sent, ended), (format!("{unreadable}{unreadable}+OK nothing done\r\n"), false));
}

#[test]
fn messages_that_could_not_be_removed_are_not_said_to_be() {
    let now = clock::now();
    let mut world = World::new(&[b"x\r\n"]);
    let mut session = logged_in(&mut world, now);
    world.failing = true;
    let (sent, ended) = say(&mut world, &mut session, now, "DELE 1\r\nQUIT\r\n");
    assert!(sent.ends_with("-ERR [SYS/TEMP] the deleted messages were not removed\r\n") && ended, "{sent}");
}

#[test]
fn the_top_of_a_message_does_not_count_as_reading_it() {
    let now = clock::now();
    let mut world = World::new(&[b"Subject: x\r\n\r\nbody\r\n"]);
    let mut session = logged_in(&mut world, now);
    say(&mut world, &mut session, now, "TOP 1 100\r\nQUIT\r\n");
    assert_eq!(world.log, ["update [] []"]);
}
