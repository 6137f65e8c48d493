//! How much memory the process holds, and a ceiling for it.
//!
//! A [`Ceiling`] only answers; who asks refuses new work while it is reached, so that what has been taken can be finished.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::clock;

/// How often the kernel is asked, at most.
const EVERY_MILLIS: u64 = 1000;

/// A limit for the memory of this process. Clones share what was seen last.
#[derive(Debug, Clone)]
pub struct Ceiling(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes_max: u64,
    looked: AtomicU64,
    reached: AtomicBool,
}

impl Ceiling {
    /// At so many octets; 0 is never reached.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self(Arc::new(Inner { bytes_max, looked: AtomicU64::new(0), reached: AtomicBool::new(false) }))
    }

    /// Whether the process holds more, as of the last second.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        let inner = &self.0;
        if inner.bytes_max == 0 {
            return false;
        }
        let (now, before) = (clock::unix_millis(), inner.looked.load(Ordering::Relaxed));
        let is_time = now.abs_diff(before) >= EVERY_MILLIS;
        if is_time && inner.looked.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let reached = resident().is_some_and(|bytes| bytes > inner.bytes_max);
            if reached != inner.reached.swap(reached, Ordering::Relaxed) {
                tracing::warn!(reached, bytes_max = inner.bytes_max, "the limit of memory");
            }
        }
        inner.reached.load(Ordering::Relaxed)
    }
}

/// The octets that this process holds in memory; `None` where the kernel does not say.
#[must_use]
pub fn resident() -> Option<u64> {
    // proc_pid_statm(5): size, resident, …, in pages.
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(u64::try_from(rustix::param::page_size()).ok()?))
}

#[cfg(test)]
mod tests;
