//! One site: a next hop that several destinations may share, and how many letters it gets at a time.
//!
//! The window is learned as TCP learns its own: a little more for each answer, half of it when the site asks for less or cannot be
//! reached. A site that fails as often in a row as its window is wide is closed for a while; then one letter is tried, and the
//! window grows again. What one letter is told about itself (no such user, greylisted) says nothing of the site.

use std::time::Duration;

use posthouse_mail::{Reply, UnixMillis};

use super::lanes::Lanes;
use super::rate::Rate;
use super::{back_off, doubled};
use crate::settings::Settings;

/// The first pause for a site that asks for less, and the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(30);
const PAUSE_MAX: Duration = Duration::from_mins(15);

/// How delivery treats a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteLimits {
    /// Letters under way to it at a time, before anything is known of it.
    pub window_first: u32,
    /// And at the most.
    pub window_max: u32,
    /// Letters a minute; `None` for no such limit.
    pub letters_per_minute: Option<u32>,
    /// Whether a letter's recipients at several destinations of the site travel together.
    pub together: bool,
}

/// What a visit to a site showed of the site itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feedback {
    /// It answered, whatever it said of the letter.
    Answered,
    /// It asks for fewer letters.
    Throttled(Reply),
    /// It could not be reached, or did not get as far as the letter.
    Unreachable(Reply),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) name: Box<str>,
    pub(crate) limits: SiteLimits,
    pub(crate) lanes: Lanes,
    pub(crate) in_flight: u32,
    /// In thousandths.
    window: u64,
    /// Failures since the last answer.
    failures: u32,
    /// How often in a row it was closed, or asked for less.
    closings: u32,
    closed: Option<Closed>,
    rate: Rate,
    /// Whether it stands in the ring of those that may have something to start.
    pub(crate) in_ring: bool,
}

/// Since something failed, until it is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closed {
    /// Since when nothing was answered.
    pub(crate) since: UnixMillis,
    pub(crate) until: UnixMillis,
    pub(crate) why: Reply,
}

/// Whether another unit may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Now,
    /// Not before this time.
    At(UnixMillis),
    /// When one that is under way has ended.
    WhenOneEnds,
}

const ONE: u64 = 1000;

impl Site {
    pub(crate) fn new(name: &str, limits: SiteLimits) -> Self {
        Self {
            name: name.into(),
            limits,
            lanes: Lanes::default(),
            in_flight: 0,
            window: u64::from(limits.window_first.clamp(1, limits.window_max.max(1))) * ONE,
            failures: 0,
            closings: 0,
            closed: None,
            rate: Rate::default(),
            in_ring: false,
        }
    }

    /// Takes changed limits.
    pub(crate) fn limit(&mut self, limits: SiteLimits) {
        self.limits = limits;
        self.window = self.window.min(self.window_max());
    }

    /// How many letters it gets at a time now.
    pub(crate) fn window(&self) -> u32 {
        u32::try_from(self.window / ONE).unwrap_or(u32::MAX).max(1)
    }

    fn window_max(&self) -> u64 {
        u64::from(self.limits.window_max.max(1)) * ONE
    }

    /// Until when it is closed, and why.
    pub(crate) fn closed_at(&self, now: UnixMillis) -> Option<&Closed> {
        self.closed.as_ref().filter(|closed| now < closed.until)
    }

    /// What went wrong last, also when it may be tried again by now.
    pub(crate) fn trouble(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    pub(crate) fn start(&self, now: UnixMillis) -> Start {
        if let Some(closed) = self.closed_at(now) {
            return Start::At(closed.until);
        }
        if self.in_flight >= self.window() {
            return Start::WhenOneEnds;
        }
        self.rate.later(self.limits.letters_per_minute, now).map_or(Start::Now, Start::At)
    }

    /// A unit has started.
    pub(crate) fn started(&mut self, now: UnixMillis) {
        self.in_flight += 1;
        self.rate.count(self.limits.letters_per_minute, now);
    }

    /// A unit is no longer under way.
    pub(crate) fn ended(&mut self, feedback: Option<Feedback>, settings: &Settings, now: UnixMillis, random: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match feedback {
            None => {}
            Some(Feedback::Answered) => {
                (self.failures, self.closings, self.closed) = (0, 0, None);
                self.window = (self.window + ONE * ONE / self.window.max(ONE)).min(self.window_max());
            }
            Some(Feedback::Throttled(why)) => {
                self.halve();
                let times = self.closings.saturating_add(1);
                self.close(now.plus(doubled(PAUSE_FIRST, PAUSE_MAX, times, random)), why, now);
            }
            Some(Feedback::Unreachable(why)) => {
                self.failures += 1;
                let is_cohort = self.failures >= self.window();
                self.halve();
                if is_cohort {
                    let times = self.closings.saturating_add(1);
                    self.close(now.plus(back_off(settings, times, random)), why, now);
                }
            }
        }
    }

    /// An operator wants it tried now.
    pub(crate) fn open(&mut self, now: UnixMillis) {
        if let Some(closed) = &mut self.closed {
            closed.until = now;
        }
    }

    fn halve(&mut self) {
        self.window = (self.window / 2).max(ONE);
    }

    /// Several that were under way may fail together: that closes it once.
    fn close(&mut self, until: UnixMillis, why: Reply, now: UnixMillis) {
        if self.closed_at(now).is_some() {
            return;
        }
        self.closings = self.closings.saturating_add(1);
        self.failures = 0;
        let since = self.closed.as_ref().map_or(now, |closed| closed.since);
        self.closed = Some(Closed { since, until, why });
    }

    /// Whether there is nothing to be remembered of it.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.lanes.is_empty() && self.closed.is_none() && !self.in_ring
    }
}

#[cfg(test)]
mod tests;
