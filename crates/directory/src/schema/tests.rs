use std::os::unix::fs::PermissionsExt;

use crate::error::DirectoryError;
use crate::schema::{open_reader, open_writer};

#[test]
fn hashes_are_readable_by_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    let writer = open_writer(&path).unwrap();
    writer.execute("INSERT INTO domain (name, created) VALUES ('a.test', 1)", []).unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", file.path());
    }
}

#[test]
fn a_file_from_the_future_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    open_writer(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = open_writer(&path).unwrap_err();
    assert!(matches!(refused, DirectoryError::Newer { found: 99, .. }), "{refused}");
    let version: i64 = open_reader(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[test]
fn a_file_that_is_no_database_is_an_error_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    std::fs::write(&path, "these are the notes of an operator, kept in the wrong place, and long enough to have a header")
        .unwrap();
    let refused = open_writer(&path).unwrap_err();
    assert!(matches!(refused, DirectoryError::Storage(_)), "{refused}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("these are the notes"));
}

#[test]
fn every_commit_waits_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open_writer(&folder.path().join("directory.sqlite")).unwrap();
    let mode: String = writer.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    let synchronous: i64 = writer.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
    let foreign_keys: bool = writer.pragma_query_value(None, "foreign_keys", |row| row.get(0)).unwrap();
    assert_eq!((mode.as_str(), synchronous, foreign_keys), ("wal", 2, true));
}

#[test]
fn a_reader_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    drop(open_writer(&path).unwrap());
    open_reader(&path).unwrap().execute("INSERT INTO domain (name, created) VALUES ('a.test', 1)", []).unwrap_err();
}

#[test]
fn a_file_of_version_1_is_brought_forward_and_a_copy_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.pragma_update(None, "journal_mode", "wal").unwrap();
    old.execute_batch(super::LAYOUT).unwrap();
    old.execute("INSERT INTO domain (name, created) VALUES ('a.test', 1)", []).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let version = |path: &std::path::Path| -> (i64, i64) {
        let file = rusqlite::Connection::open(path).unwrap();
        let domains = file.query_row("SELECT count(*) FROM domain", [], |row| row.get(0)).unwrap();
        (file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap(), domains)
    };
    open_writer(&path).unwrap().execute("INSERT INTO domain (name, created) VALUES ('b.test', 1)", []).unwrap();
    assert_eq!(version(&path), (super::VERSION, 2));
    let copy = folder.path().join("directory.sqlite.1");
    assert_eq!(version(&copy), (1, 1));
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o077, 0);
}

#[test]
fn keys_of_version_2_go_on_signing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(super::LAYOUT).unwrap();
    old.execute_batch(super::SINCE_2).unwrap();
    old.execute_batch(
        "INSERT INTO domain (name, created) VALUES ('a.test', 7), ('x.a.test', 8);
         INSERT INTO secret (name, octets) VALUES ('dkim/a.test/20261124r', x'01'), ('dkim/x.a.test/e', x'02'), ('salt', x'03');",
    )
    .unwrap();
    old.pragma_update(None, "user_version", 2).unwrap();
    drop(old);
    let new = open_writer(&path).unwrap();
    let mut rows = new
        .prepare("SELECT domain || ' ' || selector || ' ' || hex(octets) || ' ' || state || ' ' || made FROM signing_key")
        .unwrap();
    let rows: Vec<String> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows, ["a.test 20261124r 01 signing 7", "x.a.test e 02 signing 8"]);
    let left: i64 = new.query_row("SELECT count(*) FROM secret", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
    assert!(folder.path().join("directory.sqlite.2").exists());
}

#[test]
fn a_damaged_file_is_not_brought_forward() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(super::LAYOUT).unwrap();
    for n in 0..2_000 {
        old.execute("INSERT INTO domain (name, created) VALUES (?1, 1)", [format!("{n}.test")]).unwrap();
    }
    old.pragma_update(None, "user_version", 1).unwrap();
    drop(old);
    let mut octets = std::fs::read(&path).unwrap();
    let (middle, rest) = (octets.len() / 2, octets.len() - 4096);
    octets[middle..rest].fill(0xff);
    std::fs::write(&path, octets).unwrap();
    let refused = open_writer(&path).unwrap_err();
    assert!(matches!(refused, DirectoryError::Storage(_)), "{refused}");
    assert!(!folder.path().join("directory.sqlite.1").exists());
}
