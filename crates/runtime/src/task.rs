//! Tasks with names, work that blocks, and threads.

mod background;
mod priority;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::thread::JoinHandle;

use tokio::sync::Semaphore;

pub use background::background;
pub(crate) use priority::never_urgent;

/// A running task. Dropping it lets the task run on.
#[derive(Debug)]
pub struct Task {
    handle: tokio::task::JoinHandle<()>,
}

/// Starts a task on this thread's runtime. A panic in it ends it alone and is logged under `name`.
///
/// # Panics
/// Outside [`crate::block_on`] and the workers.
pub fn spawn(name: &'static str, future: impl Future<Output = ()> + Send + 'static) -> Task {
    let guard = PanicLog(name);
    let future = async move {
        let _guard = guard;
        future.await;
    };
    #[cfg(feature = "sim")]
    let future = match crate::sim::spawn(future) {
        Ok(handle) => return Task { handle },
        Err(future) => future,
    };
    Task { handle: tokio::spawn(future) }
}

impl Task {
    /// Ends the task at its next wait.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Waits for its end: its own, by [`Task::abort`], or by a panic.
    pub async fn join(self) {
        // A panic has been logged where it happened; an abort was asked for.
        let _ = self.handle.await;
    }
}

/// Runs work that blocks (a file, SQLite) beside the runtime and waits for its result. At most four per
/// processor run at once, the others wait their turn. Once begun the work runs to its end even when the waiting is dropped.
///
/// # Panics
/// When `work` panics, with its panic.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(feature = "sim")]
    if crate::sim::is_entered() {
        crate::sim::work().await;
        return work();
    }
    static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(processors() * 4)));
    // The semaphore is never closed; work without a turn would still be right, only unbounded.
    let turn = Arc::clone(&TURNS).acquire_owned().await.ok();
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    match done.await {
        Ok(value) => value,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is being taken down, and this future with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Runs futures side by side within this task, `at_once_max` of them at a time, and gives their results in their order.
pub async fn side_by_side<F: Future>(futures: impl IntoIterator<Item = F>, at_once_max: usize) -> Vec<F::Output> {
    let mut waiting = futures.into_iter().enumerate();
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::new();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        loop {
            running.retain_mut(|(number, future)| match future.as_mut().poll(context) {
                Poll::Ready(output) => {
                    done.push((*number, output));
                    false
                }
                Poll::Pending => true,
            });
            let (before, room) = (running.len(), at_once_max.max(1).saturating_sub(running.len()));
            running.extend(waiting.by_ref().take(room).map(|(number, future)| (number, Box::pin(future))));
            if running.len() == before {
                return if before == 0 { Poll::Ready(()) } else { Poll::Pending };
            }
            // Those that were begun just now have not been asked yet.
        }
    })
    .await;
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, output)| output).collect()
}

/// Starts a thread that owns something which blocks for ever: a log's writer, a database.
///
/// # Errors
/// The system gives no more threads.
pub fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// How many processors this process may use; at least one.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Says which task it was when a panic unwinds through it.
pub(crate) struct PanicLog(pub(crate) &'static str);

impl Drop for PanicLog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.0, "a task ended by a panic; this is a fault of ours");
        }
    }
}

#[cfg(test)]
mod tests;
