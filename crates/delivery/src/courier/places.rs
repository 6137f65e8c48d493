//! How many deliveries are under way: in all, and to one host.
//!
//! Letters for a host that has no place free wait in its line, and cost nothing but memory meanwhile; only a letter that is being carried
//! takes a place of all. A host's line is bounded, so that one slow host cannot take all the room there is to wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthouse_runtime::clock;
use posthouse_runtime::sync::{OwnedSemaphorePermit, Semaphore};

/// Letters that may wait for places, for each place of all. With [`Places::letters_max`] it bounds the memory of waiting letters: some 30 KiB each, most of it the dialogue to come.
const WAITING_PER_PLACE: usize = 10;
/// How long a letter waits for room in a full line. A host that is merely busy makes room in this time; one that is slow does not.
const ROOM_MAX: Duration = Duration::from_secs(1);
/// The hosts that are remembered before those with nobody in line are forgotten.
const HOSTS_REMEMBERED_MAX: usize = 1000;

/// The places of one worker. Clones share them.
#[derive(Clone)]
pub(crate) struct Places(Arc<Inner>);

struct Inner {
    all: Arc<Semaphore>,
    places_max: usize,
    per_host: usize,
    hosts: Mutex<HashMap<String, Host>>,
}

#[derive(Clone)]
struct Host {
    line: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// A place that is taken; given back when dropped.
pub(crate) struct Place {
    _line: Option<OwnedSemaphorePermit>,
    _host: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
}

impl Places {
    /// So many places in all, and at one host.
    pub(crate) fn new(places_max: usize, per_host: usize) -> Self {
        let places_max = places_max.clamp(1, Semaphore::MAX_PERMITS / (WAITING_PER_PLACE + 1));
        let all = Arc::new(Semaphore::new(places_max));
        Self(Arc::new(Inner { all, places_max, per_host: per_host.clamp(1, places_max), hosts: Mutex::default() }))
    }

    /// The letters that may be out of the queue at a time, carried or waiting.
    pub(crate) fn letters_max(&self) -> usize {
        self.0.places_max * (WAITING_PER_PLACE + 1)
    }

    /// Lets nobody in any more: the server stops.
    pub(crate) fn close(&self) {
        self.0.all.close();
    }

    /// Waits for a place for a mailbox of ours; `None` once closed.
    pub(crate) async fn here(&self) -> Option<Place> {
        Some(Place { _line: None, _host: None, _all: self.of_all().await? })
    }

    /// Waits for a place at a host; `None` when too many wait for it already, and once closed.
    pub(crate) async fn at(&self, name: &str) -> Option<Place> {
        let host = self.host(name);
        let line = match clock::timeout(ROOM_MAX, host.line.acquire_owned()).await {
            Ok(Ok(line)) => line,
            Ok(Err(_)) | Err(_) => return None,
        };
        let place = host.places.acquire_owned().await.ok()?;
        Some(Place { _line: Some(line), _host: Some(place), _all: self.of_all().await? })
    }

    async fn of_all(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.all).acquire_owned().await.ok()
    }

    fn host(&self, name: &str) -> Host {
        let mut hosts = self.0.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS_REMEMBERED_MAX {
            hosts.retain(|_, host| Arc::strong_count(&host.places) > 1 || Arc::strong_count(&host.line) > 1);
        }
        let new = || Host {
            // Half of the room at most, so that the others have the other half.
            line: Arc::new(Semaphore::new(self.letters_max() / 2)),
            places: Arc::new(Semaphore::new(self.0.per_host)),
        };
        hosts.entry(name.to_owned()).or_insert_with(new).clone()
    }
}

#[cfg(test)]
mod tests;
