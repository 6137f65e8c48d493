//! Things that are noted in passing and written down together: whoever notes one never waits, and a thread of its own takes what has gathered
//! in one go.
//!
//! What cannot be taken is lost, and said so once: nothing that matters to a letter goes this way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::actor::{self, BoundedSender, Inbox, Received};
use crate::sync::oneshot;
use crate::{clock, task};

/// Things that wait to be written down.
const WAITING_MAX: usize = 4_096;
/// Those of one go.
const BATCH_MAX: usize = 1_024;
/// How long they gather.
const GATHER: Duration = Duration::from_millis(500);

/// Clones gather together; the last one that is dropped has everything written.
#[derive(Debug)]
pub struct Gatherer<T> {
    name: &'static str,
    orders: BoundedSender<Order<T>>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Order<T> {
    Take(Box<T>),
    Flushed(oneshot::Sender<()>),
}

impl<T: Send + 'static> Gatherer<T> {
    /// Starts the thread. `write` is given what has gathered, never nothing.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(name: &'static str, write: impl FnMut(Vec<T>) + Send + 'static) -> std::io::Result<Self> {
        let (orders, waiting) = actor::bounded_inbox(WAITING_MAX);
        actor::start(name, run(waiting, write))?;
        Ok(Self { name, orders, lost: Arc::default() })
    }

    /// Takes one.
    pub fn put(&self, one: T) {
        if self.orders.try_send(Order::Take(Box::new(one))).is_err() && self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(what = self.name, "more comes than can be written down; some is left out");
        }
    }

    /// Waits until everything taken before is written.
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

impl<T> Clone for Gatherer<T> {
    fn clone(&self) -> Self {
        Self { name: self.name, orders: self.orders.clone(), lost: Arc::clone(&self.lost) }
    }
}

async fn run<T>(mut waiting: Inbox<Order<T>>, mut write: impl FnMut(Vec<T>)) {
    while let Some(first) = waiting.recv().await {
        let (mut taken, mut told) = (Vec::new(), Vec::new());
        let until = clock::now() + GATHER;
        let mut next = Received::Message(first);
        loop {
            match next {
                Received::Message(Order::Take(one)) => taken.push(*one),
                Received::Message(Order::Flushed(done)) => told.push(done),
                Received::Nothing | Received::Closed => break,
            }
            // Whoever waits for it waits no longer than for one go.
            let rest = if told.is_empty() { until.saturating_duration_since(clock::now()) } else { Duration::ZERO };
            next = if taken.len() >= BATCH_MAX {
                Received::Nothing
            } else if rest.is_zero() {
                waiting.try_recv()
            } else {
                waiting.recv_within(rest).await
            };
        }
        if !taken.is_empty() {
            write(taken);
        }
        for done in told {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
}
