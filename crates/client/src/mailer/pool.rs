//! Connections, shared by all letters of a mailer.
//!
//! A connection is used again only after its server was listened to: one that has said something unasked, or has closed, is dropped before anything is begun on it.
//! After a timeout nothing more is ever said on it, least of all RSET. It serves a limited number of letters and rests for a limited time.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use posthouse_runtime::{clock, task};
use posthouse_smtp::client::RecipientResult;

use super::batch::{Batch, Job};
use super::pace::Pace;
use super::places::Places;
use super::server::Servers;
use crate::connection::{Connection, Outgoing};
use crate::error::ClientError;
use crate::report::SendReport;

/// How much of everything a mailer uses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connections_max: usize,
    pub(super) letters_max: usize,
    pub(super) waiting_max: usize,
    pub(super) idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections_max: 4, letters_max: 1000, waiting_max: 10_000, idle: Duration::from_secs(15) }
    }
}

pub(super) struct Pool {
    pub(super) servers: Servers,
    bounds: Bounds,
    pace: Pace,
    pub(super) places: Places,
    at_rest: Mutex<AtRest>,
}

#[derive(Default)]
struct AtRest {
    line: Vec<(Connection, Instant)>,
    sweeping: bool,
}

/// What a connection tells of itself in each report.
struct About {
    server: String,
    peer: std::net::SocketAddr,
    tls: Option<String>,
}

impl Pool {
    pub(super) fn new(servers: Servers, bounds: Bounds, pace: Pace) -> Self {
        Self { servers, bounds, pace, places: Places::new(bounds.connections_max, bounds.waiting_max), at_rest: Mutex::default() }
    }

    pub(super) fn connections_max(&self) -> usize {
        self.bounds.connections_max
    }

    /// Sends letters of a batch until there are no more, one connection at a time. The error if no connection can be had; then the letter it was for has not ended.
    pub(super) async fn work(self: &Arc<Self>, batch: &Batch) -> Result<(), (Job, ClientError)> {
        let mut first = batch.take();
        while let Some(job) = first.take() {
            while let Err(wait) = self.pace.take(clock::now()) {
                clock::sleep(wait).await;
            }
            let (connection, rested) = match self.connection().await {
                Ok(found) => found,
                Err(error) => return Err((job, error)),
            };
            first = self.serve(connection, rested, job, batch).await.or_else(|| batch.take());
        }
        Ok(())
    }

    /// Sends letters over one connection as long as it lasts; a letter that was taken and not begun.
    async fn serve(self: &Arc<Self>, mut connection: Connection, rested: bool, job: Job, batch: &Batch) -> Option<Job> {
        let about = About::of(&connection);
        let left = self.bounds.letters_max.saturating_sub(connection.letters());
        let mut begun = 0;
        let mut held = Some(job);
        let under_way: Mutex<VecDeque<Job>> = Mutex::default();
        let line = || under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = 0;
        let sent = connection
            .send_each(
                &mut || {
                    let job = match held.take() {
                        Some(job) => job,
                        None if begun < left && self.pace.take(clock::now()).is_ok() => batch.take()?,
                        None => return None,
                    };
                    begun += 1;
                    let outgoing = Outgoing { envelope: Cow::Owned(job.envelope()), body: Box::new(job.message.body()) };
                    line().push_back(job);
                    Some(outgoing)
                },
                &mut |results: Vec<RecipientResult>| {
                    ended += 1;
                    let job = line().pop_front();
                    if let Some(job) = job {
                        batch.ended(job, results, about.report(), self.servers.all_or_none);
                    }
                },
            )
            .await;
        let lost = std::mem::take(&mut *line());
        match sent {
            Ok(()) => self.rest(connection).await,
            // A new connection that was gone before anything was begun: nothing is gained by making another.
            Err(error) if !rested && begun == 0 => {
                if let Some(job) = held.take() {
                    batch.failed(job, error);
                }
            }
            Err(error) => lose(lost, error, rested && ended == 0, batch),
        }
        held
    }

    /// A connection at rest, or a new one; whether it was at rest.
    async fn connection(&self) -> Result<(Connection, bool), ClientError> {
        loop {
            let kept = self.line().line.pop();
            let Some((connection, since)) = kept else { break };
            if clock::now().duration_since(since) < self.bounds.idle && connection.letters() < self.bounds.letters_max {
                return Ok((connection, true));
            }
            connection.quit().await;
        }
        self.servers.open().await.map(|connection| (connection, false))
    }

    async fn rest(self: &Arc<Self>, connection: Connection) {
        if !connection.is_reusable() || connection.letters() >= self.bounds.letters_max || self.bounds.idle.is_zero() {
            return connection.quit().await;
        }
        let begin = {
            let mut at_rest = self.line();
            at_rest.line.push((connection, clock::now()));
            !std::mem::replace(&mut at_rest.sweeping, true)
        };
        if begin {
            let (pool, idle) = (Arc::downgrade(self), self.bounds.idle);
            task::spawn("connections at rest", sweep(pool, idle));
        }
    }

    /// Closes what rests, in good order.
    pub(super) async fn close(&self) {
        let all = std::mem::take(&mut self.line().line);
        for (connection, _) in all {
            connection.quit().await;
        }
    }

    fn line(&self) -> MutexGuard<'_, AtRest> {
        self.at_rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that have rested long enough, until none rests or the mailer is gone.
async fn sweep(pool: Weak<Pool>, idle: Duration) {
    loop {
        clock::sleep(idle).await;
        let Some(pool) = pool.upgrade() else { return };
        let (over, empty) = {
            let mut at_rest = pool.line();
            let now = clock::now();
            let (over, young): (Vec<_>, Vec<_>) =
                std::mem::take(&mut at_rest.line).into_iter().partition(|(_, since)| now.duration_since(*since) >= idle);
            at_rest.line = young;
            at_rest.sweeping = !at_rest.line.is_empty();
            (over, !at_rest.sweeping)
        };
        for (connection, _) in over {
            connection.quit().await;
        }
        if empty {
            return;
        }
    }
}

/// The letters that were begun on a lost connection and that nobody got. The first is the one that met the error; those behind it were not looked at.
fn lose(lost: VecDeque<Job>, error: ClientError, rested: bool, batch: &Batch) {
    let mut lost = lost.into_iter();
    let first = lost.next();
    for job in lost.rev() {
        batch.give_back(job);
    }
    match first {
        // A server that closed a connection at rest at this very moment says nothing about the letter.
        Some(mut job) if rested && !job.retried && error.is_connection_lost() => {
            job.retried = true;
            batch.give_back(job);
        }
        Some(job) => batch.failed(job, error),
        None => {}
    }
}

impl About {
    fn of(connection: &Connection) -> Self {
        Self { server: connection.name().to_owned(), peer: connection.peer(), tls: connection.tls().map(ToString::to_string) }
    }

    fn report(&self) -> SendReport {
        SendReport {
            recipients: Vec::new(),
            server: self.server.clone(),
            peer: Some(self.peer),
            tls: self.tls.clone(),
            message_id: None,
        }
    }
}
