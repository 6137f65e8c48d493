//! What came of the TLS of connections, counted by day and domain until it is reported (RFC 8460 §4.1).
//!
//! Noting one never waits: a thread of its own counts what has gathered in one transaction. What cannot be written is lost, and logged; no
//! letter depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use posthouse_mail::{Domain, UnixMillis};
use posthouse_mailauth::tls_rpt::{AppliedPolicy, FailureDetail, Ledger, PolicyResult, Session, Summary};
use posthouse_runtime::actor::{self, BoundedSender, Inbox, Received};
use posthouse_runtime::sync::oneshot;
use posthouse_runtime::{clock, task};

use crate::error::TransitError;
use crate::store::Store;

/// Sessions that wait to be counted.
const WAITING_MAX: usize = 4_096;
/// Those of one transaction.
const BATCH_MAX: usize = 1_024;
/// How long sessions gather before they are counted.
const GATHER: Duration = Duration::from_millis(500);
const DAY_MILLIS: u64 = 86_400_000;

/// Counts sessions. Clones count together; the last one that is dropped has everything written.
#[derive(Clone)]
pub struct Sessions {
    orders: BoundedSender<Order>,
    store: Store,
    lost: Arc<AtomicU64>,
}

enum Order {
    Count(Box<Session>),
    Flushed(oneshot::Sender<()>),
}

impl Sessions {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(store: &Store) -> Result<Self, TransitError> {
        let (orders, waiting) = actor::bounded_inbox(WAITING_MAX);
        let counting = store.clone();
        actor::start("TLS sessions", run(counting, waiting)).map_err(|error| TransitError::Storage(error.to_string()))?;
        Ok(Self { orders, store: store.clone(), lost: Arc::default() })
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
        let (done, told) = oneshot::channel();
        let orders = self.orders.clone();
        // The inbox may be full, and this order must not be lost.
        if task::blocking(move || orders.send(Order::Flushed(done)).is_ok()).await {
            // An error means that the thread is gone, and there is nothing to wait for.
            let _ = told.await;
        }
    }
}

impl Ledger for Sessions {
    fn note(&self, session: Session) {
        if self.orders.try_send(Order::Count(Box::new(session))).is_err() && self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("more TLS sessions end than can be counted; reports on TLS leave some out");
        }
    }
}

async fn run(store: Store, mut waiting: Inbox<Order>) {
    while let Some(first) = waiting.recv().await {
        let (mut sessions, mut told) = (Vec::new(), Vec::new());
        let until = clock::now() + GATHER;
        let mut next = Received::Message(first);
        loop {
            match next {
                Received::Message(Order::Count(session)) => sessions.push(*session),
                Received::Message(Order::Flushed(done)) => told.push(done),
                Received::Nothing | Received::Closed => break,
            }
            // Whoever waits for it waits no longer than for one transaction.
            let rest = if told.is_empty() { until.saturating_duration_since(clock::now()) } else { Duration::ZERO };
            next = if sessions.len() >= BATCH_MAX {
                Received::Nothing
            } else if rest.is_zero() {
                waiting.try_recv()
            } else {
                waiting.recv_within(rest).await
            };
        }
        if !sessions.is_empty()
            && let Err(error) = store.count(day(UnixMillis(clock::unix_millis())), &sessions)
        {
            tracing::error!(%error, sessions = sessions.len(), "what came of TLS sessions cannot be written down");
        }
        for done in told {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
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
