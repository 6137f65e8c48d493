//! How much has gone wrong of late: a bucket that fills with failures and drains with time.

use std::time::Duration;

use posthouse_mail::UnixMillis;

const DAY_MILLIS: f64 = 86_400_000.0;

/// The bucket of one subject. It drains by the limit in a day, whatever is in it; so after the limit is reached there is one more try for each
/// such part of a day.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Level {
    pub(super) value: f64,
    pub(super) at: UnixMillis,
}

impl Level {
    /// What is in it now. A clock that was set back drains nothing.
    pub(super) fn now(self, now: UnixMillis, limit: u32) -> f64 {
        let drained = now.since(self.at).as_secs_f64() * 1000.0 * f64::from(limit) / DAY_MILLIS;
        (self.value - drained).max(0.0)
    }

    /// The bucket after a failure that counts `cost`. More than twice the limit is not remembered: in two quiet days everything is forgiven.
    pub(super) fn charged(self, now: UnixMillis, limit: u32, cost: f64) -> Self {
        Self { value: (self.now(now, limit) + cost).min(2.0 * f64::from(limit)), at: now.max(self.at) }
    }

    /// How long until one more try fits in beside the `pending` ones that have not ended; `None`: it does now. A limit of 0 is none.
    pub(super) fn wait(self, now: UnixMillis, limit: u32, pending: u32) -> Option<Duration> {
        let over = self.now(now, limit) + f64::from(pending) + 1.0 - f64::from(limit);
        // A millionth is what rounding may add.
        (limit > 0 && over > 1e-6).then(|| Duration::from_secs_f64((over * DAY_MILLIS / 1000.0 / f64::from(limit) - 1e-3).ceil()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn filled(failures: u32, limit: u32) -> Level {
        (0..failures).fold(Level::default(), |level, _| level.charged(UnixMillis(0), limit, 1.0))
    }

    #[test]
    fn the_limit_is_free_and_then_each_try_costs_its_part_of_a_day() {
        let limit = 24;
        assert_eq!(filled(23, limit).wait(UnixMillis(0), limit, 0), None);
        let full = filled(24, limit);
        assert_eq!(full.wait(UnixMillis(0), limit, 0), Some(Duration::from_secs(3600)));
        assert_eq!(full.wait(UnixMillis(HOUR - 1000), limit, 0), Some(Duration::from_secs(1)));
        let later = UnixMillis(HOUR);
        assert_eq!(full.wait(later, limit, 0), None);
        assert_eq!(full.wait(later, limit, 1), Some(Duration::from_secs(3600)), "the tries under way count");
        assert_eq!(full.charged(later, limit, 1.0).wait(later, limit, 0), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn two_quiet_days_forgive_everything_and_a_clock_set_back_nothing() {
        let level = filled(1_000_000, 10);
        assert!(level.now(UnixMillis(48 * HOUR - 1000), 10) > 0.0);
        assert!(level.now(UnixMillis(48 * HOUR), 10) == 0.0);
        let later = Level::default().charged(UnixMillis(9 * HOUR), 10, 10.0);
        assert!(later.wait(UnixMillis(0), 10, 0).is_some());
        assert_eq!(later.charged(UnixMillis(0), 10, 1.0).at, UnixMillis(9 * HOUR));
    }

    #[test]
    fn no_limit_limits_nothing() {
        assert_eq!(Level { value: 5.0, at: UnixMillis(0) }.wait(UnixMillis(0), 0, 1000), None);
    }
}
