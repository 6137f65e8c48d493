//! When a certificate is renewed: a pure function of what it says and what came of the last attempts.

use std::time::Duration;

/// The pause after the first failure, doubled for each that follows. Authorities allow a handful of failures an hour.
const PAUSE_MIN: Duration = Duration::from_mins(15);
const PAUSE_MAX: Duration = Duration::from_hours(24);

/// When it is time (in seconds since 1970) for a certificate that counts from `not_before` to `not_after`: when two thirds of its time are over.
pub(crate) fn renew_at(not_before: i64, not_after: i64) -> i64 {
    not_before.saturating_add(not_after.saturating_sub(not_before).max(0) / 3 * 2)
}

/// How long after that many failures in a row it is tried again.
pub(crate) fn pause(failures: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(PAUSE_MAX)
}

/// Whether a certificate should have been renewed long ago: less than a fifth of its time is left. Times in seconds since 1970.
#[must_use]
pub fn is_late(not_before: i64, not_after: i64, now: i64) -> bool {
    not_after.saturating_sub(now) < not_after.saturating_sub(not_before).max(0) / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    #[test]
    fn two_thirds_of_the_time_are_used() {
        assert_eq!(renew_at(0, 90 * DAY), 60 * DAY);
        assert_eq!(renew_at(100, 100), 100);
        assert_eq!(renew_at(100, 0), 100);
    }

    #[test]
    fn failures_are_followed_by_ever_longer_pauses() {
        let minutes: Vec<u64> = [1, 2, 3, 7, 8, 100].map(|failures| pause(failures).as_secs() / 60).to_vec();
        assert_eq!(minutes, [15, 30, 60, 960, 1440, 1440]);
    }

    #[test]
    fn a_certificate_is_late_when_a_fifth_is_left() {
        assert!(!is_late(0, 90 * DAY, 71 * DAY));
        assert!(is_late(0, 90 * DAY, 73 * DAY));
        assert!(is_late(0, 90 * DAY, 100 * DAY));
    }
}
