//! Connections at rest.
//!
//! A connection is kept a short while after a letter, because the next letter for the same host is often near; it is looked at before it is used
//! again, and closed in good order when its time is over. Losing one loses nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use posthouse_runtime::{clock, task};

use crate::connection::Connection;
use crate::target::Known;

/// The connections that rest at a time, over all hosts.
const AT_REST_MAX: usize = 100;

/// The hosts of which something is remembered.
const KNOWN_MAX: usize = 10_000;

/// The connections of one thread to any number of hosts. Clones share them.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    letters_max: u32,
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// In an order that is the same in every run.
    at_rest: BTreeMap<String, Vec<Kept>>,
    sweeping: bool,
    known: HashMap<String, Known>,
}

/// A connection, and how many letters it has carried.
pub struct Kept {
    /// The connection.
    pub connection: Connection,
    /// So many.
    pub letters: u32,
    until: Instant,
}

impl Pool {
    /// Connections carry so many letters, and rest so long.
    #[must_use]
    pub fn new(letters_max: u32, idle: Duration) -> Self {
        Self(Arc::new(Inner { letters_max, idle, state: Mutex::default() }))
    }

    /// A connection at rest. The line says all that must be the same: the host, and what was asked of the connection to it.
    #[must_use]
    pub fn take(&self, host: &str) -> Option<Kept> {
        let now = clock::now();
        let mut state = self.state();
        let line = state.at_rest.get_mut(host)?;
        // The one used last is the likeliest to be alive.
        let kept = line.pop().filter(|kept| kept.until > now);
        if line.is_empty() {
            state.at_rest.remove(host);
        }
        kept
    }

    /// Keeps a connection for the next letter, or closes it when it has served its time or enough others rest.
    pub async fn put(&self, host: &str, connection: Connection, letters: u32) {
        let resting = self.state().at_rest.values().map(Vec::len).sum::<usize>();
        if resting >= AT_REST_MAX || letters >= self.0.letters_max || self.0.idle.is_zero() || !connection.is_reusable() {
            return connection.quit().await;
        }
        let start = {
            let mut state = self.state();
            let until = clock::now() + self.0.idle;
            state.at_rest.entry(host.to_owned()).or_default().push(Kept { connection, letters, until });
            !std::mem::replace(&mut state.sweeping, true)
        };
        if start {
            let pool = self.clone();
            task::spawn("connection sweeper", async move { pool.sweep().await });
        }
    }

    /// What connections to a host have found out ([`Target::known`](crate::Target::known)).
    #[must_use]
    pub fn known(&self, host: &str) -> Known {
        let mut state = self.state();
        // It is found out again.
        if state.known.len() >= KNOWN_MAX {
            state.known.clear();
        }
        state.known.entry(host.to_owned()).or_default().clone()
    }

    /// Closes all that rest, in good order.
    pub async fn close(&self) {
        let all = std::mem::take(&mut self.state().at_rest);
        for kept in all.into_values().flatten() {
            kept.connection.quit().await;
        }
    }

    /// Closes what has rested too long; ends when nothing rests.
    async fn sweep(&self) {
        loop {
            clock::sleep(self.0.idle).await;
            let (over, empty) = self.expired(clock::now());
            for kept in over {
                kept.connection.quit().await;
            }
            if empty {
                return;
            }
        }
    }

    fn expired(&self, now: Instant) -> (Vec<Kept>, bool) {
        let mut state = self.state();
        let mut over = Vec::new();
        for line in state.at_rest.values_mut() {
            let (old, young): (Vec<_>, Vec<_>) = std::mem::take(line).into_iter().partition(|kept| kept.until <= now);
            over.extend(old);
            *line = young;
        }
        state.at_rest.retain(|_, line| !line.is_empty());
        state.sweeping = !state.at_rest.is_empty();
        (over, !state.sweeping)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
