//! Into mailboxes of ours.

use posthouse_directory::SenderRule;
use posthouse_journal::{Event, Outcome};

use crate::world::{ARRIVED, World, address, run};

#[test]
fn a_letter_lands_in_the_inbox_with_the_marks_of_its_last_server() {
    run(async {
        let world = World::new(1, "").await;
        world.account("bob@ours.test").await;
        let letter = world.submit("s@far.test", &["bob+lists@ours.test"], "Subject: x\r\n\r\nhello\r\n").await;
        world.deliver_at(ARRIVED).await;
        assert!(world.context.queue.is_empty());
        assert_eq!(
            world.inbox("bob@ours.test").await,
            ["Return-Path: <s@far.test>\r\nDelivered-To: bob+lists@ours.test\r\nSubject: x\r\n\r\nhello\r\n"]
        );
        let timeline = world.timeline(letter).await;
        assert!(matches!(&timeline[..], [Event::Stored { to, uid: 1, .. }] if to == "bob+lists@ours.test"), "{timeline:?}");
    });
}

#[test]
fn a_letter_that_was_set_aside_at_the_door_lands_in_junk_and_the_timeline_says_so() {
    run(async {
        let world = World::new(1, "").await;
        world.account("bob@ours.test").await;
        let account = world.context.directory.account("bob@ours.test").await.unwrap().unwrap().id;
        let text = "X-Posthouse-Quarantine: dmarc\r\nSubject: x\r\n\r\nhello\r\n";
        let letter = world.submit("s@far.test", &["bob@ours.test"], text).await;
        // In the body it is nothing but words.
        world.submit("s@far.test", &["bob@ours.test"], "Subject: x\r\n\r\nX-Posthouse-Quarantine: dmarc\r\n").await;
        world.deliver_at(ARRIVED).await;
        assert_eq!(world.inbox("bob@ours.test").await.len(), 1);
        let junk = world.context.mailboxes.messages(account.as_str(), posthouse_mailbox::Folder::Junk).await.unwrap();
        assert_eq!(junk.iter().map(|message| message.letter).collect::<Vec<_>>(), [letter]);
        let timeline = world.timeline(letter).await;
        let is_told = |event: &Event| matches!(event, Event::Stored { folder: Some(folder), uid: 1, .. } if folder == "Junk");
        assert!(timeline.iter().any(is_told), "{timeline:?}");
    });
}

#[test]
fn what_an_account_has_said_of_a_sender_decides_where_its_letter_lands() {
    run(async {
        let world = World::new(1, "").await;
        let (bob, carol) = (address("bob@ours.test"), address("carol@ours.test"));
        for account in ["bob@ours.test", "carol@ours.test"] {
            world.account(account).await;
        }
        let directory = &world.context.directory;
        for (pattern, rule) in [("pest.test", SenderRule::Block), ("friend@far.test", SenderRule::Allow)] {
            directory.list_sender(&bob, &pattern.parse().unwrap(), rule).await.unwrap();
        }
        let (junk, known) = ("X-Posthouse-Quarantine: spam x\r\n", "X-Posthouse-Quarantine: verified; spam x\r\n");
        for (sender, header, expected) in [
            // The author is blocked, and the sender is.
            ("x@far.test", "From: <a@sub.pest.test>\r\n".to_owned(), (true, Some("block pest.test"))),
            ("x@pest.test", "From: <a@far.test>\r\n".to_owned(), (true, Some("block pest.test"))),
            // An author who is allowed, and really is who it says.
            ("x@far.test", format!("{known}From: <Friend@far.test>\r\n"), (false, Some("allow friend@far.test"))),
            // Somebody who only says so, in the header or in the envelope.
            ("x@far.test", format!("{junk}From: <friend@far.test>\r\n"), (true, None)),
            ("friend@far.test", format!("{known}From: <x@far.test>\r\n"), (true, None)),
            ("x@far.test", format!("{known}{junk}From: <friend@far.test>\r\n"), (true, None)),
            ("x@far.test", "X-Posthouse-Quarantine: dmarc\r\nFrom: <friend@far.test>\r\n".to_owned(), (true, None)),
            ("x@far.test", format!("{known}From: <friend@far.test>, <x@far.test>\r\n"), (true, None)),
            ("x@far.test", "From: <friend@far.test>\r\n".to_owned(), (false, None)),
            ("", "From: <x@far.test>\r\n".to_owned(), (false, None)),
        ] {
            let letter = world.submit(sender, &["bob@ours.test", "carol@ours.test"], &format!("{header}\r\nhello\r\n")).await;
            world.deliver_at(ARRIVED).await;
            let timeline = world.timeline(letter).await;
            let stored = |who: &posthouse_mail::Address| {
                let of = |event: &Event| {
                    let Event::Stored { to, folder, rule, .. } = event else { return None };
                    (*to == who.to_string()).then(|| (folder.is_some(), rule.clone()))
                };
                timeline.iter().find_map(of).unwrap()
            };
            let (is_junk, rule) = stored(&bob);
            assert_eq!((is_junk, rule.as_deref()), expected, "{sender} {header}");
            assert_eq!(
                stored(&carol),
                (header.contains("Quarantine"), None),
                "what bob says is not for others: {sender} {header}"
            );
        }
    });
}

#[test]
fn a_mailbox_that_is_gone_is_a_failure_that_is_reported() {
    run(async {
        let world = World::new(1, "").await;
        world.account("alice@ours.test").await;
        let letter = world.submit("alice@ours.test", &["gone@ours.test"], "Subject: x\r\n\r\n").await;
        world.deliver_at(ARRIVED).await;
        let attempts = world.attempts(letter).await;
        assert!(matches!(&attempts[..], [(_, _, Outcome::Failed, reply)] if reply.starts_with("550 5.1.1 ")), "{attempts:?}");
        assert_eq!(world.deliver_at(ARRIVED).await, 1);
        assert_eq!(world.inbox("alice@ours.test").await.len(), 1);
    });
}

#[test]
fn a_recipient_that_has_become_an_alias_is_forwarded_once() {
    run(async {
        let world = World::new(1, "").await;
        world.account("alice@ours.test").await;
        world.account("bob@ours.test").await;
        let letter = world.submit("s@far.test", &["team@ours.test"], "Subject: x\r\n\r\n").await;
        let targets = [address("alice@ours.test"), address("bob@ours.test")];
        world.context.directory.add_alias(&address("team@ours.test"), &targets).await.unwrap();
        world.deliver_at(ARRIVED).await;
        let timeline = world.timeline(letter).await;
        assert!(matches!(&timeline[..], [Event::Expanded { targets, .. }] if targets.len() == 2), "{timeline:?}");
        world.deliver_at(ARRIVED).await;
        assert!(world.context.queue.is_empty());
        for name in ["alice@ours.test", "bob@ours.test"] {
            assert_eq!(world.inbox(name).await.len(), 1, "{name}");
        }
    });
}

#[test]
fn a_letter_that_comes_round_is_stopped() {
    run(async {
        let world = World::new(1, "").await;
        world.account("bob@ours.test").await;
        let body = "Received: x\r\nDelivered-To: BOB@ours.test\r\nSubject: x\r\n\r\n";
        let letter = world.submit("", &["bob@ours.test"], body).await;
        world.deliver_at(ARRIVED).await;
        assert!(world.inbox("bob@ours.test").await.is_empty());
        assert!(world.attempts(letter).await[0].3.starts_with("554 5.4.6 "));
        // The mark of somebody else, or in the text, is no loop.
        let body = "Delivered-To: alice@ours.test\r\n\r\nDelivered-To: bob@ours.test\r\n";
        world.submit("", &["bob@ours.test"], body).await;
        world.deliver_at(ARRIVED).await;
        // It, and before it the report on the first to the postmaster, who is bob.
        assert_eq!(world.inbox("bob@ours.test").await.len(), 2);
    });
}
