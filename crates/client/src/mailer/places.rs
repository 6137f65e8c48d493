//! Places for connections, and the line of those who wait for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use posthouse_runtime::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ClientError;

/// So many connections at a time, and so many who wait.
pub(super) struct Places {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl Places {
    pub(super) fn new(connections_max: usize, waiting_max: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(connections_max)), waiting: AtomicUsize::new(0), waiting_max }
    }

    /// A place for one connection; waits for it, unless too many wait already.
    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, ClientError> {
        if let Some(place) = self.free_place() {
            return Ok(place);
        }
        let waits = Waits::begin(&self.waiting);
        if waits.others >= self.waiting_max {
            return Err(ClientError::Busy { waiting: waits.others });
        }
        let place = Arc::clone(&self.free).acquire_owned().await;
        // The semaphore is never closed.
        place.map_err(|_| ClientError::Busy { waiting: waits.others })
    }

    /// A place if there is one now.
    pub(super) fn free_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }
}

/// One who waits, counted until it is dropped.
struct Waits<'a> {
    count: &'a AtomicUsize,
    others: usize,
}

impl<'a> Waits<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        Self { count, others: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
