//! What became of a letter, recipient by recipient.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use posthouse_mail::Address;
use posthouse_smtp::client::RecipientResult;

use crate::cause::cause;
use crate::error::Fault;

/// The end of one [`Mailer::send`](crate::Mailer::send).
///
/// ```
/// use posthouse_client::mail::Reply;
/// use posthouse_client::{Memory, Message, SendReport, blocking::Transport as _};
///
/// let memory = Memory::new();
/// memory.refuse("nobody@example.net", Reply::new(550, "5.1.1".parse()?, "no such user"));
/// let message = Message::builder().from("us@example.org").to("bob@example.net").to("nobody@example.net").text("Hi.").build()?;
/// let report: SendReport = memory.send(&message)?;
/// assert!(!report.is_complete());
/// assert_eq!(report.failed().next().unwrap().address.to_string(), "nobody@example.net");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SendReport {
    /// One for each recipient, in the order of the envelope.
    pub recipients: Vec<RecipientReport>,
    /// The server's name; of a mailer that delivers directly those of the mail hosts, with commas between.
    pub server: String,
    /// The address it was reached at; none where nothing was connected, or several servers were.
    pub peer: Option<SocketAddr>,
    /// Protocol and cipher; `None` in clear.
    pub tls: Option<String>,
    /// The letter's `Message-ID`.
    pub message_id: Option<String>,
}

/// What became of one recipient.
///
/// ```
/// use posthouse_client::{Fault, RecipientReport};
///
/// fn again_later(recipient: &RecipientReport, server: &str) -> bool {
///     if recipient.is_accepted() {
///         return false;
///     }
///     let whose = if recipient.fault() == Some(Fault::Yours) { "ours" } else { "theirs" };
///     eprintln!("{recipient} ({whose}): {}", recipient.cause(server).unwrap_or(recipient.advice()));
///     recipient.is_temporary()
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct RecipientReport {
    /// Who.
    pub address: Address,
    /// What.
    pub result: RecipientResult,
    /// The mail host that was spoken to last for this recipient, by a mailer that delivers directly ([`Mailer::direct_with`](crate::Mailer::direct_with));
    /// for all others the report has it.
    pub via: Option<Arc<Via>>,
}

/// A mail host that was spoken to, and how safely.
///
/// ```
/// fn tell(report: &posthouse_client::SendReport) {
///     for recipient in &report.recipients {
///         if let Some(via) = &recipient.via {
///             println!("{}: by {}, {}", recipient.address, via.server, via.policy); // bob@example.net: by mx.example.net, dane, by 1 TLSA records at …
///         }
///     }
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Via {
    /// Its name.
    pub server: String,
    /// The address it was reached at.
    pub peer: Option<SocketAddr>,
    /// Protocol and cipher; `None` in clear.
    pub tls: Option<String>,
    /// What was asked of the connection, by whom, and what came of it: `dane, by 1 TLSA records at …; it fits TLSA 3 1 1 …`.
    pub policy: String,
}

impl SendReport {
    /// Whether the server has the letter for everybody.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.recipients.iter().all(RecipientReport::is_accepted)
    }

    /// Those for whom the server does not have it, or is not known to.
    pub fn failed(&self) -> impl Iterator<Item = &RecipientReport> {
        self.recipients.iter().filter(|recipient| !recipient.is_accepted())
    }
}

impl RecipientReport {
    pub(crate) fn new(address: Address, result: RecipientResult) -> Self {
        Self { address, result, via: None }
    }

    /// Whether the server has the letter for this recipient.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self.result, RecipientResult::Accepted(_))
    }

    /// Whether trying again later can help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match &self.result {
            RecipientResult::Refused(reply) | RecipientResult::Unsendable(reply) => !reply.is_permanent(),
            RecipientResult::Unknown(_) | RecipientResult::NotTried(_) => true,
            RecipientResult::Accepted(_) => false,
        }
    }

    /// Whose fault it is, if it failed.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        match &self.result {
            RecipientResult::Accepted(_) => None,
            // RFC 3463 §3.2: X.1 is about addresses, X.6 about the letter itself.
            RecipientResult::Refused(reply) if matches!(reply.status_or_default().subject, 1 | 6) => Some(Fault::Yours),
            RecipientResult::Refused(_) => Some(Fault::Server),
            RecipientResult::Unsendable(reply) if reply.is_temporary() => Some(Fault::Network),
            RecipientResult::Unsendable(_) => Some(Fault::Yours),
            RecipientResult::Unknown(_) | RecipientResult::NotTried(_) => Some(Fault::Network),
        }
    }

    /// What a reply like this one usually means with this provider; nothing where nobody knows.
    #[must_use]
    pub fn cause(&self, server: &str) -> Option<&'static str> {
        match &self.result {
            RecipientResult::Refused(reply) => cause(server, reply),
            RecipientResult::Accepted(_)
            | RecipientResult::Unsendable(_)
            | RecipientResult::Unknown(_)
            | RecipientResult::NotTried(_) => None,
        }
    }

    /// What to do about it, in one sentence; nothing where nothing is to be done.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match &self.result {
            RecipientResult::Accepted(_) => "",
            RecipientResult::Refused(reply) if !reply.is_permanent() => "Try again later.",
            RecipientResult::Refused(reply) => match (reply.status_or_default().subject, reply.code()) {
                (1, _) => "Check the address.",
                (3, _) | (_, 552) => "Send a smaller letter.",
                (7, _) | (_, 530) => "The server does not allow it: log in, or send from an address that is yours.",
                _ => "Read the server's words: trying again will not help.",
            },
            RecipientResult::Unsendable(reply) if !reply.is_permanent() => "Try again later.",
            // RFC 3463 §3.2, §3.5: what the DNS says of the address.
            RecipientResult::Unsendable(reply) if matches!(reply.status_or_default().subject, 1 | 4) => "Check the address.",
            RecipientResult::Unsendable(_) => "Use another server, or a letter that this one can take.",
            RecipientResult::Unknown(_) => "Ask the recipient before sending it again: it may have arrived.",
            RecipientResult::NotTried(_) => "Send it again to this recipient.",
        }
    }
}

/// One line: address, outcome, the server's words.
impl fmt::Display for RecipientReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match &self.result {
            RecipientResult::Accepted(reply) => write!(f, "{address}: accepted: {reply}"),
            RecipientResult::Refused(reply) if reply.is_permanent() => write!(f, "{address}: refused: {reply}"),
            RecipientResult::Refused(reply) => write!(f, "{address}: refused for now: {reply}"),
            RecipientResult::Unsendable(reply) if reply.is_temporary() => write!(f, "{address}: not sent for now: {reply}"),
            RecipientResult::Unsendable(reply) => write!(f, "{address}: not sent: {reply}"),
            RecipientResult::Unknown(why) => write!(f, "{address}: unknown: {why}"),
            RecipientResult::NotTried(why) => write!(f, "{address}: not tried: {why}"),
        }
    }
}
