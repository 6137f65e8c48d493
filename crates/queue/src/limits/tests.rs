use posthouse_config::ByteSize;

use super::*;
use crate::storage::Disk;

fn limits(letters_max: usize, disk_free_min: u64) -> Limits {
    Limits::new(&Settings { letters_max, disk_free_min: ByteSize(disk_free_min), ..Settings::default() })
}

#[test]
fn the_last_letter_that_fits_is_taken_and_the_next_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::locked(directory.path()).unwrap().unwrap();
    let limits = limits(3, 0);
    limits.check(2, &disk).unwrap();
    let full = limits.check(3, &disk).unwrap_err();
    assert_eq!(full.reply().to_string(), "452 4.3.1 insufficient system storage, try again later");
    assert!(full.to_string().contains("letters-max"), "{full}");
}

#[test]
fn a_disk_with_too_little_left_is_full_and_without_a_limit_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::locked(directory.path()).unwrap().unwrap();
    let free = disk.free().unwrap();
    assert!(free > 0);
    let full = limits(0, free.saturating_mul(2)).check(1_000_000, &disk).unwrap_err();
    assert!(full.to_string().contains("disk-free-min"), "{full}");
    limits(0, free / 2).check(1_000_000, &disk).unwrap();
    limits(0, 0).check(1_000_000, &disk).unwrap();
}

#[test]
fn the_file_system_is_asked_once_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::locked(directory.path()).unwrap().unwrap();
    let limits = limits(0, u64::MAX);
    assert!(limits.is_low(u64::MAX, &disk, 1_000_000));
    // Had it looked again it would say yes.
    limits.low.store(false, Ordering::Relaxed);
    assert!(!limits.is_low(u64::MAX, &disk, 1_000_000 + EVERY_MILLIS - 1));
    assert!(limits.is_low(u64::MAX, &disk, 1_000_000 + EVERY_MILLIS));
}

#[test]
fn other_limits_hold_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::locked(directory.path()).unwrap().unwrap();
    let limits = limits(2, u64::MAX);
    assert!(limits.check(1, &disk).unwrap_err().to_string().contains("disk-free-min"));
    limits.set(&Settings { letters_max: 1, disk_free_min: ByteSize(0), ..Settings::default() });
    assert!(limits.check(1, &disk).unwrap_err().to_string().contains("letters-max"));
    limits.check(0, &disk).unwrap();
}
