//! The layout of `reports.sqlite`, and how it is opened.
//!
//! `user_version` numbers the layout. A file from the future is refused.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;

use posthouse_runtime::task;

use crate::error::ReportsError;

/// The layout this code writes.
const VERSION: i64 = 3;
/// How long one process waits for another.
const WAIT: Duration = Duration::from_secs(5);

/// Version 1.
///
/// - `published`: what a domain asked for, last, on a day (counted from 1970, UTC): the JSON of a report's `published`.
/// - `evaluated`: how many letters there were on a day that said they were of the domain, and of which the same was found: the JSON of a report's row.
const LAYOUT: &str = "
CREATE TABLE published (
    day     INTEGER NOT NULL,
    domain  TEXT NOT NULL,
    record  TEXT NOT NULL,
    PRIMARY KEY (day, domain)
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluated (
    day     INTEGER NOT NULL,
    domain  TEXT NOT NULL,
    found   TEXT NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (day, domain, found)
) STRICT, WITHOUT ROWID;
";

/// Version 2 adds:
///
/// - `report`: what came in, each report once: kind, domain and author's domain, and the reporter's name for it. `document` is the JSON of it. `begins` and
///   `ends` are seconds, `received` milliseconds since 1970.
const LAYOUT_2: &str = "
CREATE TABLE report (
    id       INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    domain   TEXT NOT NULL,
    reporter TEXT NOT NULL,
    sender   TEXT NOT NULL,
    name     TEXT NOT NULL,
    verified INTEGER NOT NULL,
    begins   INTEGER NOT NULL,
    ends     INTEGER NOT NULL,
    received INTEGER NOT NULL,
    letter   TEXT NOT NULL,
    document TEXT NOT NULL,
    UNIQUE (kind, domain, sender, name)
) STRICT;

CREATE INDEX report_by_time ON report (received);
";

/// Version 3 adds:
///
/// - `sent`: what we sent: `dmarc-report`, `tls-report`, `failure-report`; on which domain, where to, and the host there; `letter` is empty for what went by HTTPS. `at` is
///   in milliseconds since 1970.
const LAYOUT_3: &str = "
CREATE TABLE sent (
    id       INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    domain   TEXT NOT NULL,
    receiver TEXT NOT NULL,
    host     TEXT NOT NULL,
    letter   TEXT NOT NULL,
    at       INTEGER NOT NULL
) STRICT;

CREATE INDEX sent_by_host ON sent (host, at);
";

/// The file. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Mutex<Connection>>);

impl Store {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// [`ReportsError`].
    pub fn open(path: &Path) -> Result<Self, ReportsError> {
        // Who writes to whom is nobody else's business; SQLite gives its -wal and -shm files the mode of the file.
        OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| ReportsError::at(path, error))?;
        let mut connection = Connection::open(path).map_err(|error| ReportsError::at(path, error))?;
        connection.busy_timeout(WAIT)?;
        connection.pragma_update(None, "journal_mode", "wal").map_err(|error| ReportsError::at(path, error))?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match found {
            0..VERSION => {
                for layout in [LAYOUT, LAYOUT_2, LAYOUT_3].iter().skip(usize::try_from(found).unwrap_or_default()) {
                    transaction.execute_batch(layout)?;
                }
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            VERSION => {}
            found => return Err(ReportsError::Newer { path: path.to_owned(), found, known: VERSION }),
        }
        transaction.commit()?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// For a thread that may wait. A panic under the lock rolled its transaction back, so the connection behind a poisoned lock is sound.
    pub(crate) fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, ReportsError> + Send + 'static,
    ) -> Result<T, ReportsError> {
        let store = self.clone();
        task::blocking(move || work(&mut store.connection())).await
    }
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, ReportsError> {
    serde_json::to_string(value).map_err(|error| ReportsError::Storage(error.to_string()))
}

pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, ReportsError> {
    serde_json::from_str(text).map_err(|error| ReportsError::Storage(error.to_string()))
}
