//! The layout of `transit.sqlite`, and every statement on it.
//!
//! `user_version` numbers the layout. A file from the future is refused.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Row, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use posthouse_mail::{Domain, UnixMillis};
use posthouse_mailauth::mta_sts::Policy;
use posthouse_mailauth::tls_rpt::{AppliedPolicy, Failure, Session};
use posthouse_runtime::task;

use crate::error::TransitError;
use crate::policies::Known;

/// The layout this code writes.
const VERSION: i64 = 1;
/// How long one process waits for another.
const WAIT: Duration = Duration::from_secs(5);

/// Version 1.
///
/// - `session`: how often the TLS of connections ended in one way: on a day (counted from 1970, UTC), for a domain, under a policy (the JSON of a
///   report's `policy`), with a failure (the JSON of one, without the count; empty for none).
/// - `policy`: the MTA-STS policy of each domain that has one, as text, with the `id` of the TXT record under which it was fetched. Times are
///   milliseconds since 1970.
const LAYOUT: &str = "
CREATE TABLE policy (
    domain  TEXT PRIMARY KEY,
    id      TEXT NOT NULL,
    text    TEXT NOT NULL,
    fetched INTEGER NOT NULL,
    used    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    day     INTEGER NOT NULL,
    domain  TEXT NOT NULL,
    policy  TEXT NOT NULL,
    failure TEXT NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (day, domain, policy, failure)
) STRICT, WITHOUT ROWID;
";

/// The rows of sessions, in all and of one domain in a day: whoever makes us fail in ever new ways does not fill the disk.
const SESSIONS_MAX: i64 = 200_000;
const SESSIONS_PER_DOMAIN_MAX: i64 = 200;

/// The file. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Mutex<Connection>>);

impl Store {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// [`TransitError`].
    pub fn open(path: &Path) -> Result<Self, TransitError> {
        // Who writes to whom is nobody else's business; SQLite gives its -wal and -shm files the mode of the file.
        OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(|error| TransitError::at(path, error))?;
        Self::on(Connection::open(path).map_err(|error| TransitError::at(path, error))?, path)
    }

    /// Without a file: everything is forgotten with it.
    ///
    /// # Errors
    /// [`TransitError`].
    pub fn in_memory() -> Result<Self, TransitError> {
        Self::on(Connection::open_in_memory()?, Path::new(":memory:"))
    }

    fn on(mut connection: Connection, path: &Path) -> Result<Self, TransitError> {
        connection.busy_timeout(WAIT)?;
        connection.pragma_update(None, "journal_mode", "wal").map_err(|error| TransitError::at(path, error))?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match found {
            0 => {
                transaction.execute_batch(LAYOUT)?;
                transaction.pragma_update(None, "user_version", VERSION)?;
            }
            VERSION => {}
            found => return Err(TransitError::Newer { path: path.to_owned(), found, known: VERSION }),
        }
        transaction.commit()?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Every policy in the file. One that cannot be read any more is left out: it is fetched again.
    pub(crate) fn policies(&self) -> Result<Vec<(Domain, Known)>, TransitError> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statement = connection.prepare("SELECT domain, id, text, fetched, used FROM policy")?;
        let rows = statement.query_map([], |row| Ok(known(row)))?;
        rows.filter_map(|row| row.map_err(TransitError::from).and_then(|known| Ok(known?)).transpose()).collect()
    }

    /// Writes a policy in the place of the one that is there.
    pub(crate) async fn put(&self, domain: &Domain, known: &Known) -> Result<(), TransitError> {
        let (domain, id, text) = (domain.to_string(), known.id.clone(), known.policy.to_string());
        let (fetched, used) = (millis(known.fetched), millis(known.used()));
        self.write(move |connection| {
            let values = params![domain, id, text, fetched, used];
            connection
                .execute("INSERT OR REPLACE INTO policy (domain, id, text, fetched, used) VALUES (?1, ?2, ?3, ?4, ?5)", values)?;
            Ok(())
        })
        .await
    }

    /// Removes policies.
    pub(crate) async fn remove(&self, domains: Vec<Domain>) -> Result<(), TransitError> {
        self.write(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for domain in &domains {
                transaction.execute("DELETE FROM policy WHERE domain = ?1", [domain.as_str()])?;
            }
            Ok(transaction.commit()?)
        })
        .await
    }

    /// Counts sessions of a day.
    pub(crate) fn count(&self, day: i64, sessions: &[Session]) -> Result<(), TransitError> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let rows: i64 = transaction.query_row("SELECT count(*) FROM session", [], |row| row.get(0))?;
            let mut again = transaction.prepare_cached(
                "UPDATE session SET count = count + 1 WHERE day = ?1 AND domain = ?2 AND policy = ?3 AND failure = ?4",
            )?;
            let mut anew = transaction.prepare_cached(
                "INSERT INTO session (day, domain, policy, failure, count) SELECT ?1, ?2, ?3, ?4, 1
                 WHERE (SELECT count(*) FROM session WHERE day = ?1 AND domain = ?2) < ?5",
            )?;
            for session in sessions {
                let policy = json(&session.policy)?;
                let failure = session.failure.as_ref().map(json).transpose()?.unwrap_or_default();
                let domain = &session.policy.policy_domain;
                if again.execute(params![day, domain, policy, failure])? == 0 && rows < SESSIONS_MAX {
                    anew.execute(params![day, domain, policy, failure, SESSIONS_PER_DOMAIN_MAX])?;
                }
            }
        }
        Ok(transaction.commit()?)
    }

    /// The days before `day` of which sessions are counted, each with its domains.
    pub(crate) async fn days_before(&self, day: i64) -> Result<Vec<(i64, Domain)>, TransitError> {
        self.write(move |connection| {
            let mut statement =
                connection.prepare("SELECT DISTINCT day, domain FROM session WHERE day < ?1 ORDER BY day, domain")?;
            let rows = statement.query_map([day], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
            let known = rows.filter_map(|row| row.map(|(day, domain)| Some((day, domain.parse().ok()?))).transpose());
            Ok(known.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// What was counted for a domain on a day: policy, failure, how often.
    pub(crate) async fn counted(&self, day: i64, domain: &Domain) -> Result<Vec<Counted>, TransitError> {
        let domain = domain.to_string();
        self.write(move |connection| {
            let mut statement = connection
                .prepare("SELECT policy, failure, count FROM session WHERE day = ?1 AND domain = ?2 ORDER BY policy, failure")?;
            let rows = statement.query_map(params![day, domain], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
            })?;
            let mut counted = Vec::new();
            for row in rows {
                let (policy, failure, count) = row?;
                let failure = if failure.is_empty() { None } else { Some(read(&failure)?) };
                counted.push((read(&policy)?, failure, u64::try_from(count).unwrap_or_default()));
            }
            Ok(counted)
        })
        .await
    }

    /// Lets go what was counted for a domain on a day.
    pub(crate) async fn let_go(&self, day: i64, domain: &Domain) -> Result<(), TransitError> {
        let domain = domain.to_string();
        self.write(move |connection| {
            connection.execute("DELETE FROM session WHERE day = ?1 AND domain = ?2", params![day, domain])?;
            Ok(())
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, TransitError> + Send + 'static,
    ) -> Result<T, TransitError> {
        let connection = Arc::clone(&self.0);
        // A panic in `work` rolled its transaction back, so the connection behind a poisoned lock is sound.
        task::blocking(move || work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

/// A policy, what went wrong under it, and how often.
pub(crate) type Counted = (AppliedPolicy, Option<Failure>, u64);

fn json(value: &impl Serialize) -> Result<String, TransitError> {
    serde_json::to_string(value).map_err(|error| TransitError::Storage(error.to_string()))
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, TransitError> {
    serde_json::from_str(text).map_err(|error| TransitError::Storage(error.to_string()))
}

fn known(row: &Row<'_>) -> rusqlite::Result<Option<(Domain, Known)>> {
    let (domain, id, text): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let at = |millis: i64| UnixMillis(u64::try_from(millis).unwrap_or_default());
    let (fetched, used) = (at(row.get(3)?), at(row.get(4)?));
    let parsed = domain.parse().ok().zip(Policy::parse(text.as_bytes()).ok());
    Ok(parsed.map(|(domain, policy)| (domain, Known::new(policy, id, fetched, used))))
}

fn millis(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}
