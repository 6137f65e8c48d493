//! `mail` and `trace`.

use posthouse_journal::{Entry, Event, Journal};
use posthouse_mail::{LetterId, ReversePath, UnixMillis};
use posthouse_mailbox::{Delivery, Mailboxes};
use posthouse_runtime::block_on;
use posthouse_runtime::stream::Buffered;

use super::*;
use crate::common::Site;

const LETTER: &str = "From: Mallory <m@x>\r\nSubject: red \u{1b}[31malert\r\n\r\nf\u{f6}o \u{1b}]0;bar\u{7}\r\n.\r\n";

fn letter(n: u64) -> LetterId {
    LetterId::new(UnixMillis(n), 1)
}

/// A site with a letter in the inbox of bob and its story in the journal.
fn site() -> Site {
    let site = Site::new(&["mx"], "");
    let mailboxes = Mailboxes::open(&site.data().join("accounts")).unwrap();
    let journal = Journal::open(&site.data().join("journal.sqlite")).unwrap();
    let now = UnixMillis(posthouse_runtime::clock::unix_millis());
    block_on(async {
        let delivery = Delivery {
            folder: posthouse_mailbox::Folder::Inbox,
            letter: letter(1),
            recipient: "bob@example.test".parse().unwrap(),
            reverse_path: ReversePath::NULL,
            at: now,
            prefix: Vec::new(),
        };
        let uid = mailboxes.deliver(site.account("bob"), delivery, &mut Buffered::new(LETTER.as_bytes())).await.unwrap();
        let accepted = Event::Accepted {
            listener: "mx".to_owned(),
            peer: Some("192.0.2.7".parse().unwrap()),
            helo: "client\r\nexample".to_owned(),
            tls: None,
            account: None,
            user: None,
            from: "m@x".to_owned(),
            to: vec!["bob@example.test".to_owned()],
            size: 1,
            message_id: Some("<1@x>".to_owned()),
        };
        let stored = Event::Stored {
            to: "bob@example.test".to_owned(),
            account: site.account("bob").to_owned(),
            uid: uid.0,
            folder: None,
            rule: None,
        };
        journal.record(Entry::of(letter(1), now, accepted));
        journal.record(Entry::of(letter(1), now, stored));
        journal.flush().await;
    })
    .unwrap();
    site
}

#[test]
fn the_inbox_is_listed_without_what_would_speak_to_the_terminal() {
    let site = site();
    let list = run(site.dir.path(), &["mail", "list", "bob@example.test"]).ok();
    assert!(list.contains("1 *") && list.contains("Mallory <m@x>  red \\u{1b}[31malert"), "{list:?}");
    let json = run(site.dir.path(), &["mail", "list", "bob@example.test", "--json"]).json();
    assert_eq!((json[0]["uid"].as_u64(), json[0]["seen"].as_bool()), (Some(1), Some(false)));
    assert_eq!(json[0]["letter"], letter(1).to_string());
    assert_eq!(run(site.dir.path(), &["mail", "list", "alice@example.test"]).ok(), "");
}

#[test]
fn a_letter_in_junk_is_listed_shown_and_moved_into_the_inbox() {
    let site = site();
    let bob = "bob@example.test";
    let moved = run(site.dir.path(), &["mail", "move", bob, "1", "--to", "junk"]).ok();
    assert_eq!(moved, "it is in Junk now, as 1\n");
    assert_eq!(run(site.dir.path(), &["mail", "list", bob]).ok(), "");
    assert!(run(site.dir.path(), &["mail", "list", bob, "--folder", "junk"]).ok().contains("Mallory"));
    assert_eq!(run(site.dir.path(), &["mail", "show", bob, "--folder", "junk"]).ok(), LETTER);
    let json = run(site.dir.path(), &["mail", "move", bob, "1", "--folder", "junk", "--to", "inbox", "--json"]).json();
    assert_eq!((json["uid"].as_u64(), json["folder"].as_str()), (Some(2), Some("Inbox")));
    run(site.dir.path(), &["mail", "move", bob, "7", "--to", "junk"]).fails(67, "no message 7");
    run(site.dir.path(), &["mail", "move", bob, "2", "--to", "inbox"]).fails(64, "already");
}

#[test]
fn a_letter_is_shown_octet_by_octet_when_it_goes_into_a_file() {
    let site = site();
    assert_eq!(run(site.dir.path(), &["mail", "show", "bob@example.test"]).ok(), LETTER);
    assert_eq!(run(site.dir.path(), &["mail", "show", "bob@example.test", "1"]).ok(), LETTER);
    let json = run(site.dir.path(), &["mail", "show", "bob@example.test", "--json"]).json();
    assert_eq!((json["raw"].as_str(), json["lossy"].as_bool()), (Some(LETTER), Some(false)));
    run(site.dir.path(), &["mail", "show", "bob@example.test", "7"]).fails(67, "no message 7");
    run(site.dir.path(), &["mail", "show", "alice@example.test"]).fails(67, "empty");
}

#[test]
fn a_story_is_told_by_letter_address_and_message_id() {
    let site = site();
    let id = letter(1).to_string();
    for key in [id.as_str(), "BOB@example.test", "<1@x>", "1@x"] {
        let told = run(site.dir.path(), &["trace", key]).ok();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!((lines[0], lines.len()), (format!("letter {id}").as_str(), 4), "{key}: {told}");
        assert!(lines[2].contains("accepted from 192.0.2.7 (client\\r\\nexample) on mx without TLS"), "{told}");
        assert!(lines[3].contains("stored for bob@example.test as message 1"), "{told}");
    }
    let json = run(site.dir.path(), &["trace", &id, "--json"]).json();
    assert_eq!(
        (json["timelines"][0]["letter"].as_str(), json["timelines"][0]["entries"][1]["event"].as_str()),
        (Some(id.as_str()), Some("stored"))
    );
}

#[test]
fn a_story_that_nobody_knows_is_67() {
    let site = site();
    run(site.dir.path(), &["trace", "nobody@example.test"]).fails(67, "nothing of `nobody@example.test`");
    let unknown = run(site.dir.path(), &["trace", "nobody@example.test", "--json"]);
    assert_eq!(unknown.exit, 67);
    assert_eq!(unknown.json()["timelines"].as_array().unwrap().len(), 0);
}

#[test]
fn without_a_journal_the_reason_is_told() {
    let site = Site::new(&["mx"], "");
    run(site.dir.path(), &["trace", "bob@example.test"]).fails(78, "there is no journal");
}
