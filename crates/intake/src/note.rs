//! What the journal is told.

use std::net::IpAddr;

use posthouse_journal::{Entry, Event};
use posthouse_mail::{LetterId, ReversePath, UnixMillis};
use posthouse_runtime::clock;
use posthouse_smtp::server::{Refusal, Stage};

use crate::context::{Context, ListenerKind};

/// One line for one refusal. `sender` is that of the letter that was begun.
pub(crate) fn refused(context: &Context, kind: ListenerKind, peer: IpAddr, sender: Option<&ReversePath>, refusal: Refusal) {
    let Refusal { stage, about, reply } = refusal;
    let (from, to) = match stage {
        Stage::Sender => (about, None),
        Stage::Recipient => (sender.map(ToString::to_string), about),
        Stage::Letter => (sender.map(ToString::to_string), None),
        Stage::Connect | Stage::Hello | Stage::StartTls | Stage::Auth | Stage::Command => (None, None),
    };
    let (listener, stage, reply) = (kind.to_string(), stage.name().to_owned(), reply.to_string());
    record(context, None, Event::Refused { listener, peer: Some(peer), stage, from, to, reply });
}

pub(crate) fn record(context: &Context, letter: Option<LetterId>, event: Event) {
    context.journal.record(Entry { at: UnixMillis(clock::unix_millis()), letter, event });
}
