//! What a reading connection has answered since the file last changed.
//!
//! SQLite knows of each connection whether anybody else, of this process or another, has committed since it last looked
//! (`PRAGMA data_version`), at the price of several locks. It is asked once a millisecond at most: what this process has changed is seen at once, what another has
//! changed a millisecond later at the latest. What changed is forgotten as a whole. Mistakes are not remembered, nor what leads so far that it would take much memory.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use posthouse_mail::{Address, Domain};
use posthouse_runtime::clock;

use crate::error::DirectoryError;
use crate::names::Route;

/// The addresses, and the domains elsewhere, of which answers are remembered: some megabytes for each reading connection at most.
const REMEMBERED_MAX: usize = 8_192;
/// An answer with more addresses is looked up each time.
const TARGETS_REMEMBERED_MAX: usize = 16;

/// How long another process's change may go unseen.
const UNSEEN_MAX: Duration = Duration::from_millis(1);

/// How often this process has changed a directory.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// This process has changed a directory.
pub(crate) fn changed() {
    CHANGES.fetch_add(1, Ordering::Release);
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// When the file was last looked at, and how often this process had changed it by then.
    looked: Option<(Instant, u64)>,
    /// The file's state that the rest is of.
    version: Option<i64>,
    elsewhere: HashSet<Domain>,
    routes: HashMap<Address, Route>,
    ends: HashMap<Address, Vec<Address>>,
    /// Whether any account has a rule for senders.
    pub(crate) has_sender_rules: Option<bool>,
}

impl Memory {
    /// Forgets what was answered before the file last changed.
    pub(crate) fn refresh(&mut self, connection: &Connection) -> Result<(), DirectoryError> {
        let (now, changes) = (clock::now(), CHANGES.load(Ordering::Acquire));
        if self.looked.is_some_and(|(at, then)| then == changes && now.saturating_duration_since(at) < UNSEEN_MAX) {
            return Ok(());
        }
        let version = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.version != Some(version) {
            *self = Self { version: Some(version), ..Self::default() };
        }
        self.looked = Some((now, changes));
        Ok(())
    }

    pub(crate) fn route(&self, address: &Address) -> Option<Route> {
        if self.elsewhere.contains(address.domain()) {
            return Some(Route::Elsewhere);
        }
        self.routes.get(address).cloned()
    }

    pub(crate) fn keep_route(&mut self, address: &Address, route: &Route) {
        match route {
            Route::Elsewhere => {
                if self.elsewhere.len() >= REMEMBERED_MAX {
                    self.elsewhere.clear();
                }
                self.elsewhere.insert(address.domain().clone());
            }
            Route::Alias(targets) if targets.len() > TARGETS_REMEMBERED_MAX => {}
            Route::Account { .. } | Route::Alias(_) | Route::Reports | Route::Unknown => {
                keep(&mut self.routes, address, route.clone())
            }
        }
    }

    pub(crate) fn ends(&self, address: &Address) -> Option<Vec<Address>> {
        self.ends.get(address).cloned()
    }

    pub(crate) fn keep_ends(&mut self, address: &Address, ends: &[Address]) {
        if ends.len() <= TARGETS_REMEMBERED_MAX {
            keep(&mut self.ends, address, ends.to_vec());
        }
    }
}

fn keep<T>(answers: &mut HashMap<Address, T>, address: &Address, answer: T) {
    if answers.len() >= REMEMBERED_MAX {
        answers.clear();
    }
    answers.insert(address.clone(), answer);
}

#[cfg(test)]
mod tests;
