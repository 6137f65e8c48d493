//! What a session that reads does.

use crate::{MailboxError, Uid};

use super::{ALICE, World};

#[test]
fn a_second_session_is_kept_out_until_the_first_ends() {
    let world = World::new();
    let other = world.mailboxes.clone();
    let lock = world.mailboxes.lock(ALICE).unwrap();
    assert_eq!(other.lock(ALICE).unwrap_err(), MailboxError::InUse);
    let bob = other.lock("BOB").unwrap();
    drop(lock);
    let again = other.lock(ALICE).unwrap();
    assert_eq!(world.mailboxes.lock(ALICE).unwrap_err(), MailboxError::InUse);
    drop((again, bob));
}

#[test]
fn mail_arrives_while_a_session_holds_the_mailbox() {
    let world = World::new();
    let _lock = world.mailboxes.lock(ALICE).unwrap();
    world.deliver(1, "hello");
    assert_eq!(world.inbox().len(), 1);
}

#[test]
fn removing_what_is_gone_removes_nothing_else() {
    let world = World::new();
    for letter in 1..=4 {
        world.deliver(letter, "hello");
    }
    assert_eq!(world.run(world.mailboxes.remove(ALICE, &[Uid(2), Uid(2), Uid(99), Uid(0)])).unwrap(), 1);
    let left: Vec<_> = world.inbox().iter().map(|message| message.uid.0).collect();
    assert_eq!(left, [1, 3, 4]);
    let gone = world.run(world.mailboxes.read(ALICE, Uid(2))).unwrap_err();
    assert_eq!(gone, MailboxError::NoSuchMessage(Uid(2)));
    assert!(!gone.is_temporary());
}

#[test]
fn a_removed_message_leaves_no_octets() {
    let world = World::new();
    let (small, large) = (world.deliver(1, "hello"), world.deliver(2, vec![b'x'; 1 << 20]));
    assert_eq!(world.files().len(), 1);
    world.run(world.mailboxes.remove(ALICE, &[small, large])).unwrap();
    assert!(world.files().is_empty());
    let database = rusqlite::Connection::open(world.dir().join(ALICE).join("mail.sqlite")).unwrap();
    let bodies: i64 = database.query_row("SELECT count(*) FROM body", [], |row| row.get(0)).unwrap();
    assert_eq!(bodies, 0);
}

#[test]
fn only_what_was_read_is_marked() {
    let world = World::new();
    for letter in 1..=3 {
        world.deliver(letter, "hello");
    }
    for _ in 0..2 {
        world.run(world.mailboxes.mark_seen(ALICE, &[Uid(2), Uid(99)])).unwrap();
        let seen: Vec<_> = world.inbox().iter().map(|message| message.seen).collect();
        assert_eq!(seen, [false, true, false]);
    }
}

#[test]
fn a_removed_account_is_gone_and_a_session_on_it_prevents_that() {
    let world = World::new();
    world.deliver(1, vec![b'x'; 1 << 20]);
    let lock = world.mailboxes.lock(ALICE).unwrap();
    assert_eq!(world.run(world.mailboxes.remove_account(ALICE)).unwrap_err(), MailboxError::InUse);
    drop(lock);
    world.run(world.mailboxes.remove_account(ALICE)).unwrap();
    assert!(!world.dir().join(ALICE).exists());
    world.run(world.mailboxes.remove_account(ALICE)).unwrap();
    assert!(world.inbox().is_empty());
    world.deliver(1, "a new beginning");
    assert_eq!(world.inbox().len(), 1);
}
