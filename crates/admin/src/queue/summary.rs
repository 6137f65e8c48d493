//! The queue by destination: sums over its letters.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use posthouse_mail::UnixMillis;
use posthouse_queue::{DeliveryState, Queued};

use super::results::{DestinationInfo, Summary, next};

/// The sums so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    letters: usize,
    octets: u64,
    oldest: Option<UnixMillis>,
    places: HashMap<String, Place>,
}

#[derive(Debug, Default)]
struct Place {
    letters: usize,
    octets: u64,
    delivering: usize,
    oldest: Option<UnixMillis>,
    next: Option<UnixMillis>,
    /// The answer to the attempt that leads to the latest next one.
    reason: Option<(UnixMillis, String)>,
}

impl Tally {
    /// Counts a letter at each domain that it still waits for.
    pub(crate) fn add(&mut self, queued: &Queued) {
        let arrived = queued.letter.arrived;
        self.letters += 1;
        self.octets += queued.size;
        self.oldest = earlier(self.oldest, arrived);
        let mut counted = BTreeSet::new();
        for recipient in queued.recipients.iter().filter(|recipient| recipient.is_pending()) {
            let domain = recipient.recipient.address.domain().as_str().to_owned();
            let place = self.places.entry(domain.clone()).or_default();
            if let (DeliveryState::Pending { next }, Some(last)) = (recipient.state, &recipient.last)
                && place.reason.as_ref().is_none_or(|(known, _)| next > *known)
            {
                place.reason = Some((next, last.to_string()));
            }
            if counted.insert(domain) {
                place.letters += 1;
                place.octets += queued.size;
                place.delivering += usize::from(queued.leased == Some(true));
                place.oldest = earlier(place.oldest, arrived);
                place.next = earlier(place.next, next(queued));
            }
        }
    }

    pub(crate) fn finish(self, now: UnixMillis) -> Summary {
        let mut destinations: Vec<_> = self.places.into_iter().map(|(name, place)| place.finish(name, now)).collect();
        destinations.sort_by(|a, b| (Reverse(a.letters), &a.destination).cmp(&(Reverse(b.letters), &b.destination)));
        Summary { letters: self.letters, octets: self.octets, oldest: self.oldest.map(|oldest| oldest.to_string()), destinations }
    }
}

impl Place {
    fn finish(self, destination: String, now: UnixMillis) -> DestinationInfo {
        let state = if self.delivering > 0 { "moving" } else { "waiting" };
        DestinationInfo {
            destination,
            state: state.to_owned(),
            letters: self.letters,
            octets: self.octets,
            delivering: self.delivering,
            held: 0,
            oldest: self.oldest.map(|oldest| oldest.to_string()),
            age: self.oldest.map(|oldest| now.since(oldest).as_secs()).unwrap_or_default(),
            next: self.next.map(|next| next.to_string()),
            reason: self.reason.map(|(_, reason)| reason),
        }
    }
}

fn earlier(known: Option<UnixMillis>, other: UnixMillis) -> Option<UnixMillis> {
    Some(known.map_or(other, |known| known.min(other)))
}
