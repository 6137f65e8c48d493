//! Connections are shared out evenly among the workers.
//!
//! The kernel gives a connection to a worker by a hash of its addresses, which is even for many connections and anything for a few: ten may all be given
//! to one of two workers, and the other rests. So a worker that clearly has more than another passes a new one on.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::{Job, Workers, send};

/// How many connections each worker has; and a way to all of them.
#[derive(Debug, Clone)]
pub struct Balance {
    workers: Arc<[Share]>,
}

#[derive(Debug)]
struct Share {
    jobs: mpsc::UnboundedSender<Job>,
    count: AtomicUsize,
}

/// A connection's place on a worker, until it is dropped.
#[derive(Debug)]
pub struct Place {
    workers: Arc<[Share]>,
    index: usize,
}

impl Balance {
    pub(super) fn of(workers: &Workers) -> Self {
        let share = |worker: &super::Worker| Share { jobs: worker.jobs.clone(), count: AtomicUsize::new(0) };
        Self { workers: workers.workers.iter().map(share).collect() }
    }

    /// A place for a connection that came to worker `here`: there, or on the one with the fewest when that has less than eight ninths of what is here. Workers that
    /// look at the same moment may both choose it; the next connections make up for that.
    #[must_use]
    pub fn place(&self, here: usize) -> Place {
        let counts = || self.workers.iter().map(|share| share.count.load(Ordering::Relaxed)).enumerate();
        let own = counts().find(|(index, _)| *index == here).map_or(usize::MAX, |(_, count)| count);
        let index = match counts().min_by_key(|(_, count)| *count) {
            Some((index, count)) if own > count + count / 8 => index,
            _ => here,
        };
        if let Some(share) = self.workers.get(index) {
            share.count.fetch_add(1, Ordering::Relaxed);
        }
        Place { workers: Arc::clone(&self.workers), index }
    }
}

impl Place {
    /// The worker's number.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.index
    }

    /// As [`Workers::spawn_on`], on its worker.
    pub fn spawn<Fut: Future<Output = ()> + 'static>(self, make: impl FnOnce(Self) -> Fut + Send + 'static) {
        if let Some(share) = self.workers.get(self.index) {
            let jobs = share.jobs.clone();
            send(&jobs, move || make(self));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(share) = self.workers.get(self.index) {
            share.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
