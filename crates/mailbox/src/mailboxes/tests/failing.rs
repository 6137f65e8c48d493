//! Storage that does not do what it should, and names that should not be.

use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;

use posthouse_runtime::stream::Buffered;

use crate::{MailboxError, Mailboxes, Uid};

use super::{ALICE, World, delivery};

#[test]
fn an_account_is_never_a_path() {
    let world = World::new();
    for account in ["", ".", "..", "../x", "a/b", "/etc", "a\0b", "a.b", "caf\u{e9}", "a b", &"x".repeat(65)] {
        let refused = world.run(world.mailboxes.deliver(account, delivery(1), &mut Buffered::new("x"))).unwrap_err();
        assert!(matches!(refused, MailboxError::Account(_)), "{account:?}: {refused}");
        assert!(!refused.is_temporary());
        assert!(!refused.to_string().contains('\0'));
        world.run(world.mailboxes.inbox(account)).unwrap_err();
        world.run(world.mailboxes.read(account, Uid(1))).unwrap_err();
        world.run(world.mailboxes.remove(account, &[Uid(1)])).unwrap_err();
        world.run(world.mailboxes.remove_account(account)).unwrap_err();
        world.mailboxes.lock(account).unwrap_err();
        world.mailboxes.folder(account).unwrap_err();
    }
    assert_eq!(std::fs::read_dir(world.dir()).unwrap().count(), 0);
}

#[test]
fn letters_are_readable_by_their_owner_alone() {
    let world = World::new();
    world.deliver(1, "small");
    world.deliver(2, vec![b'x'; 1 << 20]);
    let mut left = vec![world.dir()];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        let metadata = path.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o077, 0, "{}", path.display());
        seen += 1;
        if metadata.is_dir() {
            left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn a_mailbox_from_the_future_is_refused_and_left_alone() {
    let world = World::new();
    world.deliver(1, "hello");
    let path = world.dir().join(ALICE).join("mail.sqlite");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let newer = world.again();
    let refused = world.run(newer.deliver(ALICE, delivery(2), &mut Buffered::new("x"))).unwrap_err();
    assert!(matches!(refused, MailboxError::Newer { found: 7, .. }) && refused.is_temporary(), "{refused}");
    assert!(world.run(newer.inbox(ALICE)).is_err());
}

#[test]
fn one_broken_mailbox_does_not_stop_the_others() {
    let world = World::new();
    std::fs::create_dir_all(world.dir().join(ALICE).join("bodies")).unwrap();
    std::fs::write(world.dir().join(ALICE).join("mail.sqlite"), vec![b'x'; 5000]).unwrap();
    for letter in 1..10 {
        let failed = world.run(world.mailboxes.deliver(ALICE, delivery(letter), &mut Buffered::new("x"))).unwrap_err();
        assert!(matches!(failed, MailboxError::Storage(_)) && failed.is_temporary(), "{failed}");
    }
    world.run(world.mailboxes.deliver("BOB", delivery(1), &mut Buffered::new("x"))).unwrap();
    assert_eq!(world.run(world.mailboxes.inbox("BOB")).unwrap().len(), 1);
}

#[test]
fn every_delivery_waits_for_the_disk() {
    let world = World::new();
    world.deliver(1, "hello");
    let account = world.mailboxes.0.accounts.account(ALICE);
    let connection = crate::schema::open(&account.folder, false).unwrap().unwrap();
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    assert_eq!((mode.as_str(), synchronous), ("wal", 2));
}

#[test]
fn more_accounts_than_descriptors_do_not_keep_them_all() {
    const OPEN_MAX: usize = 12;
    let mut world = World::new();
    world.mailboxes = Mailboxes::open_keeping(&world.dir(), OPEN_MAX).unwrap();
    let open = || world.mailboxes.0.accounts.open.lock().unwrap().accounts.len();
    for number in 0..OPEN_MAX + 20 {
        let account = format!("ACCOUNT{number}");
        world.run(world.mailboxes.deliver(&account, delivery(1), &mut Buffered::new("x"))).unwrap();
        assert!(open() <= OPEN_MAX + 4, "{}", open()); // one more for each writing thread
    }
    for number in 0..OPEN_MAX + 20 {
        assert_eq!(world.run(world.mailboxes.inbox(&format!("ACCOUNT{number}"))).unwrap().len(), 1);
    }
    assert!(open() <= OPEN_MAX + 4, "{}", open());
}

#[test]
fn what_was_delivered_is_forgotten_only_after_every_queue_gave_up() {
    let world = World::new();
    world.deliver(1, "hello");
    world.deliver(2, "hello");
    let path = world.dir().join(ALICE).join("mail.sqlite");
    let database = Connection::open(&path).unwrap();
    let day = 24 * 3600 * 1000_i64;
    database.execute("UPDATE delivered SET at = at - ?1 WHERE uid = 1", [31 * day]).unwrap();
    database.execute("UPDATE delivered SET at = at - ?1 WHERE uid = 2", [29 * day]).unwrap();
    world.run(world.again().inbox(ALICE)).unwrap();
    let left: Vec<u32> = {
        let mut statement = database.prepare("SELECT uid FROM delivered").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(left, [2]);
    assert_eq!(world.inbox().len(), 2);
}
