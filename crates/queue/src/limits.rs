//! The limits that new letters meet before the spool itself is full: how many there may be, and what is to be left of the disk.
//!
//! Letters that we make ourselves of others (reports) pass: each stands for one that leaves, and a full queue must be able to empty.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use posthouse_runtime::clock;

use crate::error::QueueError;
use crate::settings::Settings;
use crate::storage::Storage;

/// How often the file system is asked, at most.
const EVERY_MILLIS: u64 = 1000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Limits {
    letters_max: AtomicUsize,
    disk_free_min: AtomicU64,
    looked: AtomicU64,
    low: AtomicBool,
}

impl Limits {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (letters_max, disk_free_min) = (settings.letters_max.into(), settings.disk_free_min.bytes().into());
        Self { letters_max, disk_free_min, looked: AtomicU64::new(0), low: AtomicBool::new(false) }
    }

    /// Takes others; the disk is looked at again with the next letter.
    pub(crate) fn set(&self, settings: &Settings) {
        self.letters_max.store(settings.letters_max, Ordering::Relaxed);
        self.disk_free_min.store(settings.disk_free_min.bytes(), Ordering::Relaxed);
        self.looked.store(0, Ordering::Relaxed);
    }

    /// Whether one more letter may be begun beside so many.
    pub(crate) fn check(&self, letters: usize, storage: &dyn Storage) -> Result<(), QueueError> {
        let letters_max = self.letters_max.load(Ordering::Relaxed);
        if letters_max > 0 && letters >= letters_max {
            return Err(QueueError::Full(format!("`queue.letters-max` is reached: {letters} letters")));
        }
        let disk_free_min = self.disk_free_min.load(Ordering::Relaxed);
        if disk_free_min > 0 && self.is_low(disk_free_min, storage, clock::unix_millis()) {
            return Err(QueueError::Full(format!("the disk has less than `queue.disk-free-min` left: {disk_free_min} octets")));
        }
        Ok(())
    }

    fn is_low(&self, disk_free_min: u64, storage: &dyn Storage, now: u64) -> bool {
        let before = self.looked.load(Ordering::Relaxed);
        let is_time = now.abs_diff(before) >= EVERY_MILLIS;
        if is_time && self.looked.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            match storage.free() {
                Ok(free) => self.low.store(free < disk_free_min, Ordering::Relaxed),
                Err(error) => tracing::warn!(%error, "the file system does not say what is left of it"),
            }
        }
        self.low.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
