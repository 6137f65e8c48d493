//! When a letter is tried, and where the next one goes: pure functions of state, time and a random number.
//!
//! What is scheduled is a [`Unit`]: one letter's recipients at one destination. A unit waits for its time in the `timers`, then for
//! its turn in the lanes of a [`site`]: the next hop that several destinations may share. Which site a destination belongs to is
//! delivery's to say; how many units a site gets at a time, it learns from what the site answers.
//!
//! It waits for nothing and draws nothing. [`is_over`] and [`next_attempt`] answer what follows a failed attempt.

use std::time::Duration;

use posthouse_mail::UnixMillis;

use crate::settings::Settings;

pub(crate) mod destinations;
pub(crate) mod lanes;
mod rate;
pub(crate) mod scheduler;
pub(crate) mod site;
pub(crate) mod sources;
pub(crate) mod suspend;

/// A wait is shortened or lengthened by up to this part of it, so that letters deferred together do not come back together.
const JITTER_PERCENT: u64 = 20;

/// One letter's recipients at one destination. `order` is the letter's place in the history of the spool: unique, and growing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Unit {
    pub(crate) order: u64,
    pub(crate) slot: u32,
    pub(crate) part: u32,
}

/// Whether a letter that came at `arrived` has been tried long enough, and goes back to its sender.
#[must_use]
pub fn is_over(settings: &Settings, arrived: UnixMillis, now: UnixMillis) -> bool {
    now >= arrived.plus(settings.expire.duration())
}

/// When a letter that came at `arrived`, and is not over, is tried again after a failed attempt, the `attempts`-th (1 for the first).
///
/// The wait is `retry_first`, doubled with each attempt up to `retry_max`, more or less 20 % by `random` (any 64 bits). The last
/// attempt is made when the letter expires, so that no letter goes back untried for hours.
#[must_use]
pub fn next_attempt(settings: &Settings, arrived: UnixMillis, attempts: u32, now: UnixMillis, random: u64) -> UnixMillis {
    now.plus(back_off(settings, attempts, random)).min(arrived.plus(settings.expire.duration()))
}

/// The wait after the `attempts`-th failure in a row.
pub(crate) fn back_off(settings: &Settings, attempts: u32, random: u64) -> Duration {
    let first = settings.retry_first.duration().max(Duration::from_secs(1));
    doubled(first, settings.retry_max.duration().max(first), attempts, random)
}

/// `first`, doubled with each time after the first one, up to `longest`; more or less 20 %.
pub(crate) fn doubled(first: Duration, longest: Duration, times: u32, random: u64) -> Duration {
    let doublings = times.saturating_sub(1).min(31);
    let wait = first.saturating_mul(1 << doublings).min(longest);
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let span = millis / 100 * JITTER_PERCENT;
    Duration::from_millis(millis.saturating_sub(span).saturating_add(random % (2 * span).max(1)))
}

#[cfg(test)]
mod tests;
