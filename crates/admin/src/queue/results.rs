//! What operations on the queue return. The field names are an interface: they are what scripts read.

use serde::{Deserialize, Serialize};

use posthouse_mail::UnixMillis;
use posthouse_queue::{DeliveryState, Queued, RecipientState};

use crate::error::Kind;
use crate::results::TraceEntry;

/// The recipients that a line of the list names; the rest is counted.
const NAMED_MAX: usize = 20;

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedInfo {
    /// The letter.
    pub id: String,
    /// What it waits for.
    pub state: QueuedState,
    /// The reverse-path; empty for `<>`.
    pub from: String,
    /// Recipients that still wait, at most twenty.
    pub to: Vec<String>,
    /// How many recipients still wait.
    pub waiting: usize,
    /// Its octets.
    pub size: u64,
    /// When it was accepted, RFC 3339.
    pub arrived: String,
    /// Seconds since then.
    pub age: u64,
    /// When it is next tried, RFC 3339.
    pub next: String,
    /// The attempts made for the recipient that was tried most.
    pub attempts: u32,
    /// The last answer to an attempt that did not succeed.
    pub reason: Option<String>,
    /// Its priority, from −9 to 9.
    pub priority: i8,
    /// The host that an operator sent it by.
    pub via: Option<String>,
}

/// What a letter waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueuedState {
    /// Its first attempt.
    New,
    /// Another attempt.
    Deferred,
    /// An operator, who holds it.
    Held,
    /// The end of the attempt that is under way.
    Delivering,
}

/// A letter with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedLetter {
    /// As in the list.
    #[serde(flatten)]
    pub info: QueuedInfo,
    /// Why it waits: one sentence.
    pub why: String,
    /// The listener that took it, or the part of us that made it.
    pub listener: String,
    /// Who brought it.
    pub peer: Option<String>,
    /// What the peer called itself.
    pub helo: Option<String>,
    /// Who was logged in.
    pub account: Option<String>,
    /// The sender's own name for the transaction (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// Everybody it is for.
    pub recipients: Vec<RecipientInfo>,
    /// The lines of its header, cut at 64 KiB.
    pub header: Vec<String>,
    /// What the journal knows of it, oldest first.
    pub timeline: Vec<TraceEntry>,
}

/// One recipient of a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientInfo {
    /// The address.
    pub address: String,
    /// `waiting`, `delivered`, `failed` or `removed`.
    pub state: String,
    /// The attempts made.
    pub attempts: u32,
    /// When it is next tried, RFC 3339.
    pub next: Option<String>,
    /// The last answer to an attempt that did not succeed.
    pub reason: Option<String>,
}

/// The queue by destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Letters in all.
    pub letters: usize,
    /// Their octets.
    pub octets: u64,
    /// When the oldest was accepted, RFC 3339.
    pub oldest: Option<String>,
    /// What is suspended.
    pub suspensions: Vec<SuspensionInfo>,
    /// Where they go, most letters first. A letter to several places counts at each.
    pub destinations: Vec<DestinationInfo>,
}

/// One destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationInfo {
    /// The next hop, or the domain while it is not known; with ` by ` and the name of the addresses that letters leave by, where those are not
    /// the usual ones.
    pub destination: String,
    /// The domains behind it, at most twenty.
    pub domains: Vec<String>,
    /// `moving`: letters are under way; `ready`: they wait for their turn; `resting`: it is left alone for a while after trouble;
    /// `waiting`: for the time of the next attempt; `held`; `suspended`.
    pub state: String,
    /// Letters for it.
    pub letters: usize,
    /// Their octets.
    pub octets: u64,
    /// Letters under way to it now.
    pub delivering: usize,
    /// Letters that are due and wait for their turn.
    pub ready: usize,
    /// Letters that wait for their time.
    pub deferred: usize,
    /// Letters that an operator holds.
    pub held: usize,
    /// How many it gets at a time now.
    pub window: Option<u32>,
    /// When the oldest was accepted, RFC 3339.
    pub oldest: Option<String>,
    /// Seconds since then.
    pub age: u64,
    /// When the next attempt is made, RFC 3339.
    pub next: Option<String>,
    /// The last answer to an attempt that did not succeed.
    pub reason: Option<String>,
}

/// A suspension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspensionInfo {
    /// The destination or next hop; `None`: everything.
    pub destination: Option<String>,
    /// Since when, RFC 3339.
    pub since: String,
    /// When it ends by itself, RFC 3339.
    pub until: Option<String>,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// What became of a change to one letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The letter.
    pub id: String,
    /// Why it was not changed; `None`: it was.
    pub error: Option<String>,
    /// Whose fault that is.
    pub kind: Option<Kind>,
}

impl QueuedInfo {
    /// What the list shows of a letter.
    pub(crate) fn of(queued: &Queued, now: UnixMillis) -> Self {
        let pending = || queued.recipients.iter().filter(|recipient| recipient.is_pending());
        let attempts = queued.recipients.iter().map(|recipient| recipient.attempts).max().unwrap_or_default();
        let last = pending().max_by_key(|recipient| recipient.attempts).and_then(|recipient| recipient.last.as_ref());
        Self {
            id: queued.id.to_string(),
            state: QueuedState::of(queued),
            from: queued.letter.envelope.reverse_path.to_string(),
            to: pending().take(NAMED_MAX).map(|recipient| recipient.recipient.address.to_string()).collect(),
            waiting: pending().count(),
            size: queued.size,
            arrived: queued.letter.arrived.to_string(),
            age: now.since(queued.letter.arrived).as_secs(),
            next: next(queued).to_string(),
            attempts,
            reason: last.map(ToString::to_string),
            priority: queued.priority.unwrap_or(queued.letter.envelope.priority).level(),
            via: queued.via.as_ref().map(ToString::to_string),
        }
    }
}

impl QueuedState {
    fn of(queued: &Queued) -> Self {
        if queued.leased == Some(true) {
            Self::Delivering
        } else if queued.held {
            Self::Held
        } else if queued.recipients.iter().any(|recipient| recipient.attempts > 0) {
            Self::Deferred
        } else {
            Self::New
        }
    }
}

impl RecipientInfo {
    pub(crate) fn of(recipient: &RecipientState) -> Self {
        let (state, next) = match recipient.state {
            DeliveryState::Pending { next } => ("waiting", Some(next.to_string())),
            DeliveryState::Delivered => ("delivered", None),
            DeliveryState::Failed => ("failed", None),
            DeliveryState::Removed => ("removed", None),
        };
        Self {
            address: recipient.recipient.address.to_string(),
            state: state.to_owned(),
            attempts: recipient.attempts,
            next,
            reason: recipient.last.as_ref().map(ToString::to_string),
        }
    }
}

/// When the next recipient of a letter is due.
pub(crate) fn next(queued: &Queued) -> UnixMillis {
    let times = queued.recipients.iter().filter_map(|recipient| match recipient.state {
        DeliveryState::Pending { next } => Some(next),
        DeliveryState::Delivered | DeliveryState::Failed | DeliveryState::Removed => None,
    });
    times.min().unwrap_or_default()
}
