//! Whole sessions over TCP.

use super::*;

#[test]
fn a_letter_is_read_and_removed_over_stls() {
    block_on(async {
        let world = World::start(Settings::default()).await;
        let odd: Vec<u8> = b"Subject: x\r\n\r\n.dot\r\n..\r\n\xff\xfe\0\r\nlast\r\n".to_vec();
        world.deliver(1, odd.clone()).await;
        let mut client = world.plain_client().await;
        assert!(client.ask("USER alice@a.test").await.starts_with("-ERR"));
        client.say(b"STLS\r\n").await;
        assert_eq!(client.line().await, "+OK begin TLS");
        let stream = client.stream.into_tls_client(&world.client_tls(), "mail.a.test").await.unwrap();
        let mut client = Client { stream, input: BytesMut::new() };
        client.ask("USER Alice@a.test").await;
        assert_eq!(client.ask("PASS secret").await, format!("+OK 1 messages, {} octets", odd.len()));
        assert_eq!(client.ask("RETR 1").await, format!("+OK {} octets", odd.len()));
        assert_eq!(client.multi_line().await, odd);
        assert_eq!(client.ask("DELE 1").await, "+OK marked as deleted");
        assert_eq!(client.ask("QUIT").await, "+OK goodbye");
        assert!(client.ended().await);
        assert!(world.parts.mailboxes.inbox(world.alice.id.as_str()).await.unwrap().is_empty());
    })
    .unwrap();
}

#[test]
fn a_line_lost_before_quit_removes_nothing_and_frees_the_mailbox() {
    block_on(async {
        let world = World::start(Settings::default()).await;
        world.deliver(1, b"x\r\n".to_vec()).await;
        let mut client = world.logged_in().await;
        assert_eq!(client.ask("DELE 1").await, "+OK marked as deleted");

        let mut second = world.client().await;
        second.ask("USER alice@a.test").await;
        assert_eq!(second.ask("PASS secret").await, "-ERR [IN-USE] another session has this mailbox");

        drop(client);
        let reply = loop {
            // The server learns of the lost line when it reads; the next login may come before that.
            second.ask("USER alice@a.test").await;
            let reply = second.ask("PASS secret").await;
            if !reply.contains("[IN-USE]") {
                break reply;
            }
        };
        assert_eq!(reply, "+OK 1 messages, 3 octets");
    })
    .unwrap();
}

#[test]
fn the_unique_ids_are_the_same_in_the_next_session() {
    block_on(async {
        let world = World::start(Settings::default()).await;
        for letter in 1..=3 {
            world.deliver(letter, b"x\r\n".to_vec()).await;
        }
        let mut first = world.logged_in().await;
        first.ask("UIDL").await;
        let before = String::from_utf8(first.multi_line().await).unwrap();
        first.ask("DELE 1").await;
        first.ask("QUIT").await;
        let mut second = world.logged_in().await;
        second.ask("UIDL").await;
        let after = String::from_utf8(second.multi_line().await).unwrap();
        let ids = |list: &str| list.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>();
        assert_eq!(ids(&before)[1..], ids(&after));
    })
    .unwrap();
}

#[test]
fn a_large_letter_comes_through_whole() {
    block_on(async {
        let world = World::start(Settings::default()).await;
        let line = b".A line of a large letter, with a dot in front, over and over again.\r\n";
        let letter: Vec<u8> = line.iter().copied().cycle().take(line.len() * 100_000).collect();
        world.deliver(1, letter.clone()).await;
        let mut client = world.logged_in().await;
        client.say(b"RETR 1\r\nTOP 1 0\r\nNOOP\r\n").await;
        assert_eq!(client.line().await, format!("+OK {} octets", letter.len()));
        assert!(client.multi_line().await == letter);
        assert_eq!(client.line().await, "+OK the top follows");
        assert!(client.multi_line().await == letter, "there is no blank line in it, so all of it is header");
        assert_eq!(client.line().await, "+OK nothing done");
    })
    .unwrap();
}

#[test]
fn logins_and_fetches_are_written_down() {
    block_on(async {
        let world = World::start(Settings::default()).await;
        world.deliver(1, b"x\r\n".to_vec()).await;
        let mut client = world.client().await;
        client.ask("USER alice@a.test").await;
        assert!(client.ask("PASS guess").await.starts_with("-ERR [AUTH]"));
        client.ask("USER nobody@a.test").await;
        assert!(client.ask("PASS secret").await.starts_with("-ERR [AUTH]"));
        assert!(client.ask("AUTH PLAIN AGFsaWNlQGEudGVzdABzZWNyZXQ=").await.starts_with("+OK"));
        client.ask("RETR 1").await;
        client.multi_line().await;
        client.ask("QUIT").await;
        world.parts.journal.flush().await;
        let events = |address: &str| {
            let query = world.parts.journal.query(Query::Address(address.parse().unwrap()));
            async { query.await.unwrap().into_iter().map(|entry| entry.event).collect::<Vec<_>>() }
        };
        let alice = events("alice@a.test").await;
        let mut logins = Vec::new();
        for event in &alice {
            if let Event::Login { protocol, mechanism, ok, peer: Some(_), .. } = event {
                logins.push((protocol.as_str(), mechanism.as_str(), *ok));
            }
        }
        assert_eq!(logins, [("pop3", "USER", false), ("pop3", "PLAIN", true)]);
        assert!(alice.iter().any(|event| matches!(event, Event::Fetched { uid: 1, .. })), "{alice:?}");
        assert!(events("nobody@a.test").await.iter().any(|event| matches!(event, Event::Login { ok: false, .. })));
        let written = format!("{alice:?}");
        assert!(!written.contains("secret") && !written.contains("guess"));
    })
    .unwrap();
}

#[test]
fn what_was_read_is_seen_and_nothing_else() {
    block_on(async {
        let world = World::start(Settings::default()).await;
        world.deliver(1, b"x\r\n".to_vec()).await;
        world.deliver(2, b"y\r\n".to_vec()).await;
        let mut client = world.logged_in().await;
        client.ask("RETR 2").await;
        client.multi_line().await;
        client.ask("QUIT").await;
        let inbox = world.parts.mailboxes.inbox(world.alice.id.as_str()).await.unwrap();
        assert_eq!(inbox.iter().map(|message| message.seen).collect::<Vec<_>>(), [false, true]);
    })
    .unwrap();
}

#[test]
fn one_connection_too_many_is_told_so_and_the_next_is_served() {
    block_on(async {
        let world = World::start(Settings { connections_per_address_max: 1, ..Settings::default() }).await;
        let mut first = world.plain_client().await;
        let mut second = Client { stream: Stream::connect(world.plain, None).await.unwrap(), input: BytesMut::new() };
        assert_eq!(second.line().await, "-ERR [SYS/TEMP] too many connections; try again later");
        assert!(second.ended().await);
        assert_eq!(first.ask("QUIT").await, "+OK goodbye");
        assert!(first.ended().await);
        drop(first);
        loop {
            let mut third = Client { stream: Stream::connect(world.plain, None).await.unwrap(), input: BytesMut::new() };
            if third.line().await.starts_with("+OK") {
                break; // its place is given back a moment after its end
            }
        }
    })
    .unwrap();
}

#[test]
fn a_flood_of_octets_without_a_line_is_cut_off() {
    block_on(async {
        let world = World::start(Settings::default()).await;
        let mut client = world.plain_client().await;
        // The server stops reading, so writing ends in an error at the latest when the buffers on the way are full.
        let mut written = 0;
        while written < 10_000_000 && client.stream.write_all(&[b'x'; 65_536]).await.is_ok() {
            written += 65_536;
        }
        let mut after = world.plain_client().await;
        assert_eq!(after.ask("QUIT").await, "+OK goodbye");
    })
    .unwrap();
}

#[test]
fn a_client_for_another_protocol_gets_no_tls() {
    block_on(async {
        let world = World::start(Settings::default()).await;
        let mut client = Client { stream: Stream::connect(world.secure, None).await.unwrap(), input: BytesMut::new() };
        client.say(b"GET / HTTP/1.1\r\nHost: mail.a.test\r\n\r\n").await;
        let mut got = BytesMut::new();
        while let Ok(Ok(1..)) = clock::timeout(PATIENCE, client.stream.read(&mut got)).await {}
        assert!(!got.starts_with(b"+OK") && !got.starts_with(b"-ERR"), "{got:?}");
    })
    .unwrap();
}

#[test]
fn a_shutdown_ends_sessions_and_removes_nothing() {
    block_on(async {
        let world = World::start(Settings::default()).await;
        world.deliver(1, b"x\r\n".to_vec()).await;
        let mut client = world.logged_in().await;
        client.ask("DELE 1").await;
        world.stop.fire();
        assert!(client.ended().await);
        assert_eq!(world.parts.mailboxes.inbox(world.alice.id.as_str()).await.unwrap().len(), 1);
    })
    .unwrap();
}

#[test]
fn whoever_guesses_too_often_is_sent_away_to_come_again_later() {
    block_on(async {
        let world = World::start(Settings { wrong_passwords_max: 100, ..Settings::default() }).await;
        world.parts.directory.configure(LoginSettings { wrong_per_account: 2, ..LoginSettings::default() }).unwrap();
        let mut client = world.client().await;
        for guess in ["1", "2"] {
            client.ask("USER alice@a.test").await;
            assert!(client.ask(&format!("PASS {guess}")).await.starts_with("-ERR [AUTH]"));
        }
        client.ask("USER alice@a.test").await;
        let reply = client.ask("PASS secret").await;
        assert_eq!(reply, "-ERR [SYS/TEMP] too many wrong passwords, try again in 12 h");
        assert!(client.ended().await);
        // SCRAM is no way around it: n,,n=alice@a.test,r=x
        let mut client = world.client().await;
        let reply = client.ask("AUTH SCRAM-SHA-256 biwsbj1hbGljZUBhLnRlc3Qscj14").await;
        assert_eq!(reply, "-ERR [SYS/TEMP] too many wrong passwords, try again in 12 h");
        world.parts.directory.guard().clear(Some("alice@a.test".to_owned())).await.unwrap();
        world.logged_in().await;
    })
    .unwrap();
}

#[test]
fn a_session_is_one_accounts_and_sees_no_letter_of_another() {
    block_on(async {
        let world = World::start(Settings::default()).await;
        world.deliver(1, b"Subject: for alice\r\n\r\nx\r\n".to_vec()).await;
        world.parts.directory.add_account(&"bob@a.test".parse().unwrap(), "hidden").await.unwrap();
        // A wrong log-in leaves nothing of itself, neither the name nor the right to a password of somebody else's.
        let mut client = world.client().await;
        client.ask("USER alice@a.test").await;
        assert!(client.ask("PASS hidden").await.starts_with("-ERR"));
        assert!(client.ask("PASS secret").await.starts_with("-ERR"), "USER comes first");
        client.ask("USER bob@a.test").await;
        assert_eq!(client.ask("PASS hidden").await, "+OK 0 messages, 0 octets");
        for command in ["RETR 1", "TOP 1 0", "UIDL 1", "LIST 1", "DELE 1"] {
            assert!(client.ask(command).await.starts_with("-ERR"), "{command}");
        }
        // Nobody becomes somebody else on the way.
        for command in ["USER alice@a.test", "PASS secret", "AUTH PLAIN AGFsaWNlQGEudGVzdABzZWNyZXQ="] {
            assert!(client.ask(command).await.starts_with("-ERR"), "{command}");
        }
        assert_eq!(client.ask("STAT").await, "+OK 0 0");
        client.ask("QUIT").await;
        assert_eq!(world.parts.mailboxes.inbox(world.alice.id.as_str()).await.unwrap().len(), 1);
    })
    .unwrap();
}
