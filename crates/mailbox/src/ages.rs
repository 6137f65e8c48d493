//! How long letters have lain in the Junk folders, by marks instead of dates.
//!
//! Now and then it is written down up to which number each Junk folder was filled. Numbers rise in the order in which letters come into the folder, moved ones too, so whatever has a
//! lower number than an old mark has lain there at least as long. Time is counted here in steps, the longest of which is [`STEP_MAX`]: a clock that jumps ahead by years makes letters two
//! days older, one that jumps back makes none younger, and what happens while the server is off does not happen to letters.
//!
//! The file may be lost without harm: every letter is then kept for its whole time once more. So a transaction is not synced on its own.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use posthouse_runtime::task;

use crate::account::{JunkState, Uid};
use crate::error::MailboxError;
use crate::schema::millis;

/// What one look may add to the age of letters, however far the clock has gone.
pub const STEP_MAX: Duration = Duration::from_hours(48);
/// The marks of an account that stand for the time that letters are kept: its fifteenth part is how late one goes.
const MARKS: u32 = 15;
const VERSION: i64 = 1;
const WAIT: Duration = Duration::from_secs(5);

/// Version 1.
///
/// - `time`: one row. `passed` is the time counted here, `clock` what the clock said then; both in milliseconds.
/// - `mark`: at `passed`, the folder with this `uidvalidity` had taken in the numbers below `uidnext`.
const LAYOUT: &str = "
CREATE TABLE time (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    passed INTEGER NOT NULL,
    clock  INTEGER NOT NULL
) STRICT;

CREATE TABLE mark (
    account     TEXT NOT NULL,
    passed      INTEGER NOT NULL,
    uidvalidity INTEGER NOT NULL,
    uidnext     INTEGER NOT NULL,
    PRIMARY KEY (account, passed)
) STRICT, WITHOUT ROWID;
";

/// The marks of all accounts. A clone is another handle to the same file.
#[derive(Clone)]
pub struct Ages(Arc<Mutex<Connection>>);

/// The time that has passed for letters in Junk folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Passed(i64);

impl Ages {
    /// Opens the file at `path`, and makes it, readable by its owner alone, where there is none.
    ///
    /// # Errors
    /// Storage errors; [`MailboxError::Newer`] for a file from the future.
    pub fn open(path: &Path) -> Result<Self, MailboxError> {
        let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        made.map_err(|error| MailboxError::file(path, &error))?;
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(WAIT)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        match transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))? {
            0 => {
                transaction.execute_batch(LAYOUT)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
                transaction.commit()?;
            }
            VERSION => drop(transaction),
            found => return Err(MailboxError::Newer { path: path.to_owned(), found, known: VERSION }),
        }
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Counts the time since the last look, if `every` has passed since then or the clock went back; `None`: it is too early to look.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn look(&self, clock: u64, every: Duration) -> Result<Option<Passed>, MailboxError> {
        let clock = i64::try_from(clock).unwrap_or(i64::MAX);
        self.run(move |transaction| {
            let last = transaction.query_row("SELECT passed, clock FROM time", [], |row| Ok((row.get(0)?, row.get(1)?)));
            let (passed, since): (i64, i64) = last.optional()?.unwrap_or((0, i64::MIN));
            let step = clock.saturating_sub(since).min(millis(STEP_MAX));
            if (0..millis(every)).contains(&step) {
                return Ok(None);
            }
            let passed = passed.saturating_add(step.max(0));
            let keep = "INSERT INTO time (id, passed, clock) VALUES (1, ?1, ?2)
                        ON CONFLICT (id) DO UPDATE SET passed = excluded.passed, clock = excluded.clock";
            transaction.execute(keep, (passed, clock))?;
            Ok(Some(Passed(passed)))
        })
        .await
    }

    /// Below which number the letters of an account's Junk folder have lain there for `kept`; and makes a mark of how it is now.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn old_below(
        &self,
        account: &str,
        junk: JunkState,
        passed: Passed,
        kept: Duration,
    ) -> Result<Option<Uid>, MailboxError> {
        let account = account.to_owned();
        self.run(move |transaction| {
            let (now, kept) = (passed.0, millis(kept));
            // A folder that was made anew counts from one again.
            transaction.execute("DELETE FROM mark WHERE account = ?1 AND uidvalidity <> ?2", (&account, junk.uidvalidity))?;
            let newest = "SELECT passed, uidnext FROM mark WHERE account = ?1 ORDER BY passed DESC LIMIT 1";
            let newest: Option<(i64, u32)> =
                transaction.query_row(newest, [&account], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let (at, uidnext) = newest.unwrap_or((i64::MIN, 1));
            if junk.uidnext > uidnext && now.saturating_sub(at) >= kept / i64::from(MARKS) {
                let mark = "INSERT INTO mark (account, passed, uidvalidity, uidnext) VALUES (?1, ?2, ?3, ?4)
                            ON CONFLICT DO NOTHING";
                transaction.execute(mark, (&account, now, junk.uidvalidity, junk.uidnext))?;
            }
            let old = "SELECT max(uidnext) FROM mark WHERE account = ?1 AND passed <= ?2";
            let old: Option<u32> = transaction.query_row(old, (&account, now.saturating_sub(kept)), |row| row.get(0))?;
            Ok(old.map(Uid))
        })
        .await
    }

    /// Forgets the marks below which nothing is left.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn emptied(&self, account: &str, passed: Passed, kept: Duration) -> Result<(), MailboxError> {
        let account = account.to_owned();
        self.run(move |transaction| {
            // The newest of them stays: it says how far the folder was filled.
            let forget = "DELETE FROM mark WHERE account = ?1 AND passed <= ?2
                          AND passed < (SELECT max(passed) FROM mark WHERE account = ?1)";
            transaction.execute(forget, (&account, passed.0.saturating_sub(millis(kept))))?;
            Ok(())
        })
        .await
    }

    /// Forgets accounts that are no more.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn only(&self, accounts: Vec<String>) -> Result<(), MailboxError> {
        self.run(move |transaction| {
            let mut statement = transaction.prepare("SELECT DISTINCT account FROM mark")?;
            let marked = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            let accounts: std::collections::HashSet<String> = accounts.into_iter().collect();
            for gone in marked.iter().filter(|account| !accounts.contains(*account)) {
                transaction.execute("DELETE FROM mark WHERE account = ?1", [gone])?;
            }
            Ok(())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, MailboxError> + Send + 'static,
    ) -> Result<T, MailboxError> {
        let connection = Arc::clone(&self.0);
        task::blocking(move || {
            // A panic in `work` rolled its transaction back.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
