//! A queued letter without its body: where it came from, its envelope, and what has become of each recipient.
//!
//! Pure: what an attempt's end does to a recipient's state is decided here and nowhere else.

use std::net::IpAddr;

use posthouse_mail::{Envelope, Recipient, Reply, UnixMillis};

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
    },
}

impl RecipientState {
    pub(crate) fn new(recipient: Recipient, arrived: UnixMillis) -> Self {
        Self { recipient, attempts: 0, state: DeliveryState::Pending { next: arrived }, last: None }
    }

    /// Whether an attempt is due at `now`. The first one always is, also when the clock was set back since the letter came.
    #[must_use]
    pub fn is_due(&self, now: UnixMillis) -> bool {
        matches!(self.state, DeliveryState::Pending { next } if next <= now || self.attempts == 0)
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
            RecipientEnd::Retry { at, last } => {
                self.attempts = self.attempts.saturating_add(1);
                self.state = DeliveryState::Pending { next: at };
                self.last = Some(last);
            }
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
    states
        .iter()
        .filter_map(|state| match state.state {
            DeliveryState::Pending { next } => Some(next),
            DeliveryState::Delivered | DeliveryState::Failed | DeliveryState::Removed => None,
        })
        .min()
}

#[cfg(test)]
mod tests;
