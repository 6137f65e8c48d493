//! What was found of letters that say they are of a domain that wants to know, counted by day until it is reported (RFC 9990 §3).
//!
//! Noting one never waits: a thread of its own counts what has gathered in one transaction. What cannot be written is lost, and logged; no
//! letter depends on it.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use posthouse_mail::{Domain, UnixMillis};
use posthouse_mailauth::dmarc::aggregate::Row;
use posthouse_mailauth::dmarc::{Evaluation, Ledger, Published};
use posthouse_runtime::clock;
use posthouse_runtime::gather::Gatherer;

use crate::error::ReportsError;
use crate::store::{Store, json, read};

const DAY_MILLIS: u64 = 86_400_000;
/// The rows, in all and of one domain in a day: whoever sends from ever new addresses in ever new ways does not fill the disk, nor make a
/// report that nobody could take.
const ROWS_MAX: i64 = 500_000;
const ROWS_PER_DOMAIN_MAX: i64 = 5_000;

/// Counts evaluations. Clones count together; the last one that is dropped has everything written.
#[derive(Clone)]
pub struct Evaluations {
    counted: Gatherer<Evaluation>,
    store: Store,
}

/// What a domain asked for, and what was found of how many letters.
pub type Found = (Published, Vec<(Row, u64)>);

impl Evaluations {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(store: &Store) -> Result<Self, ReportsError> {
        let counting = store.clone();
        let write = move |evaluations: Vec<Evaluation>| {
            let today = day(UnixMillis(clock::unix_millis()));
            if let Err(error) = count(&mut counting.connection(), today, &evaluations) {
                tracing::error!(%error, letters = evaluations.len(), "what was found of letters cannot be written down for reports");
            }
        };
        let counted = Gatherer::start("evaluations", write).map_err(|error| ReportsError::Storage(error.to_string()))?;
        Ok(Self { counted, store: store.clone() })
    }

    /// The days that were over before `now` and are not reported yet: the first moment of each, with its domains.
    ///
    /// # Errors
    /// [`ReportsError`].
    pub async fn over(&self, now: UnixMillis) -> Result<Vec<(UnixMillis, Domain)>, ReportsError> {
        let today = day(now);
        self.store
            .with(move |connection| {
                let mut statement =
                    connection.prepare("SELECT day, domain FROM published WHERE day < ?1 ORDER BY day, domain")?;
                let rows = statement.query_map([today], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
                let known = rows.filter_map(|row| row.map(|(day, domain)| Some((begins(day), domain.parse().ok()?))).transpose());
                Ok(known.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// What was found on the day that begins then; `None` for a day that is let go.
    ///
    /// # Errors
    /// [`ReportsError`].
    pub async fn found(&self, begins: UnixMillis, domain: &Domain) -> Result<Option<Found>, ReportsError> {
        let (day, domain) = (day(begins), domain.to_string());
        self.store
            .with(move |connection| {
                let record: Option<String> = connection
                    .query_row("SELECT record FROM published WHERE day = ?1 AND domain = ?2", params![day, domain], |row| {
                        row.get(0)
                    })
                    .optional()?;
                let Some(record) = record else { return Ok(None) };
                let mut statement = connection
                    .prepare("SELECT found, count FROM evaluated WHERE day = ?1 AND domain = ?2 ORDER BY count DESC, found")?;
                let rows =
                    statement.query_map(params![day, domain], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
                let mut found = Vec::new();
                for row in rows {
                    let (row, count) = row?;
                    found.push((read(&row)?, u64::try_from(count).unwrap_or_default()));
                }
                Ok(Some((read(&record)?, found)))
            })
            .await
    }

    /// Lets a day of a domain go: it is reported, or nobody wants to know.
    ///
    /// # Errors
    /// [`ReportsError`].
    pub async fn let_go(&self, begins: UnixMillis, domain: &Domain) -> Result<(), ReportsError> {
        let (day, domain) = (day(begins), domain.to_string());
        self.store
            .with(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                transaction.execute("DELETE FROM evaluated WHERE day = ?1 AND domain = ?2", params![day, domain])?;
                transaction.execute("DELETE FROM published WHERE day = ?1 AND domain = ?2", params![day, domain])?;
                Ok(transaction.commit()?)
            })
            .await
    }

    /// Waits until everything noted before is counted.
    pub async fn flush(&self) {
        self.counted.flush().await;
    }
}

impl Ledger for Evaluations {
    fn note(&self, evaluation: Evaluation) {
        self.counted.put(evaluation);
    }
}

fn count(connection: &mut Connection, day: i64, evaluations: &[Evaluation]) -> Result<(), ReportsError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let rows: i64 = transaction.query_row("SELECT count(*) FROM evaluated", [], |row| row.get(0))?;
        let mut published =
            transaction.prepare_cached("INSERT OR REPLACE INTO published (day, domain, record) VALUES (?1, ?2, ?3)")?;
        let mut again =
            transaction.prepare_cached("UPDATE evaluated SET count = count + 1 WHERE day = ?1 AND domain = ?2 AND found = ?3")?;
        let mut anew = transaction.prepare_cached(
            "INSERT INTO evaluated (day, domain, found, count) SELECT ?1, ?2, ?3, 1
             WHERE (SELECT count(*) FROM evaluated WHERE day = ?1 AND domain = ?2) < ?4",
        )?;
        for evaluation in evaluations {
            let domain = &evaluation.published.domain;
            let found = json(&evaluation.row)?;
            if again.execute(params![day, domain, found])? == 0
                && (rows >= ROWS_MAX || anew.execute(params![day, domain, found, ROWS_PER_DOMAIN_MAX])? == 0)
            {
                continue;
            }
            // RFC 9990 §3.1: what was published last counts.
            published.execute(params![day, domain, json(&evaluation.published)?])?;
        }
    }
    Ok(transaction.commit()?)
}

fn day(at: UnixMillis) -> i64 {
    i64::try_from(at.0 / DAY_MILLIS).unwrap_or(i64::MAX)
}

fn begins(day: i64) -> UnixMillis {
    UnixMillis(u64::try_from(day).unwrap_or_default().saturating_mul(DAY_MILLIS))
}

#[cfg(test)]
mod tests;
