//! The limits that new letters meet before the spool itself is full: how many there may be, and what is to be left of the disk.
//!
//! Letters that we make ourselves of others (reports) pass: each stands for one that leaves, and a full queue must be able to empty.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use posthouse_runtime::clock;

use crate::error::QueueError;
use crate::settings::Settings;
use crate::storage::Storage;

/// How often the file system is asked, at most.
const EVERY_MILLIS: u64 = 1000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Limits {
    letters_max: usize,
    disk_free_min: u64,
    looked: AtomicU64,
    low: AtomicBool,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (letters_max, disk_free_min) = (settings.letters_max, settings.disk_free_min.bytes());
        Self { letters_max, disk_free_min, looked: AtomicU64::new(0), low: AtomicBool::new(false) }
    }

    /// Whether one more letter may be begun beside so many.
    pub(crate) fn check(&self, letters: usize, storage: &dyn Storage) -> Result<(), QueueError> {
        if self.letters_max > 0 && letters >= self.letters_max {
            return Err(QueueError::Full(format!("`queue.letters-max` is reached: {letters} letters")));
        }
        if self.disk_free_min > 0 && self.is_low(storage, clock::unix_millis()) {
            return Err(QueueError::Full(format!(
                "the disk has less than `queue.disk-free-min` left: {} octets",
                self.disk_free_min
            )));
        }
        Ok(())
    }

    fn is_low(&self, storage: &dyn Storage, now: u64) -> bool {
        let before = self.looked.load(Ordering::Relaxed);
        let is_time = now.abs_diff(before) >= EVERY_MILLIS;
        if is_time && self.looked.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            match storage.free() {
                Ok(free) => self.low.store(free < self.disk_free_min, Ordering::Relaxed),
                Err(error) => tracing::warn!(%error, "the file system does not say what is left of it"),
            }
        }
        self.low.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
