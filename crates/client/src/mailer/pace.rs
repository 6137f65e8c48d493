//! How fast letters may go: so many in a time, the first of them at once.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A bucket that fills with one letter at a time.
#[derive(Debug)]
pub(super) struct Pace {
    /// Between one letter and the next; zero without a limit.
    gap: Duration,
    /// How far ahead of the pace letters may be.
    slack: Duration,
    /// When the next letter is due if none of the slack is used.
    due: Mutex<Option<Instant>>,
}

impl Pace {
    /// `letters` in each `time`; none is no limit.
    pub(super) fn new(limit: Option<(u32, Duration)>) -> Self {
        let (gap, slack) = match limit {
            Some((letters, time)) => (time / letters.max(1), time),
            None => (Duration::ZERO, Duration::ZERO),
        };
        Self { gap, slack, due: Mutex::new(None) }
    }

    /// Takes leave to send one letter now, or says how long to wait before asking again.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        if self.gap.is_zero() {
            return Ok(());
        }
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let at = due.map_or(now, |due| due.max(now));
        // The whole of one `time`'s letters may go at once; then one for each gap.
        let early = at.saturating_duration_since(now);
        let most = self.slack.saturating_sub(self.gap);
        if early > most {
            return Err(early - most);
        }
        *due = Some(at + self.gap);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_letters_than_allowed_go_in_any_time() {
        let start = posthouse_runtime::block_on(async { posthouse_runtime::clock::now() }).unwrap();
        let pace = Pace::new(Some((10, Duration::from_secs(1))));
        let mut sent = Vec::new();
        for ms in 0..3000 {
            let now = start + Duration::from_millis(ms);
            while pace.take(now).is_ok() {
                sent.push(ms);
            }
        }
        assert_eq!(sent.iter().filter(|&&ms| ms == 0).count(), 10, "a burst at first");
        assert_eq!(sent.len(), 10 + 29);
        let wait = pace.take(start + Duration::from_millis(2999)).unwrap_err();
        assert!(wait <= Duration::from_millis(100));
        assert!((0..1000).all(|_| Pace::new(None).take(start).is_ok()));
    }
}
