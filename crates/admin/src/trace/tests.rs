use posthouse_config::Secret;
use posthouse_journal::Journal;
use posthouse_mail::UnixMillis;
use posthouse_runtime::block_on;

use super::*;
use crate::Kind;

fn letter(n: u64) -> LetterId {
    LetterId::new(UnixMillis(n), 1)
}

fn accepted(n: u64, to: &str, message_id: &str) -> Entry {
    let event = Event::Accepted {
        listener: "mx".to_owned(),
        peer: None,
        helo: String::new(),
        tls: None,
        account: None,
        user: None,
        from: "alice@example.test".to_owned(),
        to: vec![to.to_owned()],
        size: 1,
        message_id: Some(message_id.to_owned()),
    };
    Entry::of(letter(n), now(n), event)
}

/// Near the present, so that nothing is pruned.
fn now(n: u64) -> UnixMillis {
    UnixMillis(posthouse_runtime::clock::unix_millis() / 100_000 * 100_000 + n)
}

fn login(n: u64) -> Entry {
    let event = Event::Login {
        protocol: "pop3".to_owned(),
        peer: None,
        account: "alice@example.test".to_owned(),
        mechanism: "PLAIN".to_owned(),
        ok: true,
        client: None,
        tls: None,
        app_password: None,
        why: None,
    };
    Entry::new(now(n), event)
}

async fn admin(entries: Vec<Entry>) -> (tempfile::TempDir, Admin) {
    let folder = tempfile::tempdir().unwrap();
    let admin = Admin::open(folder.path()).unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    entries.into_iter().for_each(|entry| journal.record(entry));
    journal.flush().await;
    (folder, admin)
}

fn letters(trace: &Trace) -> Vec<Option<String>> {
    trace.timelines.iter().map(|timeline| timeline.letter.clone()).collect()
}

fn id(n: u64) -> Option<String> {
    Some(letter(n).to_string())
}

#[test]
fn an_address_shows_its_letters_apart_and_its_logins_last() {
    block_on(async {
        let (_folder, admin) =
            admin(vec![login(1), accepted(2, "bob@example.test", "<2@x>"), accepted(3, "carol@example.test", "<3@x>")]).await;
        let trace = admin.trace("Alice@Example.test").await.unwrap();
        assert_eq!(letters(&trace), [id(2), id(3), None]);
        assert_eq!(letters(&admin.trace("bob@example.test").await.unwrap()), [id(2)]);
        assert_eq!(letters(&admin.trace("<3@x>").await.unwrap()), [id(3)]);
        assert_eq!(letters(&admin.trace(&letter(3).to_string().to_lowercase()).await.unwrap()), [id(3)]);
        assert_eq!(letters(&admin.trace("nobody@example.test").await.unwrap()), []);
    })
    .unwrap();
}

#[test]
fn a_text_that_is_an_address_and_a_message_id_shows_each_entry_once() {
    block_on(async {
        let (_folder, admin) = admin(vec![accepted(2, "bob@example.test", "<bob@example.test>")]).await;
        let trace = admin.trace("bob@example.test").await.unwrap();
        assert_eq!(trace.timelines[0].entries.len(), 1);
    })
    .unwrap();
}

#[test]
fn the_story_of_a_bounce_follows_that_of_its_letter() {
    block_on(async {
        let bounced = Event::Bounced { to: "bob@example.test".to_owned(), bounce: letter(9) };
        let stored =
            Event::Stored { to: "alice@example.test".to_owned(), account: "a".to_owned(), uid: 1, folder: None, rule: None };
        let entries = vec![
            accepted(2, "bob@example.test", "<2@x>"),
            Entry::of(letter(2), now(3), bounced),
            Entry::of(letter(9), now(4), stored),
        ];
        let (_folder, admin) = admin(entries).await;
        assert_eq!(letters(&admin.trace(&letter(2).to_string()).await.unwrap()), [id(2), id(9)]);
    })
    .unwrap();
}

#[test]
fn without_a_journal_the_error_says_so() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let admin = Admin::open(folder.path()).unwrap();
        admin.add_domain(&"example.test".parse().unwrap()).await.unwrap();
        admin.add_account(&"a@example.test".parse().unwrap(), &Secret::new("correct horse")).await.unwrap();
        assert_eq!(admin.trace("a@example.test").await.unwrap_err().kind(), Kind::Setup);
    })
    .unwrap();
}
