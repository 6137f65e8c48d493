//! The checks, one file for each question of a session.
//!
//! A check reads the world and gives a verdict; what it learns for later it puts into the [`Visit`]. What goes wrong on our side is a
//! deferral, logged with its cause; the peer hears no more than that it should come again.

mod auth;
mod body;
mod connect;
mod hello;
mod recipient;
mod sender;
mod senders;

use posthouse_directory::DirectoryError;
use posthouse_mail::{Reply, Status};
use posthouse_queue::QueueError;
use posthouse_runtime::log::Seldom;
use posthouse_smtp::server::{Reason, Verdict};

pub(crate) use auth::auth;
pub(crate) use body::{accept, is_extended, piece, room};
pub(crate) use connect::connect;
pub(crate) use hello::hello;
pub(crate) use recipient::recipient;
pub(crate) use sender::{not_yours, owns, sender};
pub(crate) use senders::{Asked, QUARANTINE};

pub(crate) fn reject(code: u16, subject: u16, detail: u16, text: impl Into<std::borrow::Cow<'static, str>>) -> Verdict {
    Verdict::Reject(Reason::new(code, Status::permanent(subject, detail), text))
}

/// The directory cannot answer. Temporary, whatever it is: for mail on its way everything in the directory is our fault.
pub(crate) fn no_directory(error: &DirectoryError) -> Verdict {
    tracing::error!(%error, "the directory cannot answer, mail is put off");
    Verdict::Defer(Reason::new(451, Status::temporary(3, 0), "the directory cannot be read now, try again later"))
}

/// The queue cannot take the letter. With 421 the connection ends as well (RFC 5321 §3.8).
pub(crate) fn no_queue(error: &QueueError) -> Verdict {
    // Every client meets it, as often as it tries; each refusal is in the journal.
    static REFUSALS: Seldom = Seldom::every_millis(10_000);
    if let Some(not_logged) = REFUSALS.pass() {
        tracing::error!(%error, not_logged, "the queue cannot take a letter");
    }
    verdict(&error.reply())
}

/// A letter cannot be kept for its filters: a fault of our disk.
pub(crate) fn no_scratch(error: &std::io::Error) -> Verdict {
    tracing::error!(%error, "a letter cannot be kept for its filters");
    Verdict::Defer(Reason::new(452, Status::temporary(3, 1), "there is no room for the letter now, try again later"))
}

/// A negative reply as a verdict.
fn verdict(reply: &Reply) -> Verdict {
    let reason = Reason::new(reply.code(), reply.status_or_default(), reply.text());
    match reply.code() {
        421 => Verdict::Drop(reason),
        500.. => Verdict::Reject(reason),
        _ => Verdict::Defer(reason),
    }
}
