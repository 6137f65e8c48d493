//! What has to be looked at for a while before it says something: how many letters wait, how many log-ins have failed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use posthouse_admin::Status;
use posthouse_runtime::clock;

/// Their counter.
pub(crate) const FAILED_LOGINS: &str = "failed_logins";
/// How far back log-ins are counted.
const LOGINS: Duration = Duration::from_mins(10);
/// What is remembered of log-ins, at most.
const SAMPLES_MAX: usize = 1000;

/// What was seen so far. Clones see the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct History(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// The fewest letters since they last became fewer, and when that was.
    letters: Option<(Instant, usize)>,
    /// The failed log-ins since the start, at each look.
    failed: VecDeque<(Instant, u64)>,
}

impl History {
    /// Takes a look.
    pub(super) fn note(&self, status: &Status) {
        let failed = status.counts.iter().filter(|count| count.name == FAILED_LOGINS).map(|count| count.count).sum();
        self.note_at(clock::now(), status.queue.letters, failed);
    }

    /// For how many seconds the letters, of which there are so many now, have not become fewer.
    pub(crate) fn growing_for(&self, letters: usize) -> Option<u64> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, _) = seen.letters.filter(|(_, fewest)| letters >= *fewest)?;
        Some(clock::now().duration_since(since).as_secs())
    }

    /// The log-ins that failed in the last ten minutes; `total` of them since the start.
    pub(crate) fn failed_logins(&self, total: u64) -> u64 {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        total.saturating_sub(seen.failed.front().map_or(0, |(_, before)| *before))
    }

    fn note_at(&self, now: Instant, letters: usize, failed: u64) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.letters.is_none_or(|(_, fewest)| letters < fewest) {
            seen.letters = Some((now, letters));
        }
        seen.failed.push_back((now, failed));
        // The last one that is older than that stays: what came after it is counted.
        while seen.failed.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= LOGINS) || seen.failed.len() > SAMPLES_MAX {
            seen.failed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_ins_are_counted_over_ten_minutes_and_letters_since_they_were_fewest() {
        let (history, began) = (History::default(), clock::now());
        let at = |minutes: u64| began + Duration::from_mins(minutes);
        for minutes in 0..=30 {
            history.note_at(at(minutes), 50 + usize::try_from(minutes).unwrap(), minutes * 10);
        }
        assert_eq!(history.failed_logins(305), 105, "from minute 20 on");
        assert_eq!(history.0.lock().unwrap().letters, Some((at(0), 50)));
        history.note_at(at(31), 49, 310);
        assert_eq!(history.0.lock().unwrap().letters, Some((at(31), 49)));
        for _ in 0..5000 {
            history.note_at(at(32), 49, 310);
        }
        assert!(history.0.lock().unwrap().failed.len() <= SAMPLES_MAX);
    }
}
