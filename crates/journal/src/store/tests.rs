use super::*;
use crate::entry::tests::every_event;

fn letter(n: u64) -> LetterId {
    LetterId::new(UnixMillis(n), 1)
}

fn stored(n: u64, to: &str) -> Entry {
    Entry::of(
        letter(n),
        UnixMillis(n),
        Event::Stored { to: to.to_owned(), account: "a".to_owned(), uid: 1, folder: None, rule: None },
    )
}

fn store() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let connection = open_writer(&folder.path().join("journal.sqlite")).unwrap();
    (folder, connection)
}

#[test]
fn every_event_is_read_back_as_it_was() {
    let (_folder, mut connection) = store();
    let entries: Vec<Entry> = every_event().into_iter().map(|event| Entry::of(letter(1), UnixMillis(5), event)).collect();
    append(&mut connection, &entries, &mut Recent::default()).unwrap();
    assert_eq!(find(&connection, &Query::Letter(letter(1))).unwrap(), entries);
    assert_eq!(find(&connection, &Query::Letter(letter(2))).unwrap(), []);
}

#[test]
fn an_address_finds_the_whole_timeline_of_its_letters_and_nothing_of_others() {
    let (_folder, mut connection) = store();
    let expanded = Event::Expanded { address: "Team@example.test".to_owned(), targets: vec!["bob@example.test".to_owned()] };
    let mine = [Entry::of(letter(1), UnixMillis(1), expanded), stored(1, "carol@example.test")];
    let login = every_event().into_iter().find(|event| matches!(event, Event::Login { .. })).unwrap();
    let login = Entry::new(UnixMillis(3), login);
    append(
        &mut connection,
        &[mine[0].clone(), stored(2, "dave@example.test"), mine[1].clone(), login.clone()],
        &mut Recent::default(),
    )
    .unwrap();
    assert_eq!(find(&connection, &Query::Address("TEAM@example.TEST".to_owned())).unwrap(), mine);
    assert_eq!(find(&connection, &Query::Address("<bob@example.test>".to_owned())).unwrap(), mine);
    assert_eq!(find(&connection, &Query::Address("alice".to_owned())).unwrap(), [login]);
    assert_eq!(find(&connection, &Query::Address("%".to_owned())).unwrap(), []);
}

#[test]
fn a_letter_is_found_by_an_address_that_only_its_first_entry_is_found_under() {
    let (_folder, mut connection) = store();
    let mut recent = Recent::default();
    let entries = [stored(1, "bob@example.test"), stored(1, "bob@example.test"), stored(2, "bob@example.test")];
    append(&mut connection, &entries[..1], &mut recent).unwrap();
    append(&mut connection, &entries[1..], &mut recent).unwrap();
    assert_eq!(find(&connection, &Query::Address("bob@example.test".to_owned())).unwrap(), entries);
    let addresses: i64 = connection.query_row("SELECT count(*) FROM address", [], |row| row.get(0)).unwrap();
    assert_eq!(addresses, 4, "each of two letters names two addresses");
}

#[test]
fn a_message_id_is_found_with_and_without_brackets() {
    let (_folder, mut connection) = store();
    let entries = [Entry::of(letter(1), UnixMillis(1), every_event().remove(0)), stored(1, "bob@example.test")];
    append(&mut connection, &entries, &mut Recent::default()).unwrap();
    for id in ["<1@client.example>", "1@client.example", " <1@client.example> "] {
        assert_eq!(find(&connection, &Query::MessageId(id.to_owned())).unwrap(), entries, "{id}");
    }
}

#[test]
fn old_entries_go_and_their_addresses_with_them() {
    let (_folder, mut connection) = store();
    let entries: Vec<Entry> = (0..10).map(|n| stored(n, "bob@example.test")).collect();
    append(&mut connection, &entries, &mut Recent::default()).unwrap();
    assert_eq!(prune(&mut connection, UnixMillis(4), ByteSize::gib(1), 3).unwrap(), 3, "at most as many as were asked for");
    assert_eq!(prune(&mut connection, UnixMillis(4), ByteSize::gib(1), 3).unwrap(), 1);
    assert_eq!(prune(&mut connection, UnixMillis(4), ByteSize::gib(1), 3).unwrap(), 0);
    assert_eq!(find(&connection, &Query::Address("bob@example.test".to_owned())).unwrap(), entries[4..]);
    let addresses: i64 = connection.query_row("SELECT count(*) FROM address", [], |row| row.get(0)).unwrap();
    assert_eq!(addresses, 12, "six entries name two addresses each");
}

#[test]
fn an_entry_of_a_later_build_goes_with_its_addresses_too() {
    let (_folder, mut connection) = store();
    append(&mut connection, &[stored(1, "bob@example.test"), stored(2, "bob@example.test")], &mut Recent::default()).unwrap();
    connection.execute("UPDATE entry SET event = '{\"event\":\"unheard-of\"}' WHERE id = 1", []).unwrap();
    assert_eq!(prune(&mut connection, UnixMillis(2), ByteSize::gib(1), 10).unwrap(), 1);
    let addresses: i64 = connection.query_row("SELECT count(*) FROM address", [], |row| row.get(0)).unwrap();
    assert_eq!(addresses, 2, "those of the entry that stays");
}

#[test]
fn a_file_that_is_too_large_loses_its_oldest_entries_and_shrinks() {
    let (folder, mut connection) = store();
    let entries: Vec<Entry> = (0..5000).map(|n| stored(n, &format!("{n}@example.test"))).collect();
    append(&mut connection, &entries, &mut Recent::default()).unwrap();
    let size_max = ByteSize::kib(200);
    let mut rounds = 0;
    while prune(&mut connection, UnixMillis(0), size_max, 500).unwrap() > 0 {
        rounds += 1;
        assert!(rounds < 20, "it never becomes small enough");
    }
    assert!(used_bytes(&connection).unwrap() <= size_max.bytes());
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let on_disk = std::fs::metadata(folder.path().join("journal.sqlite")).unwrap().len();
    assert!(on_disk <= size_max.bytes() + 64 * 1024, "{on_disk} octets are still on the disk");
    assert_eq!(find(&connection, &Query::Letter(letter(4999))).unwrap().len(), 1);
    assert_eq!(find(&connection, &Query::Letter(letter(0))).unwrap().len(), 0);
}

#[test]
fn a_file_of_the_future_is_refused() {
    let (folder, connection) = store();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let path = folder.path().join("journal.sqlite");
    assert!(matches!(open_writer(&path), Err(JournalError::Newer { found: 99, .. })));
    assert!(matches!(open_reader(&path), Err(JournalError::Newer { found: 99, .. })));
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    assert!(matches!(open_reader(&path), Err(JournalError::Missing(_))));
    assert!(!path.exists(), "a reader makes no file");
    std::fs::write(&path, vec![7; 8192]).unwrap();
    assert!(matches!(open_writer(&path), Err(JournalError::Storage(_))));
}

#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, mut connection) = store();
    append(&mut connection, &[stored(1, "bob@example.test")], &mut Recent::default()).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
    }
}
