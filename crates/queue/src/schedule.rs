//! When a letter is tried: a pure function of its state, the time and a random number.
//!
//! It waits for nothing and draws nothing. [`next_attempt`] answers what follows a failed attempt; `DueQueue` orders the letters
//! that wait.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use posthouse_mail::UnixMillis;

use crate::settings::Settings;

/// A wait is shortened or lengthened by up to this part of it, so that letters deferred together do not come back together.
const JITTER_PERCENT: u64 = 20;

/// What follows an attempt that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again.
    Retry {
        /// At this time.
        at: UnixMillis,
    },
    /// It has been tried long enough: it goes back to its sender.
    Expired,
}

/// What follows a failed attempt, the `attempts`-th (1 for the first), of a letter that came at `arrived`.
///
/// The wait is `retry_first`, doubled with each attempt up to `retry_max`, more or less 20 % by `random` (any 64 bits). The last
/// attempt is made when the letter expires, so that no letter goes back untried for hours.
#[must_use]
pub fn next_attempt(settings: &Settings, arrived: UnixMillis, attempts: u32, now: UnixMillis, random: u64) -> Next {
    let expires = arrived.plus(settings.expire.duration());
    if now >= expires {
        return Next::Expired;
    }
    let at = now.plus(back_off(settings, attempts, random));
    Next::Retry { at: at.min(expires) }
}

fn back_off(settings: &Settings, attempts: u32, random: u64) -> Duration {
    let first = settings.retry_first.duration().max(Duration::from_secs(1));
    let doublings = attempts.saturating_sub(1).min(31);
    let wait = first.saturating_mul(1 << doublings).min(settings.retry_max.duration().max(first));
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let span = millis / 100 * JITTER_PERCENT;
    Duration::from_millis(millis.saturating_sub(span).saturating_add(random % (2 * span).max(1)))
}

/// The letters that wait, by the time they are due.
///
/// New letters and letters tried before wait in two lines that are served in turn: a heap of deferred mail that comes due at
/// once does not hold up what has just come, and a stream of new mail does not starve what was deferred.
#[derive(Debug, Default)]
pub(crate) struct DueQueue {
    fresh: Line,
    retried: Line,
    fresh_is_next: bool,
}

type Line = BinaryHeap<Reverse<Due>>;

/// One waiting letter. `order` is unique for a letter and grows, so it breaks ties and tells a stale item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) at: UnixMillis,
    pub(crate) order: u64,
    pub(crate) slot: u32,
}

impl DueQueue {
    pub(crate) fn push(&mut self, due: Due, fresh: bool) {
        if fresh { self.fresh.push(Reverse(due)) } else { self.retried.push(Reverse(due)) }
    }

    /// Takes the next letter that is due at `now`. The caller skips items of letters that have moved on since.
    pub(crate) fn pop(&mut self, now: UnixMillis) -> Option<Due> {
        self.fresh_is_next = !self.fresh_is_next;
        let (first, second) =
            if self.fresh_is_next { (&mut self.fresh, &mut self.retried) } else { (&mut self.retried, &mut self.fresh) };
        pop_due(first, now).or_else(|| pop_due(second, now))
    }

    /// When the next letter is due.
    pub(crate) fn next(&self) -> Option<UnixMillis> {
        let heads = [self.fresh.peek(), self.retried.peek()];
        heads.into_iter().flatten().map(|Reverse(due)| due.at).min()
    }
}

fn pop_due(line: &mut Line, now: UnixMillis) -> Option<Due> {
    let due = line.peek().map(|Reverse(due)| *due).filter(|due| due.at <= now)?;
    line.pop();
    Some(due)
}

#[cfg(test)]
mod tests;
