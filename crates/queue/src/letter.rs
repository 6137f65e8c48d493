//! A queued letter without its body: where it came from, its envelope, and what has become of each recipient.
//!
//! Pure: what an attempt's end does to a recipient's state is decided here and nowhere else.

use std::collections::HashMap;
use std::net::IpAddr;

use posthouse_mail::{Address, DeliverBy, Domain, Envelope, Priority, Recipient, Reply, UnixMillis};

use crate::layout::{u32_of, usize_of};
use crate::schedule::destinations::{Destination, NextHop, Towards};
use crate::schedule::lanes::Lane;
use crate::schedule::sources::Sources;

/// A letter as it was accepted; its body is beside it in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Who it is from and whom it is for.
    pub envelope: Envelope,
    /// When it was accepted; its age counts from here.
    pub arrived: UnixMillis,
    /// How it came.
    pub origin: Origin,
}

impl Letter {
    /// From when on it is late, and its time to live counts: since it was accepted, or released by its sender's own wish (RFC 4865).
    #[must_use]
    pub fn begins(&self) -> UnixMillis {
        self.envelope.release_at.map_or(self.arrived, |at| at.max(self.arrived))
    }
}

/// How a letter came to us.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The peer's address; `None` for letters made here.
    pub peer: Option<IpAddr>,
    /// What the peer called itself.
    pub helo: Option<String>,
    /// The account that submitted it.
    pub account: Option<String>,
    /// The listener that took it, or the part of us that made it.
    pub listener: String,
}

/// What has become of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientState {
    /// The envelope's recipient.
    pub recipient: Recipient,
    /// The attempts made so far.
    pub attempts: u32,
    /// Whether it is over, and how.
    pub state: DeliveryState,
    /// The last reply to an attempt that did not succeed.
    pub last: Option<Reply>,
    /// Whether its sender has been told that it is late.
    pub warned: bool,
}

/// Whether a recipient still waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is to be tried (again).
    Pending {
        /// Not before this time.
        next: UnixMillis,
    },
    /// It was delivered.
    Delivered,
    /// It failed for good; its sender has been told where that is due.
    Failed,
    /// An operator took it out.
    Removed,
}

/// How an attempt for one recipient ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientEnd {
    /// The next hop took it.
    Delivered,
    /// It will never be delivered.
    Failed,
    /// An operator took it out.
    Removed,
    /// It is to be tried again.
    Retry {
        /// Not before this time.
        at: UnixMillis,
        /// What the next hop said, or what we say for it.
        last: Reply,
        /// Whether its sender has been told that it is late, now or before.
        warned: bool,
    },
    /// It was not tried and waits as before; its sender has been told that it is late, or did not want to hear of it.
    Warned,
}

/// What an operator may do to a queued letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Not try it until it is released.
    Hold,
    /// Take back [`Change::Hold`].
    Release,
    /// Try it now, and the site it goes to as well.
    RetryNow,
    /// Give it another priority.
    Priority(Priority),
    /// Send it by this host, or (`None`) to where its recipients say.
    Redirect(Option<NextHop>),
}

/// What changes in a queued letter: its recipients' states, and what an operator has said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LetterState {
    pub(crate) recipients: Vec<RecipientState>,
    pub(crate) held: bool,
    pub(crate) priority: Option<Priority>,
    pub(crate) via: Option<NextHop>,
}

/// What the scheduler needs to know of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) arrived: UnixMillis,
    pub(crate) release_at: Option<UnixMillis>,
    pub(crate) deliver_by: Option<DeliverBy>,
    pub(crate) lane: Lane,
    pub(crate) flow: u32,
    /// The destinations of its parts.
    pub(crate) destinations: Vec<Destination>,
    /// Which part each recipient belongs to; empty when there is one.
    pub(crate) part_of: Vec<u32>,
}

impl Facts {
    pub(crate) fn of(letter: &Letter, sources: &Sources) -> Self {
        let envelope = &letter.envelope;
        let (destinations, part_of) = parts(&envelope.recipients);
        let sender = letter.origin.account.as_deref();
        let from = envelope.reverse_path.address().map(Address::domain);
        let domain = from.map_or("", Domain::as_str);
        let destination = |to: &Domain| Destination { to: Towards::Domain(to.clone()), source: sources.of(from, to) };
        Self {
            arrived: letter.arrived,
            release_at: envelope.release_at,
            deliver_by: envelope.deliver_by,
            lane: Lane::of(envelope.priority.level(), envelope.recipients.len()),
            flow: crc32fast::hash(sender.unwrap_or(domain).as_bytes()) & !1,
            destinations: destinations.into_iter().map(destination).collect(),
            part_of,
        }
    }

    /// When the letter is first to be tried: at once, whatever the clock said when it came, unless its sender named a time.
    pub(crate) fn due(&self) -> UnixMillis {
        self.release_at.unwrap_or_default()
    }

    /// See [`Letter::begins`].
    pub(crate) fn begins(&self) -> UnixMillis {
        self.release_at.map_or(self.arrived, |at| at.max(self.arrived))
    }

    pub(crate) fn part_of(&self, recipient: usize) -> usize {
        self.part_of.get(recipient).map_or(0, |&part| usize_of(part))
    }
}

/// The distinct domains of recipients in their order, and which one each has; nothing of the latter when there is one domain.
fn parts(recipients: &[Recipient]) -> (Vec<&Domain>, Vec<u32>) {
    let Some(first) = recipients.first().map(|recipient| recipient.address.domain()) else { return (Vec::new(), Vec::new()) };
    if recipients.iter().all(|recipient| recipient.address.domain() == first) {
        return (vec![first], Vec::new());
    }
    let mut domains: Vec<&Domain> = Vec::new();
    let mut numbers: HashMap<&Domain, u32> = HashMap::new();
    let part_of = recipients.iter().map(|recipient| {
        let domain = recipient.address.domain();
        *numbers.entry(domain).or_insert_with(|| {
            domains.push(domain);
            u32_of(domains.len() - 1)
        })
    });
    let part_of = part_of.collect();
    (domains, part_of)
}

impl LetterState {
    pub(crate) fn new(letter: &Letter) -> Self {
        let first = letter.envelope.release_at.unwrap_or(letter.arrived);
        let recipients = letter.envelope.recipients.iter().cloned();
        Self {
            recipients: recipients.map(|recipient| RecipientState::new(recipient, first)).collect(),
            held: false,
            priority: None,
            via: None,
        }
    }

    /// How each part stands.
    pub(crate) fn stands(&self, facts: &Facts) -> Vec<(Option<UnixMillis>, bool)> {
        let recipients = self.recipients.iter().map(|recipient| (recipient.due(), recipient.warned));
        stands(recipients, facts.destinations.len(), &facts.part_of)
    }

    pub(crate) fn change(&mut self, change: &Change, now: UnixMillis) {
        match change {
            Change::Hold => self.held = true,
            Change::Release => self.held = false,
            Change::Priority(priority) => self.priority = Some(*priority),
            Change::Redirect(via) => self.via.clone_from(via),
            Change::RetryNow => {}
        }
        if matches!(change, Change::RetryNow | Change::Redirect(_)) {
            for recipient in self.recipients.iter_mut().filter(|recipient| recipient.is_pending()) {
                recipient.state = DeliveryState::Pending { next: now };
            }
        }
    }
}

/// Of each of `parts` parts, when it is due (`None`: it is over) and whether all who wait in it were told that it is late; from the same
/// of each recipient, and the part it belongs to (none is said when there is one part).
pub(crate) fn stands(
    recipients: impl Iterator<Item = (Option<UnixMillis>, bool)>,
    parts: usize,
    part_of: &[u32],
) -> Vec<(Option<UnixMillis>, bool)> {
    let mut stands: Vec<(Option<UnixMillis>, bool)> = vec![(None, true); parts];
    for (index, (next, is_warned)) in recipients.enumerate() {
        if let Some(next) = next
            && let Some((due, warned)) = stands.get_mut(part_of.get(index).map_or(0, |&part| usize_of(part)))
        {
            *due = Some(due.map_or(next, |due| due.min(next)));
            *warned &= is_warned;
        }
    }
    stands
}

impl RecipientState {
    pub(crate) fn new(recipient: Recipient, arrived: UnixMillis) -> Self {
        Self { recipient, attempts: 0, state: DeliveryState::Pending { next: arrived }, last: None, warned: false }
    }

    /// Whether an attempt is due at `now`. The first one always is, also when the clock was set back since the letter came.
    #[must_use]
    pub fn is_due(&self, now: UnixMillis) -> bool {
        matches!(self.state, DeliveryState::Pending { next } if next <= now || self.attempts == 0)
    }

    /// When it is next to be tried; `None` when it has come to its end.
    pub(crate) fn due(&self) -> Option<UnixMillis> {
        match self.state {
            DeliveryState::Pending { next } => Some(next),
            DeliveryState::Delivered | DeliveryState::Failed | DeliveryState::Removed => None,
        }
    }

    /// Whether it has not come to its end.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.state, DeliveryState::Pending { .. })
    }

    fn end(&mut self, end: RecipientEnd) {
        // What has ended stays ended: a late or doubled report must not bring a recipient back.
        if !self.is_pending() {
            return;
        }
        match end {
            RecipientEnd::Delivered => self.close(DeliveryState::Delivered, 1),
            RecipientEnd::Failed => self.close(DeliveryState::Failed, 1),
            RecipientEnd::Removed => self.close(DeliveryState::Removed, 0),
            RecipientEnd::Retry { at, last, warned } => {
                self.warned |= warned;
                self.attempts = self.attempts.saturating_add(1);
                self.state = DeliveryState::Pending { next: at };
                self.last = Some(last);
            }
            RecipientEnd::Warned => self.warned = true,
        }
    }

    fn close(&mut self, state: DeliveryState, attempts: u32) {
        self.attempts = self.attempts.saturating_add(attempts);
        self.state = state;
    }
}

/// Applies the ends of attempts to a letter's recipients; an index that names nobody is ignored.
pub(crate) fn apply(states: &mut [RecipientState], ends: Vec<(usize, RecipientEnd)>) {
    for (index, end) in ends {
        if let Some(state) = states.get_mut(index) {
            state.end(end);
        }
    }
}

/// When the letter is next to be tried; `None` when every recipient has come to its end.
pub(crate) fn next_due(states: &[RecipientState]) -> Option<UnixMillis> {
    states.iter().filter_map(RecipientState::due).min()
}

#[cfg(test)]
mod tests;
