//! The layout of `mail.sqlite`, and nothing else: every table of the file is here.
//!
//! `user_version` numbers the layout. A file from the future is refused, never guessed at.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior};

use posthouse_runtime::clock;

use crate::body;
use crate::error::MailboxError;

/// The layout this code writes.
const VERSION: i64 = 1;
/// The row of `folder` that mail arrives in.
pub(crate) const INBOX: i64 = 1;
/// The name of the folder for what is taken for junk (RFC 6154 §2, `\Junk`); it is made when the first such letter comes.
pub(crate) const JUNK: &str = "Junk";
/// The bit of `message.flags` for `\Seen`. Bits 1–4 are for `\Answered`, `\Flagged`, `\Deleted` and `\Draft` (RFC 9051 §2.3.2).
pub(crate) const SEEN: i64 = 1;

pub(crate) const DATABASE: &str = "mail.sqlite";
/// How long a statement waits for another process.
const WAIT: Duration = Duration::from_secs(5);
/// How often a new file is asked for a write-ahead log while another process does the same.
const WAL_TRIES: usize = 5;
/// The pages that an open database keeps in memory: those that every delivery changes. More are held only while a transaction lasts.
const CACHE_KIB: i64 = 128;
/// What a write-ahead log is cut back to.
const WAL_BYTES_KEPT: i64 = 4 * 1024 * 1024;
/// How long it is remembered that a letter was delivered: longer than any queue keeps trying.
const DELIVERED_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Version 1.
///
/// - `folder`: `uidnext` is the UID of the next message; `modseq` the highest given to a change in the folder (RFC 7162 §3.1). The inbox is row 1.
/// - `message`: one row each; `flags` are bits, `internal_date` milliseconds since 1970, `size` octets. `file` names the file in `bodies/` that
///   holds the octets; where it is NULL they are in `body`.
/// - `body`: apart, so that a walk over the messages does not page through their text.
/// - `delivered`: which letter has come for which recipient, and as what. It outlives the message, so that a delivery repeated after a
///   crash does not bring back what was read and removed meanwhile.
const LAYOUT: &str = "
CREATE TABLE folder (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    uidvalidity INTEGER NOT NULL CHECK (uidvalidity BETWEEN 1 AND 4294967295),
    uidnext     INTEGER NOT NULL CHECK (uidnext BETWEEN 1 AND 4294967296),
    modseq      INTEGER NOT NULL
) STRICT;

CREATE TABLE message (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    folder        INTEGER NOT NULL REFERENCES folder (id),
    uid           INTEGER NOT NULL,
    modseq        INTEGER NOT NULL,
    flags         INTEGER NOT NULL,
    internal_date INTEGER NOT NULL,
    size          INTEGER NOT NULL,
    letter        BLOB NOT NULL,
    recipient     TEXT NOT NULL,
    reverse_path  TEXT NOT NULL,
    file          TEXT UNIQUE,
    UNIQUE (folder, uid)
) STRICT;

CREATE TABLE body (
    message INTEGER PRIMARY KEY REFERENCES message (id) ON DELETE CASCADE,
    octets  BLOB NOT NULL
) STRICT;

CREATE TABLE delivered (
    letter    BLOB NOT NULL,
    recipient TEXT NOT NULL,
    uid       INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (letter, recipient)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivered_at ON delivered (at);
";

/// Opens the mailbox in `folder`; makes it where there is none if `create`, and says `None` otherwise.
pub(crate) fn open(folder: &Path, create: bool) -> Result<Option<Connection>, MailboxError> {
    let path = folder.join(DATABASE);
    if !path.try_exists().map_err(|error| MailboxError::file(&path, &error))? {
        if !create {
            return Ok(None);
        }
        make_folders(folder)?;
        // SQLite gives its -wal and -shm files the mode of the file: letters are nobody else's to read.
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| MailboxError::file(&path, &error))?;
    }
    let mut connection = connect(&path)?;
    // Looked at first without a lock: nearly always there is nothing to do.
    if connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? != VERSION {
        upgrade(&mut connection, &path)?;
    }
    let oldest = millis(Duration::from_millis(clock::unix_millis()).saturating_sub(DELIVERED_KEPT));
    connection.execute("DELETE FROM delivered WHERE at < ?1", [oldest])?;
    body::clean(&connection, folder)?;
    Ok(Some(connection))
}

fn connect(path: &Path) -> Result<Connection, MailboxError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(WAIT)?;
    // The plan of a statement stays whatever is bound to it: SQLite as it is built here (STAT4) would else parse it again for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    use_wal(&connection)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "cache_spill", false)?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, |_| Ok(()))?;
    Ok(connection)
}

/// SQLite waits for nobody while it changes the journal of a new file: of two that make one at once, one is told that it is busy.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    for _ in 1..WAL_TRIES {
        match connection.pragma_update(None, "journal_mode", "wal") {
            // Waits until the other has done.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
            }
            done => return done,
        }
    }
    connection.pragma_update(None, "journal_mode", "wal")
}

fn upgrade(connection: &mut Connection, path: &Path) -> Result<(), MailboxError> {
    // Immediate: of two processes that make the file at once the second waits and then finds it made.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => {
            transaction.execute_batch(LAYOUT)?;
            transaction.execute(
                "INSERT INTO folder (id, name, uidvalidity, uidnext, modseq) VALUES (?1, 'INBOX', ?2, 1, 1)",
                (INBOX, uidvalidity()),
            )?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            transaction.commit()?;
            path.parent().map_or(Ok(()), sync_folder)
        }
        VERSION => Ok(()),
        found => Err(MailboxError::Newer { path: path.to_owned(), found, known: VERSION }),
    }
}

/// RFC 9051 §2.3.1.1: greater than that of any folder of this name before it, so the time it is made.
fn uidvalidity() -> u32 {
    u32::try_from(clock::unix_millis() / 1000).unwrap_or(u32::MAX).max(1)
}

/// The row of the folder for junk; makes it where there is none if `create`.
pub(crate) fn junk(connection: &Connection, create: bool) -> Result<Option<i64>, MailboxError> {
    if create {
        let make = "INSERT INTO folder (name, uidvalidity, uidnext, modseq) VALUES (?1, ?2, 1, 1) ON CONFLICT DO NOTHING";
        connection.prepare_cached(make)?.execute((JUNK, uidvalidity()))?;
    }
    let mut statement = connection.prepare_cached("SELECT id FROM folder WHERE name = ?1")?;
    Ok(statement.query_row([JUNK], |row| row.get(0)).optional()?)
}

/// Makes the account's folder and its `bodies/`, durable by name.
fn make_folders(folder: &Path) -> Result<(), MailboxError> {
    for path in [folder, &body::folder(folder)] {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(MailboxError::file(path, &error)),
            Ok(()) | Err(_) => {}
        }
    }
    folder.parent().map_or(Ok(()), sync_folder)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), MailboxError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|error| MailboxError::file(folder, &error))
}

/// Removes everything of an account.
pub(crate) fn remove_folder(folder: &Path) -> Result<(), MailboxError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(MailboxError::file(folder, &error)),
        Ok(()) | Err(_) => folder.parent().map_or(Ok(()), sync_folder),
    }
}

pub(crate) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
