//! What the journal is told.

use std::net::IpAddr;

use posthouse_journal::{Entry, Event};
use posthouse_mail::{LetterId, ReversePath, UnixMillis};
use posthouse_runtime::clock;
use posthouse_smtp::server::{Refusal, Stage};

use crate::context::{Context, ListenerKind};
use crate::local::Submitter;

/// Who is refused.
#[derive(Clone, Copy)]
pub(crate) enum Who<'a> {
    /// A host.
    Peer(IpAddr),
    /// A user of this machine.
    User(&'a Submitter),
}

impl Who<'_> {
    /// As the journal has it.
    pub(crate) fn told(self) -> (Option<IpAddr>, Option<String>) {
        match self {
            Self::Peer(peer) => (Some(peer), None),
            Self::User(user) => (None, Some(user.to_string())),
        }
    }
}

/// One line for one refusal. `sender` is that of the letter that was begun.
pub(crate) fn refused(context: &Context, kind: ListenerKind, who: Who<'_>, sender: Option<&ReversePath>, refusal: Refusal) {
    let Refusal { stage, about, reply } = refusal;
    let (from, to) = match stage {
        Stage::Sender => (about, None),
        Stage::Recipient => (sender.map(ToString::to_string), about),
        Stage::Letter => (sender.map(ToString::to_string), None),
        Stage::Connect | Stage::Hello | Stage::StartTls | Stage::Auth | Stage::Command => (None, None),
    };
    let (listener, stage, reply) = (kind.to_string(), stage.name().to_owned(), reply.to_string());
    let (peer, user) = who.told();
    record(context, None, Event::Refused { listener, peer, user, stage, from, to, reply });
}

pub(crate) fn record(context: &Context, letter: Option<LetterId>, event: Event) {
    context.journal.record(Entry { at: UnixMillis(clock::unix_millis()), letter, event });
}
