//! The reports that came in, kept for over a year if nothing else is set.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior, params};
use serde::Serialize;

use posthouse_mail::{Domain, LetterId, UnixMillis};
use posthouse_runtime::sync::AsyncMutex;
use posthouse_runtime::task;

use crate::error::ReportsError;
use crate::incoming::{self, Incoming, Read};
use crate::settings::Settings;
use crate::store::{Store, json, read};

/// Reports in all; beyond it the oldest go.
pub(crate) const REPORTS_MAX: i64 = 50_000;
/// Reports of one day. More are letters like others: whoever sends thousands does not wash away what honest ones said.
const REPORTS_PER_DAY_MAX: i64 = 2_000;
const DAY: Duration = Duration::from_hours(24);

/// Reads and keeps. Clones share the file.
#[derive(Clone)]
pub struct Received {
    pub(crate) store: Store,
    /// How long they are kept.
    pub(crate) keep: Duration,
    /// One is read at a time: each may be large when it is unpacked.
    turn: Arc<AsyncMutex<()>>,
}

/// What became of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filed {
    /// It is kept, or was before.
    Kept(Entry),
    /// It is a letter like others, for this reason.
    Unread(String),
}

/// A report that is kept, without what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its number here.
    pub id: i64,
    /// `dmarc`, `tls`, `feedback`.
    pub kind: String,
    /// The domain it is about.
    pub domain: String,
    /// Who reports, as it calls itself.
    pub reporter: String,
    /// The domain of the letter's author.
    pub sender: String,
    /// Whether we found that the author is who it says.
    pub verified: bool,
    /// The first moment it is about, in seconds since 1970.
    pub begins: u64,
    /// The last.
    pub ends: u64,
    /// When it came, in milliseconds since 1970.
    pub received: u64,
    /// The letter it came in.
    pub letter: String,
}

impl Received {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// [`ReportsError`].
    pub fn open(path: &Path) -> Result<Self, ReportsError> {
        Store::open(path).map(|store| Self::new(&store, &Settings::default()))
    }

    /// Works on the file.
    #[must_use]
    pub fn new(store: &Store, settings: &Settings) -> Self {
        Self { store: store.clone(), keep: settings.keep.duration(), turn: Arc::new(AsyncMutex::new(())) }
    }

    /// Reads a letter and keeps the report in it. The same report is kept once, however often it comes.
    ///
    /// # Errors
    /// [`ReportsError`]; what is wrong with the letter is none.
    pub async fn file(
        &self,
        letter: Vec<u8>,
        id: LetterId,
        hostname: &Domain,
        ours: Vec<Domain>,
        now: UnixMillis,
    ) -> Result<Filed, ReportsError> {
        let _turn = self.turn.lock().await;
        let hostname = hostname.clone();
        let read = match task::blocking(move || incoming::read(&letter, &hostname)).await {
            Ok(read) => read,
            Err(error) => return Ok(Filed::Unread(error.to_string())),
        };
        // Whatever strangers say of strangers is no concern of ours.
        let about = read.report.domain().parse::<Domain>().ok();
        let is_ours =
            |about: &Domain| std::iter::successors(Some(about.clone()), Domain::parent).any(|name| ours.contains(&name));
        if !about.as_ref().is_some_and(is_ours) {
            let why = format!("the report is about {:?}, which is no domain of ours", read.report.domain());
            return Ok(Filed::Unread(why));
        }
        let kept = self.keep;
        self.store.with(move |connection| keep(connection, &read, id, (now, kept))).await
    }

    /// The reports that came since then, the latest first; of one domain and those below it, if that is named.
    ///
    /// # Errors
    /// [`ReportsError`].
    pub async fn list(&self, since: UnixMillis, domain: Option<&Domain>) -> Result<Vec<Entry>, ReportsError> {
        let domain = domain.cloned();
        self.store
            .with(move |connection| {
                let mut statement = connection.prepare(
                    "SELECT id, kind, domain, reporter, sender, verified, begins, ends, received, letter FROM report
                     WHERE received >= ?1 ORDER BY received DESC, id DESC",
                )?;
                let rows = statement.query_map([millis(since)], entry)?;
                let wanted = |entry: &Entry| domain.as_ref().is_none_or(|domain| is_within(&entry.domain, domain));
                Ok(rows.filter(|row| row.as_ref().map_or(true, wanted)).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// A report, by its number.
    ///
    /// # Errors
    /// [`ReportsError`].
    pub async fn show(&self, id: i64) -> Result<Option<(Entry, Incoming)>, ReportsError> {
        self.store
            .with(move |connection| {
                let found = connection
                    .query_row(
                        "SELECT id, kind, domain, reporter, sender, verified, begins, ends, received, letter, document FROM report WHERE id = ?1",
                        [id],
                        |row| Ok((entry(row)?, row.get::<_, String>(10)?)),
                    )
                    .optional()?;
                found.map(|(entry, document)| Ok((entry, read(&document)?))).transpose()
            })
            .await
    }
}

pub(crate) fn is_within(name: &str, domain: &Domain) -> bool {
    name == domain.as_str() || name.strip_suffix(domain.as_str()).is_some_and(|front| front.ends_with('.'))
}

fn keep(
    connection: &mut Connection,
    read: &Read,
    letter: LetterId,
    (now, kept): (UnixMillis, Duration),
) -> Result<Filed, ReportsError> {
    let Read { report, sender, is_verified } = read;
    let (name, begins, ends) = match report {
        Incoming::Dmarc(report) => (report.report_id.clone(), report.begins, report.ends),
        Incoming::Tls(report) => {
            let seconds = |text: &str| UnixMillis::from_rfc3339(text).unwrap_or(now).0 / 1000;
            (report.report_id.clone(), seconds(&report.date_range.start_datetime), seconds(&report.date_range.end_datetime))
        }
        Incoming::Feedback(_) => (letter.to_string(), now.0 / 1000, now.0 / 1000),
    };
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let known = params![report.kind(), report.domain(), sender, name];
    let find = "SELECT id, kind, domain, reporter, sender, verified, begins, ends, received, letter FROM report
                WHERE kind = ?1 AND domain = ?2 AND sender = ?3 AND name = ?4";
    if let Some(entry) = transaction.query_row(find, known, entry).optional()? {
        return Ok(Filed::Kept(entry));
    }
    let today: i64 =
        transaction.query_row("SELECT count(*) FROM report WHERE received > ?1", [millis(before(now, DAY))], |row| row.get(0))?;
    if today >= REPORTS_PER_DAY_MAX {
        return Ok(Filed::Unread(format!("{REPORTS_PER_DAY_MAX} reports came in a day, and more are not read")));
    }
    transaction.execute("DELETE FROM report WHERE received < ?1", [millis(before(now, kept))])?;
    transaction.execute(
        "DELETE FROM report WHERE id IN (SELECT id FROM report ORDER BY id DESC LIMIT -1 OFFSET ?1)",
        [REPORTS_MAX - 1],
    )?;
    transaction.execute(
        "INSERT INTO report (kind, domain, reporter, sender, name, verified, begins, ends, received, letter, document)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            report.kind(),
            report.domain(),
            report.reporter(),
            sender,
            name,
            is_verified,
            signed(begins),
            signed(ends),
            millis(now),
            letter.to_string(),
            json(report)?
        ],
    )?;
    let entry = transaction.query_row(find, params![report.kind(), report.domain(), sender, name], entry)?;
    transaction.commit()?;
    Ok(Filed::Kept(entry))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let unsigned = |place: usize| row.get::<_, i64>(place).map(|number| u64::try_from(number).unwrap_or_default());
    Ok(Entry {
        id: row.get(0)?,
        kind: row.get(1)?,
        domain: row.get(2)?,
        reporter: row.get(3)?,
        sender: row.get(4)?,
        verified: row.get(5)?,
        begins: unsigned(6)?,
        ends: unsigned(7)?,
        received: unsigned(8)?,
        letter: row.get(9)?,
    })
}

pub(crate) fn before(now: UnixMillis, time: Duration) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

pub(crate) fn millis(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
