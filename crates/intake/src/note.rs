//! What the journal is told.

use std::net::IpAddr;

use posthouse_journal::{Entry, Event, Span};
use posthouse_mail::{LetterId, UnixMillis};
use posthouse_runtime::clock;
use posthouse_smtp::server::{Refusal, Stage};

use crate::context::{Context, ListenerKind};
use crate::local::Submitter;
use crate::visit::Begun;

/// The recipients under which a letter that was refused is found.
const RECIPIENTS_MAX: usize = 20;

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

/// One line for one refusal, perhaps of the letter that was begun.
pub(crate) fn refused(context: &Context, kind: ListenerKind, who: Who<'_>, begun: Option<&Begun>, refusal: Refusal) {
    let Refusal { stage, about, reply } = refusal;
    let sender = || begun.map(|begun| begun.sender.path.to_string());
    let (mut letter, mut also) = (None, Vec::new());
    let (from, to) = match stage {
        Stage::Sender => (about, None),
        Stage::Recipient => (sender(), about),
        Stage::Letter => {
            letter = begun.and_then(|begun| begun.told);
            let mut named = begun.iter().flat_map(|begun| &begun.named).map(ToString::to_string).take(RECIPIENTS_MAX);
            let first = named.next();
            also = named.collect();
            (sender(), first)
        }
        Stage::Connect | Stage::Hello | Stage::StartTls | Stage::Auth | Stage::Command => (None, None),
    };
    let (listener, stage, reply) = (kind.to_string(), stage.name().to_owned(), reply.to_string());
    let (peer, user) = who.told();
    record(context, letter, Event::Refused { listener, peer, user, stage, from, to, also, reply });
}

pub(crate) fn record(context: &Context, letter: Option<LetterId>, event: Event) {
    context.journal.record(Entry { at: UnixMillis(clock::unix_millis()), letter, event });
}

/// As [`record`], for a step that took its time.
pub(crate) fn record_span(context: &Context, letter: LetterId, event: Event, lasted: Span) {
    context.journal.record_span(Entry { at: UnixMillis(clock::unix_millis()), letter: Some(letter), event }, lasted);
}

/// From then until now.
pub(crate) fn since(began: UnixMillis) -> Span {
    Span { began, ended: UnixMillis(clock::unix_millis()) }
}
