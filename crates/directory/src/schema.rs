//! The layout of `directory.sqlite`, and nothing else: every table of the file is here.
//!
//! `user_version` numbers the layout. Opening an empty file makes the newest; a file from the future is refused, never guessed at.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::DirectoryError;

/// The layout this code writes.
const VERSION: i64 = 6;

/// How long a writer waits for another process.
const WRITE_WAIT: Duration = Duration::from_secs(5);
/// How long a reader waits. In WAL mode readers wait for nobody but a process that recovers the file after a crash, and a reader sits
/// on a thread that serves connections.
const READ_WAIT: Duration = Duration::from_millis(500);

/// Version 6.
///
/// - `domain`: the domains that are ours, A-labels in lower case.
/// - `account`: who can log in. `seq` is the order of creation, `id` the opaque name the rest of the world uses.
/// - `name`: every local part that means something, folded; an account has exactly one, an alias is one without an account. One table,
///   so that a name cannot be both.
/// - `target`: where an alias leads.
/// - `app_password` (since version 2): passwords for one device or program. `protocols` are names with spaces between them. When one was last
///   used is in `logins.sqlite`.
/// - `signing_key` (since version 3; before, in `secret`): the keys that sign letters. `state` is `waiting`, `signing` or `retired`, `since` when it
///   became that.
/// - `sender_grant` (since version 6): in whose names an account may write beside its own; patterns as in `sender_rule`.
/// - `sender_rule` (since version 4): whose letters an account wants, and whose not. `pattern` is an address or a domain, folded.
/// - `scram_sha1_keys` of accounts and app passwords (since version 5): as `scram_keys`, which are those of SHA-256. None where the password was last set before,
///   until it is seen in clear, and where SCRAM-SHA-1 is not offered.
/// - `secret`: random octets that must outlive a restart (the seed of the salts that unknown logins get).
const LAYOUT: &str = "
CREATE TABLE domain (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE account (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT NOT NULL UNIQUE,
    created       INTEGER NOT NULL,
    password_hash TEXT NOT NULL,
    scram_keys    TEXT NOT NULL
) STRICT;

CREATE TABLE name (
    domain  INTEGER NOT NULL REFERENCES domain (id),
    local   TEXT NOT NULL,
    written TEXT NOT NULL,
    account INTEGER UNIQUE REFERENCES account (seq) ON DELETE CASCADE,
    PRIMARY KEY (domain, local)
) STRICT, WITHOUT ROWID;

CREATE TABLE target (
    domain   INTEGER NOT NULL,
    local    TEXT NOT NULL,
    position INTEGER NOT NULL,
    address  TEXT NOT NULL,
    PRIMARY KEY (domain, local, position),
    FOREIGN KEY (domain, local) REFERENCES name (domain, local) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE secret (
    name   TEXT PRIMARY KEY,
    octets BLOB NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What version 2 adds to version 1.
const SINCE_2: &str = "
CREATE TABLE app_password (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account    INTEGER NOT NULL REFERENCES account (seq) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    digest     BLOB NOT NULL,
    scram_keys TEXT NOT NULL,
    protocols  TEXT NOT NULL,
    created    INTEGER NOT NULL,
    expires    INTEGER,
    UNIQUE (account, name),
    UNIQUE (account, digest)
) STRICT;
";

/// What version 3 adds to version 2. Where a key is from is not known any more: from the day of its domain.
const SINCE_3: &str = "
CREATE TABLE signing_key (
    domain   TEXT NOT NULL REFERENCES domain (name) ON DELETE CASCADE,
    selector TEXT NOT NULL,
    octets   BLOB NOT NULL,
    state    TEXT NOT NULL,
    made     INTEGER NOT NULL,
    since    INTEGER NOT NULL,
    PRIMARY KEY (domain, selector)
) STRICT, WITHOUT ROWID;

INSERT INTO signing_key (domain, selector, octets, state, made, since)
    SELECT domain.name, substr(secret.name, length(domain.name) + 7), secret.octets, 'signing', domain.created, domain.created
    FROM secret JOIN domain ON substr(secret.name, 1, length(domain.name) + 6) = 'dkim/' || domain.name || '/';

DELETE FROM secret WHERE substr(name, 1, 5) = 'dkim/';
";

/// What version 4 adds to version 3.
const SINCE_4: &str = "
CREATE TABLE sender_rule (
    account INTEGER NOT NULL REFERENCES account (seq) ON DELETE CASCADE,
    pattern TEXT NOT NULL,
    rule    TEXT NOT NULL,
    made    INTEGER NOT NULL,
    PRIMARY KEY (account, pattern)
) STRICT, WITHOUT ROWID;
";

/// What version 5 adds to version 4.
const SINCE_5: &str = "
ALTER TABLE account ADD COLUMN scram_sha1_keys TEXT;
ALTER TABLE app_password ADD COLUMN scram_sha1_keys TEXT;
";

/// What version 6 adds to version 5.
const SINCE_6: &str = "
CREATE TABLE sender_grant (
    account INTEGER NOT NULL REFERENCES account (seq) ON DELETE CASCADE,
    pattern TEXT NOT NULL,
    made    INTEGER NOT NULL,
    PRIMARY KEY (account, pattern)
) STRICT, WITHOUT ROWID;
";

/// What each version adds to the one before it, from version 2 on.
const STEPS: [&str; 5] = [SINCE_2, SINCE_3, SINCE_4, SINCE_5, SINCE_6];

/// Opens the file for writing, making it and its layout where there is none.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, DirectoryError> {
    // SQLite gives its -wal and -shm files the mode of the file: hashes are nobody else's to read.
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| DirectoryError::at(path, error))?;
    let mut connection = connect(path, WRITE_WAIT)?;
    upgrade(&mut connection, path)?;
    Ok(connection)
}

/// Opens the file, which [`open_writer`] has seen before, for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, DirectoryError> {
    let connection = connect(path, READ_WAIT)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn connect(path: &Path, wait: Duration) -> Result<Connection, DirectoryError> {
    let connection = Connection::open(path).map_err(|error| DirectoryError::at(path, error))?;
    connection.busy_timeout(wait)?;
    // The plan of a statement stays whatever is bound to it: SQLite as it is built here (STAT4) would else parse it again for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(|error| DirectoryError::at(path, error))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn upgrade(connection: &mut Connection, path: &Path) -> Result<(), DirectoryError> {
    let found = version(connection)?;
    if (1..VERSION).contains(&found) {
        keep_copy(connection, path, found)?;
    }
    // Immediate: of two processes that make the file at once the second waits and then finds it made.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found == VERSION {
        return Ok(());
    }
    let known = usize::try_from(found).ok().filter(|_| found < VERSION);
    let known = known.ok_or_else(|| DirectoryError::Newer { path: path.to_owned(), found, known: VERSION })?;
    if known == 0 {
        transaction.execute_batch(LAYOUT)?;
    }
    for step in STEPS.iter().skip(known.saturating_sub(1)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    if known == 0 { sync_folder(path) } else { Ok(()) }
}

fn version(connection: &Connection) -> Result<i64, DirectoryError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Before a file is changed it must be whole, and what it was is kept beside it, as `directory.sqlite.1` for version 1.
fn keep_copy(connection: &Connection, path: &Path, version: i64) -> Result<(), DirectoryError> {
    let said: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if said != "ok" {
        return Err(DirectoryError::at(path, format_args!("it is damaged, and is not changed to the newer form: {said}")));
    }
    let copy = path.with_extension(format!("sqlite.{version}"));
    if copy.exists() {
        return Ok(());
    }
    // Hashes are nobody else's to read; SQLite fills a file that is there and empty.
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(&copy).map_err(|error| DirectoryError::at(&copy, error))?;
    connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()]).map_err(|error| DirectoryError::at(&copy, error))?;
    Ok(())
}

/// Makes the file's name durable: SQLite syncs what is in the file, and the folder only for its journals.
fn sync_folder(path: &Path) -> Result<(), DirectoryError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| DirectoryError::at(folder, error))
}

#[cfg(test)]
mod tests;
