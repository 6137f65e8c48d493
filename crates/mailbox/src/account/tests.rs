use rusqlite::ffi;

use super::*;

fn failure(code: i32) -> MailboxError {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
}

#[test]
fn a_full_disk_is_told_apart_and_everything_of_ours_is_worth_another_try() {
    assert!(matches!(failure(ffi::SQLITE_FULL), MailboxError::Full(_)));
    assert!(matches!(failure(ffi::SQLITE_BUSY), MailboxError::Busy(_)));
    assert!(matches!(failure(ffi::SQLITE_IOERR), MailboxError::Storage(_)));
    for code in [ffi::SQLITE_FULL, ffi::SQLITE_BUSY, ffi::SQLITE_IOERR, ffi::SQLITE_CORRUPT, ffi::SQLITE_READONLY] {
        assert!(failure(code).is_temporary(), "{code}");
    }
}

#[test]
fn the_last_number_is_not_followed_by_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let account = Account::new(folder.path().join("a"));
    let arrival = |number| Arrival {
        delivery: Delivery {
            folder: crate::Folder::Inbox,
            letter: LetterId::from_bytes([number; 16]),
            recipient: "alice@a.test".parse().unwrap(),
            reverse_path: ReversePath::NULL,
            at: UnixMillis(1),
            prefix: Vec::new(),
        },
        body: NewBody::Inline(b"x".to_vec()),
        size: 1,
    };
    account.store(vec![arrival(1)]).unwrap();
    account.with(true, |connection, _| Ok(connection.execute("UPDATE folder SET uidnext = 4294967295", [])?)).unwrap();
    assert_eq!(account.store(vec![arrival(2)]).unwrap(), [Uid(u32::MAX)]);
    let refused = account.store(vec![arrival(3)]).unwrap_err();
    assert!(refused.is_temporary(), "{refused}");
    assert_eq!(account.messages(crate::Folder::Inbox).unwrap().len(), 2);
}

#[test]
fn a_batch_that_fails_stores_none_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let account = Account::new(folder.path().join("a"));
    account.prepare(LetterId::from_bytes([0; 16]), &"alice@a.test".parse().unwrap()).unwrap();
    account
        .with(true, |connection, _| {
            Ok(connection.execute_batch(
                "CREATE TRIGGER fault BEFORE INSERT ON body WHEN NEW.octets = x'62' BEGIN SELECT RAISE(ABORT, 'fault'); END",
            )?)
        })
        .unwrap();
    let arrival = |number: u8, octets: &[u8]| Arrival {
        delivery: Delivery {
            folder: crate::Folder::Inbox,
            letter: LetterId::from_bytes([number; 16]),
            recipient: "alice@a.test".parse().unwrap(),
            reverse_path: ReversePath::NULL,
            at: UnixMillis(1),
            prefix: Vec::new(),
        },
        body: NewBody::Inline(octets.to_vec()),
        size: 1,
    };
    account.store(vec![arrival(1, b"a"), arrival(2, b"b"), arrival(3, b"c")]).unwrap_err();
    assert!(account.messages(crate::Folder::Inbox).unwrap().is_empty());
    assert_eq!(account.store(vec![arrival(1, b"a"), arrival(3, b"c")]).unwrap(), [Uid(1), Uid(2)]);
}
