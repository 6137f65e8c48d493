//! Events that come as often as peers like, and say no more the thousandth time.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock;

/// Lets one event in a while through, and counts the others.
#[derive(Debug)]
pub struct Seldom {
    every_millis: u64,
    /// When the last one passed; 0 before the first.
    passed: AtomicU64,
    held_back: AtomicU64,
}

impl Seldom {
    /// One event in so many milliseconds.
    #[must_use]
    pub const fn every_millis(every_millis: u64) -> Self {
        Self { every_millis, passed: AtomicU64::new(0), held_back: AtomicU64::new(0) }
    }

    /// Whether the event that has come now is to be written: then how many were held back since the last one.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(clock::unix_millis())
    }

    fn pass_at(&self, now: u64) -> Option<u64> {
        let before = self.passed.load(Ordering::Relaxed);
        let is_time = before == 0 || now.abs_diff(before) >= self.every_millis;
        if is_time && self.passed.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(self.held_back.swap(0, Ordering::Relaxed));
        }
        self.held_back.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests;
