//! The layout of `journal.sqlite`, and every statement on it.
//!
//! `user_version` numbers the layout. A file from the future is refused. Entries are numbered in the order they were recorded, which is
//! the order of time but for clocks that were set back; the oldest by number are pruned first.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};

use posthouse_config::ByteSize;
use posthouse_mail::{LetterId, UnixMillis};

use crate::entry::{Entry, Event, bare_message_id, fold};
use crate::error::JournalError;
use crate::journal::Query;
use crate::recent::Recent;

/// The layout this code writes.
const VERSION: i64 = 1;
/// How long one process waits for another: only recovery after a crash and the making of the file lock for long.
const WAIT: Duration = Duration::from_secs(5);
/// The octets the write-ahead log is cut to after a checkpoint.
const WAL_BYTES: i64 = 16 * 1024 * 1024;

/// The entries one query returns at most, and the letters one address or Message-ID leads to: the newest.
pub(crate) const ENTRIES_MAX: usize = 10_000;
const LETTERS_MAX: usize = 1_000;

/// Version 1.
///
/// - `entry`: one step. `event` is the JSON of [`Event`]; `letter` the 16 octets of the id.
/// - `address`: which entries name an address, folded; of a letter's entries perhaps the first alone ([`Recent`]). What is to go is found from the entry: an index by entry, which earlier builds made,
///   cost as much as the table, at each recipient of each letter.
const LAYOUT: &str = "
CREATE TABLE entry (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    letter     BLOB,
    message_id TEXT,
    event      TEXT NOT NULL
) STRICT;
CREATE INDEX entry_letter ON entry (letter) WHERE letter IS NOT NULL;
CREATE INDEX entry_message_id ON entry (message_id) WHERE message_id IS NOT NULL;

CREATE TABLE address (
    address TEXT NOT NULL,
    entry   INTEGER NOT NULL,
    PRIMARY KEY (address, entry)
) STRICT, WITHOUT ROWID;
";

/// Opens the file for writing, making it and its layout where there is none.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, JournalError> {
    // Who writes to whom is nobody else's business; SQLite gives its -wal and -shm files the mode of the file.
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| JournalError::at(path, error))?;
    let mut connection = Connection::open(path).map_err(|error| JournalError::at(path, error))?;
    connection.busy_timeout(WAIT)?;
    // The plan of a statement stays whatever is bound to it: SQLite as it is built here (STAT4) would else parse it again for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Takes effect only before the first table is made.
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(|error| JournalError::at(path, error))?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => {
            transaction.execute_batch(LAYOUT)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        VERSION => transaction.execute_batch("DROP INDEX IF EXISTS address_entry")?,
        found => return Err(JournalError::Newer { path: path.to_owned(), found, known: VERSION }),
    }
    transaction.commit()?;
    Ok(connection)
}

/// Opens a file that exists, for reading.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, JournalError> {
    if !path.exists() {
        return Err(JournalError::Missing(path.to_owned()));
    }
    // Not SQLite's read-only mode: a reader that comes first after a crash must recover the write-ahead log.
    let connection = Connection::open(path).map_err(|error| JournalError::at(path, error))?;
    connection.busy_timeout(WAIT)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
        VERSION => Ok(connection),
        // Another process has made the file and not yet its tables.
        0 => Err(JournalError::Missing(path.to_owned())),
        found => Err(JournalError::Newer { path: path.to_owned(), found, known: VERSION }),
    }
}

/// Writes entries in one transaction. After a failure `recent` says more than the file.
pub(crate) fn append(connection: &mut Connection, entries: &[Entry], recent: &mut Recent) -> Result<(), JournalError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut entry_row =
            transaction.prepare_cached("INSERT INTO entry (at, letter, message_id, event) VALUES (?1, ?2, ?3, ?4)")?;
        let mut address_row = transaction.prepare_cached("INSERT OR IGNORE INTO address (address, entry) VALUES (?1, ?2)")?;
        for entry in entries {
            let event = serde_json::to_string(&entry.event).map_err(|error| JournalError::Storage(error.to_string()))?;
            let letter = entry.letter.map(LetterId::to_bytes);
            let at = i64::try_from(entry.at.0).unwrap_or(i64::MAX);
            let id = entry_row.insert(params![at, letter, entry.event.message_id(), event])?;
            for address in entry.event.addresses() {
                if entry.letter.is_none_or(|letter| recent.is_new(letter, &address)) {
                    address_row.execute(params![address, id])?;
                }
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Removes the oldest entries while they are older than `before` or the file is larger than `size_max`; at most `count_max` in one go.
/// Says how many went.
pub(crate) fn prune(
    connection: &mut Connection,
    before: UnixMillis,
    size_max: ByteSize,
    count_max: u32,
) -> Result<usize, JournalError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let too_large = used_bytes(&transaction)? > size_max.bytes();
    let sql = "SELECT max(id) FROM (SELECT id, at FROM entry ORDER BY id LIMIT ?1) WHERE ?3 OR at < ?2";
    let before = i64::try_from(before.0).unwrap_or(i64::MAX);
    let last: Option<i64> = transaction.query_row(sql, params![count_max, before, too_large], |row| row.get(0))?;
    let Some(last) = last else { return Ok(0) };
    forget_addresses(&transaction, last)?;
    let gone = transaction.execute("DELETE FROM entry WHERE id <= ?1", [last])?;
    transaction.commit()?;
    // A failure leaves the pages for the next entries.
    let _ = give_back(connection);
    Ok(gone)
}

/// Removes the addresses of the entries up to `last`.
fn forget_addresses(connection: &Connection, last: i64) -> Result<(), JournalError> {
    let mut named = connection.prepare_cached("DELETE FROM address WHERE address = ?1 AND entry = ?2")?;
    let mut entries = connection.prepare_cached("SELECT id, event FROM entry WHERE id <= ?1")?;
    let mut rows = entries.query([last])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        match serde_json::from_str::<Event>(row.get_ref(1)?.as_str().unwrap_or_default()) {
            Ok(event) => {
                for address in event.addresses() {
                    named.execute(params![address, id])?;
                }
            }
            // Written by a build that knows more: it cannot say what it names, so all is looked through.
            Err(_) => drop(connection.execute("DELETE FROM address WHERE entry = ?1", [id])?),
        }
    }
    Ok(())
}

/// Gives free pages back to the file system.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    // The statement frees one page a step.
    let mut statement = connection.prepare_cached("PRAGMA incremental_vacuum")?;
    let mut steps = statement.raw_query();
    while steps.next()?.is_some() {}
    Ok(())
}

/// The octets in use, free pages not counted.
fn used_bytes(connection: &Connection) -> Result<u64, JournalError> {
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    Ok(u64::try_from(pages.saturating_mul(pragma("page_size")?)).unwrap_or_default())
}

/// Finds entries, oldest first.
pub(crate) fn find(connection: &Connection, query: &Query) -> Result<Vec<Entry>, JournalError> {
    // One transaction: letters and their entries are of the same instant.
    let snapshot = connection.unchecked_transaction()?;
    let mut found = BTreeSet::new();
    match query {
        Query::Letter(letter) => ids_of_letter(&snapshot, &letter.to_bytes(), &mut found)?,
        Query::Address(address) => {
            let sql = "SELECT entry.id, entry.letter FROM address JOIN entry ON entry.id = address.entry
                       WHERE address.address = ?1 ORDER BY entry.id DESC LIMIT ?2";
            ids_of_letters(&snapshot, sql, &fold(address), &mut found)?;
        }
        Query::MessageId(id) => {
            let sql = "SELECT id, letter FROM entry WHERE message_id = ?1 ORDER BY id DESC LIMIT ?2";
            ids_of_letters(&snapshot, sql, bare_message_id(id), &mut found)?;
        }
    }
    let newest = found.len().saturating_sub(ENTRIES_MAX);
    let mut one = snapshot.prepare_cached("SELECT at, letter, event FROM entry WHERE id = ?1")?;
    let mut entries = Vec::new();
    for id in found.into_iter().skip(newest) {
        entries.extend(one.query_row([id], entry).optional()?);
    }
    Ok(entries)
}

fn ids_of_letter(connection: &Connection, letter: &[u8; 16], found: &mut BTreeSet<i64>) -> Result<(), JournalError> {
    let sql = "SELECT id FROM entry WHERE letter = ?1 ORDER BY id DESC LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    for id in statement.query_map(params![letter, limit(ENTRIES_MAX)], |row| row.get(0))? {
        found.insert(id?);
    }
    Ok(())
}

/// The entries that match, and the whole timelines of the letters among them.
fn ids_of_letters(connection: &Connection, sql: &str, key: &str, found: &mut BTreeSet<i64>) -> Result<(), JournalError> {
    let mut letters = BTreeSet::new();
    let mut statement = connection.prepare_cached(sql)?;
    let rows =
        statement.query_map(params![key, limit(ENTRIES_MAX)], |row| Ok((row.get(0)?, row.get::<_, Option<[u8; 16]>>(1)?)))?;
    for row in rows {
        let (id, letter) = row?;
        found.insert(id);
        if letters.len() < LETTERS_MAX {
            letters.extend(letter);
        }
    }
    // Newest first, so that a busy address is cut at its old end.
    for letter in letters.iter().rev() {
        if found.len() > ENTRIES_MAX {
            break;
        }
        ids_of_letter(connection, letter, found)?;
    }
    Ok(())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let at: i64 = row.get(0)?;
    let letter: Option<[u8; 16]> = row.get(1)?;
    let event: String = row.get(2)?;
    let event: Event =
        serde_json::from_str(&event).map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, Type::Text, error.into()))?;
    Ok(Entry { at: UnixMillis(u64::try_from(at).unwrap_or_default()), letter: letter.map(LetterId::from_bytes), event })
}

fn limit(entries: usize) -> i64 {
    i64::try_from(entries).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
