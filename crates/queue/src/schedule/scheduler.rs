//! Which unit is to be started next.
//!
//! A unit whose time has come asks where its destination's letters go ([`Step::Place`]), waits in the lanes of that site, and is
//! started when the site has a place free; the sites take turns. Nothing is moved about while a site is closed: what waits for it
//! waits in its lanes. Only when a letter's own time is over there (its sender is to be told, or it expires) it is handed
//! out all the same, with the reason why it cannot go ([`Step::Start`]'s `blocked`).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use posthouse_mail::{Reply, Status, UnixMillis};

use super::Unit;
use super::destinations::{Destination, Destinations};
use super::lanes;
use super::rate::Rate;
use super::site::{Feedback, Site, SiteLimits, Start};
use super::suspend::{Suspended, Suspension};
use crate::entries::{Entries, Phase};
use crate::layout::{u32_of, usize_of};
use crate::settings::Settings;

/// How many units become ready under one lock.
const PROMOTED_MAX: usize = 1024;
/// How many slots one sweep looks at, at the least and at the most, and how long a sweep over all of them takes.
const SWEPT_MIN: usize = 2048;
const SWEPT_MAX: usize = 65_536;
const SWEEP_MILLIS: u64 = 60_000;
/// The senders counted before those with nothing used up are forgotten.
const SENDERS_MAX: usize = 100_000;
/// The sites remembered before those with nothing to remember are forgotten.
const SITES_MAX: usize = 20_000;

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Say which site this destination belongs to.
    Place(Destination),
    /// Try this unit.
    Start {
        unit: Unit,
        /// The site whose place it takes.
        site: Option<u32>,
        /// Why it cannot go: nothing is to be tried, its sender is to hear.
        blocked: Option<Reply>,
    },
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    pub(crate) settings: Settings,
    pub(crate) destinations: Destinations,
    pub(crate) suspended: Suspended,
    timers: BinaryHeap<Reverse<(UnixMillis, Unit)>>,
    sites: Vec<Option<Site>>,
    unused: Vec<u32>,
    by_name: HashMap<Box<str>, u32>,
    /// Destinations nobody has been asked about yet.
    to_place: VecDeque<u32>,
    /// Sites that may have something to start, the next one first.
    ring: VecDeque<u32>,
    /// Sites that may have something later.
    wake: BinaryHeap<Reverse<(UnixMillis, u32)>>,
    overdue: VecDeque<(Unit, Reply)>,
    senders: HashMap<u32, Rate>,
    swept_at: UnixMillis,
    swept_to: usize,
}

impl Scheduler {
    /// A unit waits until `at`.
    pub(crate) fn wait(&mut self, unit: Unit, at: UnixMillis) {
        self.timers.push(Reverse((at, unit)));
    }

    /// The same for all that there is, at once: about `count`.
    pub(crate) fn line_up(&mut self, count: usize, waiting: impl Iterator<Item = (UnixMillis, Unit)>) {
        let mut timers = Vec::with_capacity(count);
        timers.extend(waiting.map(Reverse));
        self.timers = timers.into();
    }

    /// What to do at `now`; `None` when there is nothing before [`Scheduler::wake_at`].
    pub(crate) fn next(&mut self, entries: &mut Entries, now: UnixMillis) -> Option<Step> {
        if self.suspended.expire(now) {
            self.resume(entries, now);
        }
        self.promote(entries, now);
        self.sweep(entries, now);
        while let Some((unit, blocked)) = self.overdue.pop_front() {
            if let Some(part) = entries.part_mut(unit).filter(|part| matches!(part.phase, Phase::Ready | Phase::Waiting)) {
                part.phase = Phase::Leased;
                return Some(Step::Start { unit, site: None, blocked: Some(blocked) });
            }
        }
        if self.suspended.everything().is_some() {
            return None;
        }
        if let Some(step) = self.place_next() {
            return Some(step);
        }
        while let Some(&Reverse((_, site))) = self.wake.peek().filter(|Reverse((at, _))| *at <= now) {
            self.wake.pop();
            self.enter_ring(site);
        }
        self.start(entries, now)
    }

    /// When there may be something to do if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<UnixMillis> {
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let site = self.wake.peek().map(|Reverse((at, _))| *at);
        [timer, site, self.suspended.next_end()].into_iter().flatten().min()
    }

    /// Moves units whose time has come to the lanes of their sites.
    fn promote(&mut self, entries: &mut Entries, now: UnixMillis) {
        for _ in 0..PROMOTED_MAX {
            let Some(&Reverse((at, unit))) = self.timers.peek().filter(|Reverse((at, _))| *at <= now) else { return };
            self.timers.pop();
            let Some(entry) = entries.entry_mut(unit) else { continue };
            let (held, lane, flow) = (entry.held, entry.lane, entry.flow);
            let Some(part) = entry.parts.get_mut(unit.part) else { continue };
            // Stale when the unit has ended, is leased, or was put at another time since.
            if held || part.phase != Phase::Waiting || part.due != at {
                continue;
            }
            if !part.tried
                && let Some(later) = charge(&mut self.senders, self.settings.letters_per_minute_per_sender, flow, now)
            {
                part.due = later;
                self.timers.push(Reverse((later, unit)));
                continue;
            }
            let flow = flow ^ u32::from(part.tried);
            part.phase = Phase::Ready;
            let destination = part.destination;
            let Some(known) = self.destinations.number(destination) else { continue };
            match known.site_at(now) {
                Some(site) => self.enter_lane(site, unit, lane, flow),
                None => {
                    known.unplaced.push(unit);
                    if !std::mem::replace(&mut known.asked, true) {
                        self.to_place.push_back(destination);
                    }
                }
            }
        }
    }

    fn enter_lane(&mut self, number: u32, unit: Unit, lane: lanes::Lane, flow: u32) {
        if let Some(site) = self.site_mut(number) {
            site.lanes.push(unit, lane, flow);
            self.enter_ring(number);
        }
    }

    fn enter_ring(&mut self, number: u32) {
        if let Some(site) = self.site_mut(number)
            && !site.lanes.is_empty()
            && !std::mem::replace(&mut site.in_ring, true)
        {
            self.ring.push_back(number);
        }
    }

    fn place_next(&mut self) -> Option<Step> {
        while let Some(number) = self.to_place.pop_front() {
            if let Some(known) = self.destinations.number(number).filter(|known| known.asked) {
                return Some(Step::Place(known.destination.clone()));
            }
        }
        None
    }

    /// Says where a destination's letters go, until `good_until`.
    pub(crate) fn place(
        &mut self,
        entries: &Entries,
        destination: &Destination,
        (name, limits): (&str, SiteLimits),
        good_until: UnixMillis,
    ) {
        let number = self.site_number(name, limits);
        let known = self.destinations.find(destination).and_then(|known| self.destinations.number(known));
        let Some(known) = known else { return };
        for unit in known.place(number, good_until) {
            let Some((entry, part)) = entries.part(unit) else { continue };
            let (lane, flow) = (entry.lane, entry.flow ^ u32::from(part.tried));
            self.enter_lane(number, unit, lane, flow);
        }
    }

    fn site_number(&mut self, name: &str, limits: SiteLimits) -> u32 {
        if let Some(&number) = self.by_name.get(name) {
            if let Some(site) = self.site_mut(number) {
                site.limit(limits);
            }
            return number;
        }
        if self.by_name.len() >= SITES_MAX {
            self.forget_idle();
        }
        let number = self.unused.pop().unwrap_or_else(|| {
            self.sites.push(None);
            u32_of(self.sites.len() - 1)
        });
        if let Some(place) = self.sites.get_mut(usize_of(number)) {
            *place = Some(Site::new(name, limits));
        }
        self.by_name.insert(name.into(), number);
        number
    }

    fn forget_idle(&mut self) {
        let mut named = vec![false; self.sites.len()];
        for number in self.destinations.iter().filter_map(|known| known.site) {
            if let Some(named) = named.get_mut(usize_of(number)) {
                *named = true;
            }
        }
        for (number, (place, named)) in self.sites.iter_mut().zip(named).enumerate() {
            if !named && let Some(gone) = place.take_if(|site| site.is_idle()) {
                self.by_name.remove(&gone.name);
                self.unused.push(u32_of(number));
            }
        }
        // Wake-ups of those are stale, and a number given again would only be looked at once too often.
    }

    fn site_mut(&mut self, number: u32) -> Option<&mut Site> {
        self.sites.get_mut(usize_of(number))?.as_mut()
    }

    pub(crate) fn site(&self, number: u32) -> Option<&Site> {
        self.sites.get(usize_of(number))?.as_ref()
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Site> {
        self.by_name.get(name).and_then(|&number| self.site(number))
    }

    pub(crate) fn sites(&self) -> impl Iterator<Item = (u32, &Site)> {
        self.sites.iter().enumerate().filter_map(|(number, site)| Some((u32_of(number), site.as_ref()?)))
    }

    /// Starts the first unit of the next site that has a place free.
    fn start(&mut self, entries: &mut Entries, now: UnixMillis) -> Option<Step> {
        for _ in 0..self.ring.len() {
            let number = self.ring.pop_front()?;
            let Some(site) = self.sites.get_mut(usize_of(number)).and_then(Option::as_mut) else { continue };
            site.in_ring = false;
            if self.suspended.name(&site.name).is_some() {
                continue;
            }
            match site.start(now) {
                Start::Now => {}
                Start::At(at) => {
                    self.wake.push(Reverse((at, number)));
                    continue;
                }
                Start::WhenOneEnds => continue,
            }
            let (suspended, destinations) = (&self.suspended, &self.destinations);
            let unit = site.lanes.pop(&mut |unit| {
                let entry = entries.entry_mut(unit)?;
                let (held, size) = (entry.held, entry.size);
                let part = entry.parts.get_mut(unit.part).filter(|part| part.phase == Phase::Ready)?;
                let stays = held || is_suspended(suspended, destinations, part.destination).is_some();
                if stays {
                    // Put back into the timers when it is released or resumed.
                    part.phase = Phase::Waiting;
                    return None;
                }
                Some(lanes::cost(size))
            });
            let Some(unit) = unit else { continue };
            site.started(now);
            self.enter_ring(number);
            if let Some(part) = entries.part_mut(unit) {
                part.phase = Phase::Leased;
            }
            return Some(Step::Start { unit, site: Some(number), blocked: None });
        }
        None
    }

    /// Whether this destination belongs to the site and is not suspended by its own name.
    pub(crate) fn may_go_to(&self, destination: u32, site: u32, now: UnixMillis) -> bool {
        let known = self.destinations.get(destination);
        known.is_some_and(|known| known.site_at(now) == Some(site))
            && is_suspended(&self.suspended, &self.destinations, destination).is_none()
    }

    /// A unit that took a site's place is no longer under way.
    pub(crate) fn ended(&mut self, number: u32, feedback: Option<Feedback>, now: UnixMillis, random: u64) {
        let Some(site) = self.sites.get_mut(usize_of(number)).and_then(Option::as_mut) else { return };
        site.ended(feedback, &self.settings, now, random);
        self.enter_ring(number);
    }

    /// An operator wants what goes to this destination tried now.
    pub(crate) fn open(&mut self, destination: u32, now: UnixMillis) {
        let site = self.destinations.number(destination).and_then(|known| known.site);
        if let Some(number) = site {
            if let Some(site) = self.site_mut(number) {
                site.open(now);
            }
            self.enter_ring(number);
        }
    }

    /// After something was resumed: what was put aside for it waits again, and every site is looked at.
    pub(crate) fn resume(&mut self, entries: &Entries, now: UnixMillis) {
        for (unit, entry, part) in entries.parts() {
            if part.phase == Phase::Waiting && part.due <= now && !entry.held {
                self.wait(unit, part.due);
            }
        }
        for number in 0..self.sites.len() {
            self.enter_ring(u32_of(number));
        }
    }

    /// Looks at some of the letters whether one that cannot go has come to its own time.
    fn sweep(&mut self, entries: &Entries, now: UnixMillis) {
        let elapsed = now.0.saturating_sub(self.swept_at.0).min(SWEEP_MILLIS);
        let slots = entries.slots();
        let share = slots.saturating_mul(usize::try_from(elapsed).unwrap_or(0)) / usize::try_from(SWEEP_MILLIS).unwrap_or(1);
        if elapsed < 200 || slots == 0 {
            return;
        }
        self.swept_at = now;
        for _ in 0..share.clamp(SWEPT_MIN, SWEPT_MAX).min(slots) {
            self.swept_to = (self.swept_to + 1) % slots;
            self.look_at(entries, self.swept_to, now);
        }
    }

    fn look_at(&mut self, entries: &Entries, slot: usize, now: UnixMillis) {
        let Some(entry) = entries.slot(u32_of(slot)).filter(|entry| !entry.held) else { return };
        let expires = entry.begins.plus(self.settings.expire.duration());
        let end = if entry.by_returns { entry.deliver_by.min(expires) } else { expires };
        let warning = self.settings.delay_warning.duration();
        let is_late = entry.deliver_by <= now || (!warning.is_zero() && entry.begins.plus(warning) <= now);
        for (number, part) in entry.parts.iter().enumerate() {
            let warns = !part.warned && is_late;
            // One that waits for its own time is not blocked; one whose time is over was put aside.
            let is_in_line = part.phase == Phase::Ready || (part.phase == Phase::Waiting && part.due <= now);
            if is_in_line
                && (warns || end <= now)
                && let Some(reply) = self.why_blocked(part.destination, now)
            {
                self.overdue.push_back((entry.unit(u32_of(slot), number), reply));
            }
        }
    }

    /// Why nothing can go to this destination now.
    pub(crate) fn why_blocked(&self, destination: u32, now: UnixMillis) -> Option<Reply> {
        if let Some(suspension) = is_suspended(&self.suspended, &self.destinations, destination) {
            return Some(suspended_reply(suspension));
        }
        let site = self.destinations.get(destination)?.site.and_then(|number| self.site(number))?;
        if let Some(suspension) = self.suspended.name(&site.name) {
            return Some(suspended_reply(suspension));
        }
        site.closed_at(now).map(|closed| closed.why.clone())
    }
}

fn is_suspended<'s>(suspended: &'s Suspended, destinations: &Destinations, destination: u32) -> Option<&'s Suspension> {
    if suspended.is_empty() {
        return None;
    }
    suspended.everything().or_else(|| suspended.name(&destinations.get(destination)?.destination.to_string()))
}

/// Counts a sender's letter; says when it may go if that is not now.
fn charge(senders: &mut HashMap<u32, Rate>, per_minute: Option<u32>, flow: u32, now: UnixMillis) -> Option<UnixMillis> {
    per_minute?;
    if senders.len() >= SENDERS_MAX {
        senders.retain(|_, rate| !rate.is_unused(now));
    }
    let rate = senders.entry(flow).or_default();
    let later = rate.later(per_minute, now);
    if later.is_none() {
        rate.count(per_minute, now);
    }
    later
}

/// RFC 3463 §3.4: X.3.2, the system is not accepting messages.
pub(crate) fn suspended_reply(suspension: &Suspension) -> Reply {
    let reason = suspension.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Reply::new(451, Status::temporary(3, 2), &format!("delivery is suspended by {}{reason}", suspension.by))
}

#[cfg(test)]
mod tests;
