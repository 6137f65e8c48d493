//! The threads that connections live on: one single-threaded runtime per processor.
//!
//! A connection stays on the worker that serves it, so its wake-ups never cross processors. Nothing that has begun is moved between
//! workers and nothing is stolen ([`Balance`] places what is new); what a task needs from elsewhere it gets through [`crate::sync`].

mod balance;

use std::future::Future;
use std::io;
use std::thread::JoinHandle;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

pub use balance::{Balance, Place};

use crate::task::PanicLog;

type Job = Box<dyn FnOnce() + Send>;

/// The worker threads. Dropping this stops them as [`Workers::stop`] does.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    jobs: mpsc::UnboundedSender<Job>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` workers (at least one).
    ///
    /// # Errors
    /// The system gives no more threads or event queues.
    pub fn start(count: usize) -> io::Result<Self> {
        let workers = (0..count.max(1)).map(Worker::start).collect::<io::Result<_>>()?;
        Ok(Self { workers })
    }

    /// Makes a future on worker `index` (counted round) and runs it there. The future need not be [`Send`]; it may start tasks
    /// with [`crate::task::spawn`], which stay on the same thread.
    pub fn spawn_on<Fut: Future<Output = ()> + 'static>(&self, index: usize, make: impl FnOnce() -> Fut + Send + 'static) {
        if let Some(worker) = self.workers.get(index % self.workers.len().max(1)) {
            send(&worker.jobs, make);
        }
    }

    /// A count of what each worker has to do, which begins with nothing.
    #[must_use]
    pub fn balance(&self) -> Balance {
        Balance::of(self)
    }

    /// Returns when every worker has taken its turn: one that is stuck keeps it waiting.
    pub async fn turn(&self) {
        let turns: Vec<_> = (0..self.len())
            .map(|index| {
                let (done, turned) = oneshot::channel();
                self.spawn_on(index, move || async move {
                    // Whoever asked may have gone.
                    let _ = done.send(());
                });
                turned
            })
            .collect();
        for turned in turns {
            // An error: the worker is being stopped.
            let _ = turned.await;
        }
    }

    /// How many workers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Never: there is at least one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Drops everything that still runs on the workers and waits for their threads.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            // Dropping the sender is the signal.
            worker.stop.take();
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

impl Worker {
    fn start(index: usize) -> io::Result<Self> {
        // Built here so that a failure is the caller's to see; entered there.
        let runtime = crate::current_thread()?;
        let (jobs, incoming) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let thread = crate::task::thread(&format!("worker-{index}"), move || run(&runtime, incoming, stopped))?;
        Ok(Self { jobs, stop: Some(stop), thread: Some(thread) })
    }
}

fn send<Fut: Future<Output = ()> + 'static>(jobs: &mpsc::UnboundedSender<Job>, make: impl FnOnce() -> Fut + Send + 'static) {
    let job: Job = Box::new(move || {
        tokio::task::spawn_local(async move {
            let _guard = PanicLog("worker");
            make().await;
        });
    });
    // Refused only while the worker stops, when no new work is wanted.
    let _ = jobs.send(job);
}

fn run(runtime: &Runtime, mut incoming: mpsc::UnboundedReceiver<Job>, mut stopped: oneshot::Receiver<()>) {
    let local = LocalSet::new();
    local.block_on(runtime, async move {
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                job = incoming.recv() => match job {
                    Some(job) => job(),
                    None => break,
                },
            }
        }
    });
}

#[cfg(test)]
mod tests;
