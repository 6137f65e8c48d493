//! Time: what o'clock it is, and waiting.
//!
//! [`now`] is for deadlines and durations, [`unix_millis`] for what is written down. Neither is read anywhere else.

use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use thiserror::Error;

/// A deadline passed before the future ended; the future was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the time is up")]
pub struct Elapsed;

/// The monotonic clock.
#[must_use]
pub fn now() -> Instant {
    // The runtime's clock, not the system's: a test may pause it.
    tokio::time::Instant::now().into_std()
}

/// Milliseconds since 1970-01-01 UTC; zero for a system clock that stands before it.
#[must_use]
pub fn unix_millis() -> u64 {
    #[cfg(feature = "sim")]
    if let Some(millis) = crate::sim::unix_millis() {
        return millis;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Waits.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Waits until the monotonic clock shows `deadline`.
pub async fn sleep_until(deadline: Instant) {
    tokio::time::sleep_until(deadline.into()).await;
}

/// Runs a future for at most `duration`.
///
/// # Errors
/// [`Elapsed`] when it had not ended by then.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    tokio::time::timeout(duration, future).await.map_err(|_| Elapsed)
}

/// Runs a future until `deadline` at most.
///
/// # Errors
/// [`Elapsed`] when it had not ended by then.
pub async fn timeout_at<F: Future>(deadline: Instant, future: F) -> Result<F::Output, Elapsed> {
    tokio::time::timeout_at(deadline.into(), future).await.map_err(|_| Elapsed)
}
