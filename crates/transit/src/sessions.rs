//! What came of the TLS of connections, counted by day and domain until it is reported (RFC 8460 §4.1).
//!
//! Noting one never waits: a thread of its own counts what has gathered in one transaction. What cannot be written is lost, and logged; no
//! letter depends on it.

use std::collections::BTreeMap;

use posthouse_mail::{Domain, UnixMillis};
use posthouse_mailauth::tls_rpt::{AppliedPolicy, FailureDetail, Ledger, PolicyResult, Session, Summary};
use posthouse_runtime::clock;
use posthouse_runtime::gather::Gatherer;

use crate::error::TransitError;
use crate::store::Store;

const DAY_MILLIS: u64 = 86_400_000;

/// Counts sessions. Clones count together; the last one that is dropped has everything written.
#[derive(Clone)]
pub struct Sessions {
    counted: Gatherer<Session>,
    store: Store,
}

impl Sessions {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(store: &Store) -> Result<Self, TransitError> {
        let counting = store.clone();
        let count = move |sessions: Vec<Session>| {
            if let Err(error) = counting.count(day(UnixMillis(clock::unix_millis())), &sessions) {
                tracing::error!(%error, sessions = sessions.len(), "what came of TLS sessions cannot be written down");
            }
        };
        let counted = Gatherer::start("TLS sessions", count).map_err(|error| TransitError::Storage(error.to_string()))?;
        Ok(Self { counted, store: store.clone() })
    }

    /// The days that were over before `now` and are not reported yet: the first moment of each, with its domains.
    ///
    /// # Errors
    /// [`TransitError`].
    pub async fn over(&self, now: UnixMillis) -> Result<Vec<(UnixMillis, Domain)>, TransitError> {
        let days = self.store.days_before(day(now)).await?;
        Ok(days.into_iter().map(|(day, domain)| (begins(day), domain)).collect())
    }

    /// What came of the sessions with a domain on the day that begins then, by policy.
    ///
    /// # Errors
    /// [`TransitError`].
    pub async fn results(&self, begins: UnixMillis, domain: &Domain) -> Result<Vec<PolicyResult>, TransitError> {
        let mut results: BTreeMap<AppliedPolicy, (Summary, Vec<FailureDetail>)> = BTreeMap::new();
        for (policy, failure, count) in self.store.counted(day(begins), domain).await? {
            let (summary, details) = results.entry(policy).or_default();
            match failure {
                None => summary.total_successful_session_count += count,
                Some(failure) => {
                    summary.total_failure_session_count += count;
                    details.push(FailureDetail { failure, failed_session_count: count });
                }
            }
        }
        let result = |(policy, (summary, failure_details))| PolicyResult { policy, summary, failure_details };
        Ok(results.into_iter().map(result).collect())
    }

    /// Lets a day of a domain go: it is reported, or nobody wants to know.
    ///
    /// # Errors
    /// [`TransitError`].
    pub async fn let_go(&self, begins: UnixMillis, domain: &Domain) -> Result<(), TransitError> {
        self.store.let_go(day(begins), domain).await
    }

    /// Waits until everything noted before is counted.
    pub async fn flush(&self) {
        self.counted.flush().await;
    }
}

impl Ledger for Sessions {
    fn note(&self, session: Session) {
        self.counted.put(session);
    }
}

fn day(at: UnixMillis) -> i64 {
    i64::try_from(at.0 / DAY_MILLIS).unwrap_or(i64::MAX)
}

fn begins(day: i64) -> UnixMillis {
    UnixMillis(u64::try_from(day).unwrap_or_default().saturating_mul(DAY_MILLIS))
}

#[cfg(test)]
mod tests;
