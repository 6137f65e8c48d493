use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::*;
use crate::schema;

struct Account {
    _root: tempfile::TempDir,
    folder: PathBuf,
    database: Connection,
}

fn account() -> Account {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("account");
    let database = schema::open(&folder, true).unwrap().unwrap();
    Account { _root: root, folder, database }
}

/// A file in `bodies/`, as old as `age`.
fn place(account: &Account, name: &str, age: Duration) -> PathBuf {
    let path = folder(&account.folder).join(name);
    fs::write(&path, "octets").unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(posthouse_runtime::clock::unix_millis());
    File::options().write(true).open(&path).unwrap().set_modified(now - age).unwrap();
    path
}

fn name_in_row(account: &Account, name: &str) {
    let sql = "INSERT INTO message (folder, uid, modseq, flags, internal_date, size, letter, recipient, reverse_path, file)
               VALUES (1, 1, 1, 0, 0, 6, x'00', 'a@b', '', ?1)";
    account.database.execute(sql, [name]).unwrap();
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

#[test]
fn a_file_left_by_a_crash_is_removed_and_no_other() {
    let account = account();
    let left = place(&account, "left", WEEK);
    let temporary = place(&account, "half.tmp", WEEK);
    let named = place(&account, "named", WEEK);
    let fresh = place(&account, "fresh", Duration::from_secs(60));
    name_in_row(&account, "named");
    drop(schema::open(&account.folder, false).unwrap());
    assert_eq!([left, temporary, named, fresh].map(|path| path.exists()), [false, false, true, true]);
}

#[test]
fn a_body_that_lost_octets_on_the_disk_is_an_error_and_not_a_shorter_letter() {
    let account = account();
    let path = place(&account, "named", WEEK);
    assert!(matches!(Body::file(&path, 7), Err(MailboxError::Storage(_))));
    assert!(matches!(Body::file(&path, 5), Err(MailboxError::Storage(_))));
    assert!(matches!(Body::file(&path.with_extension("gone"), 6), Err(MailboxError::Storage(_))));
    let mut body = Body::file(&path, 6).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(3).unwrap();
    posthouse_runtime::block_on(async {
        body.next().await.unwrap_err();
        body.next().await.unwrap_err();
    })
    .unwrap();
}

#[test]
fn a_file_without_a_row_goes_with_its_delivery() {
    let account = account();
    let path = place(&account, "new", Duration::ZERO);
    drop(NewFile { name: "new".to_owned(), path: Some(path.clone()) });
    assert!(!path.exists());
    let path = place(&account, "new", Duration::ZERO);
    NewFile { name: "new".to_owned(), path: Some(path.clone()) }.keep();
    assert!(path.exists());
}
