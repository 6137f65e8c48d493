//! Work that wants a processor for long, and that nobody may be kept waiting by.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};

use tokio::sync::{Semaphore, oneshot};

use super::{blocking, priority, processors};

type Work = Box<dyn FnOnce() + Send>;

/// The threads, once they have been wanted; `None`: the system gives none.
static THREADS: LazyLock<Option<mpsc::Sender<Work>>> = LazyLock::new(start);

pub(super) static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(at_once())));

/// Runs work that wants a processor for milliseconds (a stranger's password hash) where it keeps the mail waiting least: on half of the processors at most, so that
/// whoever wakes finds one, and on threads that are nice, so that a tenth of one is all it has while all are busy. The rest waits its turn, and is forgotten when the
/// waiting is dropped. Once begun the work runs to its end.
///
/// # Panics
/// When `work` panics, with its panic.
pub async fn background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[cfg(feature = "sim")]
    if crate::sim::is_entered() {
        return blocking(work).await;
    }
    // The semaphore is never closed; work without a turn would still be right, only unbounded.
    let turn = Arc::clone(&TURNS).acquire_owned().await.ok();
    let Some(threads) = THREADS.as_ref() else { return blocking(work).await };
    let (tell, told) = oneshot::channel();
    let work: Work = Box::new(move || {
        // Its own, whether somebody still waits or not: or those who go as soon as they have asked would fill the queue.
        let _turn = turn;
        // Whoever waited may have given up.
        let _ = tell.send(catch_unwind(AssertUnwindSafe(work)));
    });
    // The threads end with the process, so somebody receives.
    let _ = threads.send(work);
    match told.await {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => resume_unwind(panic),
        // No thread took it: the process is being taken down, and this future with it.
        Err(_) => std::future::pending().await,
    }
}

/// How much of it at once.
pub(super) fn at_once() -> usize {
    (processors() / 2).max(1)
}

fn start() -> Option<mpsc::Sender<Work>> {
    let (send, receive) = mpsc::channel::<Work>();
    let receive = Arc::new(Mutex::new(receive));
    let begun = (0..at_once()).filter(|number| {
        let receive = Arc::clone(&receive);
        let begun = super::thread(&format!("background-{number}"), move || {
            priority::after_others();
            loop {
                let work = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(work) = work else { return };
                work();
            }
        });
        begun.inspect_err(|error| tracing::warn!(%error, "no thread for work in the background")).is_ok()
    });
    // All are tried; one is enough.
    (begun.count() > 0).then_some(send)
}
