//! What an attempt means for a recipient: a pure function of what the next hop said.
//!
//! It never decides when to try again ([`posthouse_queue::schedule`]) nor tells anybody ([`crate::bounce`]).

use std::net::SocketAddr;

use posthouse_client::RecipientResult;
use posthouse_mail::{Reply, Status, UnixMillis};

/// How an attempt for one recipient ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The recipient's place in the letter.
    pub(crate) index: usize,
    /// What it means.
    pub(crate) result: AttemptResult,
    /// Who said so.
    pub(crate) hop: Hop,
}

/// What an attempt means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AttemptResult {
    /// The next hop has taken it; from here on it answers for it.
    Delivered(Reply),
    /// It never will be.
    Failed(Reply),
    /// It is to be tried again.
    Deferred(Reply),
}

impl AttemptResult {
    /// The refusal, if it is one.
    pub(crate) fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Delivered(_) => None,
            Self::Failed(reply) | Self::Deferred(reply) => Some(reply),
        }
    }
}

/// The host that was spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Hop {
    /// Its name.
    pub(crate) host: Option<String>,
    /// Its address and port.
    pub(crate) address: Option<SocketAddr>,
    /// The address of ours that it was spoken to from, where an operator chose it.
    pub(crate) source: Option<String>,
    /// The sender that it was told, where it is not the letter's own, or why it is.
    pub(crate) sender: Option<String>,
    /// The protocol and cipher; `None` in clear.
    pub(crate) tls: Option<String>,
    /// What was asked of the connection, by whom, and what came of it.
    pub(crate) policy: Option<String>,
    /// It takes DSN requests over (RFC 3461 §5.2.2); else we answer for it.
    pub(crate) takes_dsn: bool,
    /// It takes deadlines over (RFC 2852).
    pub(crate) takes_deliver_by: bool,
    /// The reply is its own; else the words are ours.
    pub(crate) speaks: bool,
    /// When it was turned to; `None`: with the round.
    pub(crate) began: Option<UnixMillis>,
    /// It asks for fewer letters: the site is slowed, and the letter is tried soon after.
    pub(crate) throttles: bool,
}

/// What one recipient's result at one host leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// This recipient's attempt is over.
    Over(AttemptResult),
    /// The host did not get to it: ask it again in a transaction of its own.
    Again,
}

/// Reads a result.
pub(crate) fn of(result: RecipientResult) -> Verdict {
    match result {
        RecipientResult::Accepted(reply) => Verdict::Over(AttemptResult::Delivered(reply)),
        RecipientResult::Refused(reply) => Verdict::Over(refused(reply)),
        // Ours, and permanent: this host lacks what the letter needs.
        RecipientResult::Unsendable(reply) => Verdict::Over(refused(reply)),
        // The letter may be there or not. Trying again may make a second copy; not trying may lose it (RFC 1047).
        RecipientResult::Unknown(why) => {
            let text = format!("the connection was lost after the letter was sent, it may have arrived: {why}");
            Verdict::Over(AttemptResult::Deferred(Reply::new(451, Status::temporary(4, 2), &text)))
        }
        RecipientResult::NotTried(_) => Verdict::Again,
    }
}

/// A refusal, final or not.
pub(crate) fn refused(reply: Reply) -> AttemptResult {
    if reply.is_permanent() { AttemptResult::Failed(reply) } else { AttemptResult::Deferred(reply) }
}

/// Whether a reply asks for fewer letters or connections, whatever the letter: then the whole site is slowed.
///
/// There is no status for it (X.7.x and X.3.2 come nearest, RFC 3463 §3.8, §3.4), so the words count as well; large providers use these.
pub(crate) fn throttles(reply: &Reply) -> bool {
    const WORDS: [&str; 12] = [
        "rate limit",
        "rate-limit",
        "ratelimit",
        "rate of",
        "too many",
        "too fast",
        "throttl",
        "slow down",
        "unusual rate",
        "limit exceeded",
        "exceeded the",
        "temporarily deferred",
    ];
    if !reply.is_temporary() {
        return false;
    }
    // RFC 5321 §3.8: 421 is about the connection, never about the letter.
    let text = reply.text().to_ascii_lowercase();
    // A recipient's own limit (4.2.x: mailbox full, too much for one user) slows nobody else.
    let is_of_mailbox = reply.status().is_some_and(|status| status.subject == 2);
    reply.code() == 421 || (!is_of_mailbox && WORDS.iter().any(|word| text.contains(word)))
}

#[cfg(test)]
mod tests;
