//! The layout of `logins.sqlite`, and nothing else: every table of the file is here.
//!
//! What is in it may be lost without harm, so a transaction is not synced on its own (`synchronous = normal`): after a power cut the last
//! failures are forgotten, after a crash of the process none is. Version 1:
//!
//! - `bucket`: how full each bucket is, and when it was looked at. At most [`ROWS_MAX`]; the longest untouched go first.
//! - `known`: the addresses from which somebody has logged in to an account, and when they last did.
//! - `used`: when and where an app password was last used. Its number is never given twice.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use posthouse_mail::UnixMillis;

use super::LastUse;
use super::level::Level;
use super::subject::{Kind, Subject};
use crate::error::DirectoryError;

const VERSION: i64 = 1;
/// About 20 MB. An attacker with more addresses than that makes us forget the quietest.
const ROWS_MAX: i64 = 200_000;
/// The places known for one account.
const PLACES_MAX: i64 = 100;
/// How many changes there are between two looks at the size.
const PRUNE_EVERY: u32 = 256;
/// After this time without a failure a bucket is empty.
const FORGIVEN_AFTER: Duration = Duration::from_hours(48);
const WAIT: Duration = Duration::from_millis(500);

const LAYOUT: &str = "
CREATE TABLE bucket (
    kind    INTEGER NOT NULL,
    account TEXT NOT NULL,
    place   TEXT NOT NULL,
    level   REAL NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (kind, account, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX bucket_at ON bucket (at);

CREATE TABLE known (
    account TEXT NOT NULL,
    place   TEXT NOT NULL,
    last    INTEGER NOT NULL,
    PRIMARY KEY (account, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE used (
    password INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    place    TEXT NOT NULL,
    protocol TEXT NOT NULL
) STRICT;
";

pub(super) struct Store {
    /// One connection for questions, so that none waits for a checkpoint.
    reader: Mutex<Connection>,
    writer: Mutex<Writer>,
}

struct Writer {
    connection: Connection,
    since_pruned: u32,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Self, DirectoryError> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| DirectoryError::at(path, error))?;
        let mut connection = connect(path)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
            0 => {
                transaction.execute_batch(LAYOUT)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
                transaction.commit()?;
            }
            VERSION => drop(transaction),
            found => return Err(DirectoryError::Newer { path: path.to_owned(), found, known: VERSION }),
        }
        let reader = connect(path)?;
        reader.pragma_update(None, "query_only", true)?;
        Ok(Self { reader: Mutex::new(reader), writer: Mutex::new(Writer { connection, since_pruned: 0 }) })
    }

    pub(super) fn level(&self, subject: &Subject) -> Result<Level, DirectoryError> {
        level(&lock(&self.reader), subject)
    }

    /// Whether somebody has logged in to the account from this place since `since`, and when last.
    pub(super) fn known(&self, place: &Subject, since: UnixMillis) -> Result<Option<UnixMillis>, DirectoryError> {
        let reader = lock(&self.reader);
        let mut statement = reader.prepare_cached("SELECT last FROM known WHERE account = ?1 AND place = ?2 AND last >= ?3")?;
        let last = statement.query_row((&place.account, &place.place, millis(since)), |row| row.get::<_, i64>(0)).optional()?;
        Ok(last.map(time))
    }

    /// Fills the buckets; says how full each was and is.
    pub(super) fn charge(
        &self,
        charges: &[(Subject, u32)],
        cost: f64,
        now: UnixMillis,
    ) -> Result<Vec<(Level, Level)>, DirectoryError> {
        let mut writer = lock(&self.writer);
        let writer = &mut *writer;
        let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut levels = Vec::with_capacity(charges.len());
        for (subject, limit) in charges {
            let before = level(&transaction, subject)?;
            let after = before.charged(now, *limit, cost);
            transaction
                .prepare_cached(
                    "INSERT INTO bucket (kind, account, place, level, at) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT DO UPDATE SET level = excluded.level, at = excluded.at",
                )?
                .execute((subject.kind.code(), &subject.account, &subject.place, after.value, millis(after.at)))?;
            levels.push((before, after));
        }
        writer.since_pruned += 1;
        if writer.since_pruned >= PRUNE_EVERY {
            writer.since_pruned = 0;
            prune(&transaction, now)?;
        }
        transaction.commit()?;
        Ok(levels)
    }

    /// Remembers a place, and forgives what went wrong there.
    pub(super) fn remember(&self, place: &Subject, now: UnixMillis) -> Result<(), DirectoryError> {
        let mut writer = lock(&self.writer);
        let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO known (account, place, last) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET last = excluded.last",
            (&place.account, &place.place, millis(now)),
        )?;
        transaction.execute(
            "DELETE FROM known WHERE account = ?1 AND place IN
             (SELECT place FROM known WHERE account = ?1 ORDER BY last DESC LIMIT -1 OFFSET ?2)",
            (&place.account, PLACES_MAX),
        )?;
        transaction.execute(
            "DELETE FROM bucket WHERE kind = ?1 AND account = ?2 AND place = ?3",
            (Kind::Place.code(), &place.account, &place.place),
        )?;
        Ok(transaction.commit()?)
    }

    pub(super) fn last_use(&self, password: i64) -> Result<Option<LastUse>, DirectoryError> {
        let reader = lock(&self.reader);
        let mut statement = reader.prepare_cached("SELECT at, place, protocol FROM used WHERE password = ?1")?;
        let row = statement
            .query_row([password], |row| Ok(LastUse { at: time(row.get(0)?), peer: row.get(1)?, protocol: row.get(2)? }));
        Ok(row.optional()?)
    }

    pub(super) fn used(&self, password: i64, last: &LastUse) -> Result<(), DirectoryError> {
        lock(&self.writer).connection.execute(
            "INSERT INTO used (password, at, place, protocol) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET at = excluded.at, place = excluded.place, protocol = excluded.protocol",
            (password, millis(last.at), &last.peer, &last.protocol),
        )?;
        Ok(())
    }

    /// Every bucket that is not known to be empty, the newest first.
    pub(super) fn list(&self, now: UnixMillis, max: usize) -> Result<Vec<(Subject, Level)>, DirectoryError> {
        let reader = lock(&self.reader);
        let mut statement = reader
            .prepare_cached("SELECT kind, account, place, level, at FROM bucket WHERE at >= ?1 ORDER BY at DESC LIMIT ?2")?;
        let forgiven = millis(now).saturating_sub(i64::try_from(FORGIVEN_AFTER.as_millis()).unwrap_or(i64::MAX));
        let rows = statement.query_map((forgiven, i64::try_from(max).unwrap_or(i64::MAX)), |row| {
            let level = Level { value: row.get(3)?, at: time(row.get(4)?) };
            Ok((Kind::from_code(row.get(0)?), row.get(1)?, row.get(2)?, level))
        })?;
        let rows = rows.filter_map(|row| match row {
            Ok((kind, account, place, level)) => kind.map(|kind| Ok((Subject { kind, account, place }, level))),
            Err(error) => Some(Err(error.into())),
        });
        rows.collect()
    }

    /// Empties the buckets of a login, an address or a network; all of them for `None`. Says how many there were.
    pub(super) fn clear(&self, text: Option<&str>) -> Result<usize, DirectoryError> {
        let writer = lock(&self.writer);
        Ok(match text {
            Some(text) => writer.connection.execute("DELETE FROM bucket WHERE account = ?1 OR place = ?1", [text])?,
            None => writer.connection.execute("DELETE FROM bucket", [])?,
        })
    }
}

fn connect(path: &Path) -> Result<Connection, DirectoryError> {
    let connection = Connection::open(path).map_err(|error| DirectoryError::at(path, error))?;
    connection.busy_timeout(WAIT)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(|error| DirectoryError::at(path, error))?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn level(connection: &Connection, subject: &Subject) -> Result<Level, DirectoryError> {
    let mut statement =
        connection.prepare_cached("SELECT level, at FROM bucket WHERE kind = ?1 AND account = ?2 AND place = ?3")?;
    let found = statement.query_row((subject.kind.code(), &subject.account, &subject.place), |row| {
        Ok(Level { value: row.get(0)?, at: time(row.get(1)?) })
    });
    Ok(found.optional()?.unwrap_or_default())
}

fn prune(transaction: &Transaction<'_>, now: UnixMillis) -> Result<(), DirectoryError> {
    let forgiven = millis(now).saturating_sub(i64::try_from(FORGIVEN_AFTER.as_millis()).unwrap_or(i64::MAX));
    transaction.execute("DELETE FROM bucket WHERE at < ?1", [forgiven])?;
    let rows: i64 = transaction.query_row("SELECT count(*) FROM bucket", [], |row| row.get(0))?;
    if rows > ROWS_MAX {
        transaction.execute(
            "DELETE FROM bucket WHERE (kind, account, place) IN
             (SELECT kind, account, place FROM bucket ORDER BY at LIMIT ?1)",
            [rows - ROWS_MAX * 9 / 10],
        )?;
    }
    Ok(())
}

/// A panic under the lock rolled its transaction back, so the connection behind a poisoned lock is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

fn time(millis: i64) -> UnixMillis {
    UnixMillis(u64::try_from(millis).unwrap_or_default())
}
