//! The queue by destination: what a running one knows, or sums over the letters of a stopped one.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use posthouse_mail::UnixMillis;
use posthouse_queue::{DeliveryState, Inspection, Queue, Queued, RecipientState, Scope, SiteStatus, Suspension};

use super::results::{DestinationInfo, Summary, SuspensionInfo, next};

/// The domains of a destination that are named.
const NAMED_MAX: usize = 20;

/// The summary of a running queue, without the answers that only its letters know.
pub(crate) fn live(queue: &Queue, now: UnixMillis) -> Summary {
    let sites = queue.sites();
    let oldest = sites.iter().map(|site| site.oldest).min();
    let mut destinations: Vec<_> = sites.into_iter().map(|site| DestinationInfo::of(site, now)).collect();
    sort(&mut destinations);
    Summary {
        letters: queue.len(),
        octets: queue.octets(),
        oldest: oldest.map(|oldest| oldest.to_string()),
        suspensions: queue.suspensions().into_iter().map(SuspensionInfo::from).collect(),
        destinations,
    }
}

impl DestinationInfo {
    fn of(site: SiteStatus, now: UnixMillis) -> Self {
        let state = state(&site, now);
        let SiteStatus { name, mut destinations, active, ready, deferred, held, octets, oldest, next, window, closed, suspended } =
            site;
        destinations.truncate(NAMED_MAX);
        let suspended = suspended.as_ref().map(reason);
        Self {
            destination: name,
            domains: destinations,
            state: state.to_owned(),
            letters: active + ready + deferred + held,
            octets,
            delivering: active,
            ready,
            deferred,
            held,
            window,
            oldest: Some(oldest.to_string()),
            age: now.since(oldest).as_secs(),
            next: next.map(|next| next.to_string()),
            reason: suspended.or_else(|| closed.map(|(_, reply)| reply.to_string())),
        }
    }
}

fn state(site: &SiteStatus, now: UnixMillis) -> &'static str {
    if site.suspended.is_some() {
        "suspended"
    } else if site.active > 0 {
        "moving"
    } else if site.closed.as_ref().is_some_and(|(until, _)| *until > now) {
        "resting"
    } else if site.ready > 0 {
        "ready"
    } else if site.deferred > 0 {
        "waiting"
    } else {
        "held"
    }
}

impl From<(Scope, Suspension)> for SuspensionInfo {
    fn from((scope, suspension): (Scope, Suspension)) -> Self {
        let destination = match scope {
            Scope::Everything => None,
            Scope::Name(name) => Some(name),
        };
        let Suspension { since, until, by, reason } = suspension;
        Self {
            destination,
            since: UnixMillis(since).to_string(),
            until: until.map(|until| UnixMillis(until).to_string()),
            by,
            reason,
        }
    }
}

fn sort(destinations: &mut [DestinationInfo]) {
    destinations.sort_by(|a, b| (Reverse(a.letters), &a.destination).cmp(&(Reverse(b.letters), &b.destination)));
}

/// The sums so far over the letters of a stopped queue.
#[derive(Debug)]
pub(crate) struct Tally<'a> {
    inspection: &'a Inspection,
    letters: usize,
    octets: u64,
    oldest: Option<UnixMillis>,
    places: HashMap<String, Place>,
}

#[derive(Debug, Default)]
struct Place {
    domains: BTreeSet<String>,
    letters: usize,
    octets: u64,
    deferred: usize,
    held: usize,
    oldest: Option<UnixMillis>,
    next: Option<UnixMillis>,
    /// The answer to the attempt that leads to the latest next one.
    reason: Option<(UnixMillis, String)>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(inspection: &'a Inspection) -> Self {
        Self { inspection, letters: 0, octets: 0, oldest: None, places: HashMap::new() }
    }

    /// Counts a letter at each next hop that it still waits for.
    pub(crate) fn add(&mut self, queued: &Queued) {
        let arrived = queued.letter.arrived;
        self.letters += 1;
        self.octets += queued.size;
        self.oldest = earlier(self.oldest, arrived);
        let mut counted = BTreeSet::new();
        for recipient in queued.recipients.iter().filter(|recipient| recipient.is_pending()) {
            let destination = destination(queued, recipient);
            let site = self.inspection.site_of(&destination).to_owned();
            let place = self.places.entry(site.clone()).or_default();
            place.domains.insert(destination);
            if let (DeliveryState::Pending { next }, Some(last)) = (recipient.state, &recipient.last)
                && place.reason.as_ref().is_none_or(|(known, _)| next > *known)
            {
                place.reason = Some((next, last.to_string()));
            }
            if counted.insert(site) {
                place.letters += 1;
                place.octets += queued.size;
                place.held += usize::from(queued.held);
                place.deferred += usize::from(!queued.held);
                place.oldest = earlier(place.oldest, arrived);
                place.next = earlier(place.next, next(queued));
            }
        }
    }

    pub(crate) fn finish(self, now: UnixMillis) -> Summary {
        let suspended = |name: &str| self.inspection.suspension_of(name);
        let places = self.places.into_iter();
        let mut destinations: Vec<_> = places.map(|(name, place)| place.finish(suspended(&name), name, now)).collect();
        sort(&mut destinations);
        let oldest = self.oldest.map(|oldest| oldest.to_string());
        let suspensions = self.inspection.suspensions.iter().cloned().map(SuspensionInfo::from).collect();
        Summary { letters: self.letters, octets: self.octets, oldest, suspensions, destinations }
    }
}

impl Place {
    fn finish(self, suspension: Option<&Suspension>, destination: String, now: UnixMillis) -> DestinationInfo {
        let state = match suspension {
            Some(_) => "suspended",
            None if self.deferred > 0 => "waiting",
            None => "held",
        };
        let reason = suspension.map(reason).or(self.reason.map(|(_, reason)| reason));
        DestinationInfo {
            domains: self.domains.into_iter().take(NAMED_MAX).collect(),
            destination,
            state: state.to_owned(),
            letters: self.letters,
            octets: self.octets,
            delivering: 0,
            ready: 0,
            deferred: self.deferred,
            held: self.held,
            window: None,
            oldest: self.oldest.map(|oldest| oldest.to_string()),
            age: self.oldest.map(|oldest| now.since(oldest).as_secs()).unwrap_or_default(),
            next: self.next.map(|next| next.to_string()),
            reason,
        }
    }
}

/// Where a recipient's letter goes: its domain, or the host that an operator chose.
pub(crate) fn destination(queued: &Queued, recipient: &RecipientState) -> String {
    let domain = || recipient.recipient.address.domain().to_string();
    queued.via.as_ref().map_or_else(domain, ToString::to_string)
}

fn reason(suspension: &Suspension) -> String {
    suspension.reason.clone().unwrap_or_else(|| format!("by {}", suspension.by))
}

fn earlier(known: Option<UnixMillis>, other: UnixMillis) -> Option<UnixMillis> {
    Some(known.map_or(other, |known| known.min(other)))
}
