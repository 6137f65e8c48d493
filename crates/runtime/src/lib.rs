//! The one seam to the outside world: clock, randomness, sockets, TLS, tasks, logs.
//!
//! Every other crate that waits, draws, connects, listens, encrypts or spawns does it through here, so that the whole of
//! Posthouse can be run in a simulated world by replacing this crate. It knows nothing of mail, of protocols or of policy.
//!
//! A connection lives on one thread from accept to close ([`workers`]); work that blocks goes to [`task::blocking`] or to an
//! [`actor`] with a thread of its own. Tests and the command line start their futures with [`block_on`].
#![allow(clippy::disallowed_methods, reason = "this crate is the seam that the ban points to")]

use std::future::Future;
use std::io;

pub mod actor;
pub mod clock;
pub mod gate;
pub mod gather;
pub mod local;
pub mod log;
pub mod memory;
pub mod net;
pub mod origin;
pub mod random;
pub mod service;
pub mod shutdown;
pub mod signals;
#[cfg(feature = "sim")]
pub mod sim;
pub mod snapshot;
pub mod spill;
pub mod stream;
pub mod sync;
pub mod task;
pub mod tls;
pub mod users;
pub mod workers;

pub use tokio::join;
#[cfg(not(feature = "sim"))]
pub use tokio::select;

#[cfg(feature = "sim")]
#[doc(hidden)]
pub use tokio as __tokio;

/// As tokio's, but always in the order written: which branch is looked at first is chance that no seed reaches.
#[cfg(feature = "sim")]
#[macro_export]
macro_rules! select {
    (biased; $($branches:tt)*) => { $crate::__tokio::select! { biased; $($branches)* } };
    ($($branches:tt)*) => { $crate::__tokio::select! { biased; $($branches)* } };
}

/// Runs a future to its end on this thread: for the command line, the blocking faces, and tests.
///
/// # Errors
/// The system gives no event queue (out of file descriptors).
///
/// # Panics
/// When called inside another [`block_on`] or on a worker's thread.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    Ok(current_thread()?.block_on(future))
}

/// The only kind of runtime there is: one thread, sockets and timers.
pub(crate) fn current_thread() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
