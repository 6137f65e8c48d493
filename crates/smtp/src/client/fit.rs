//! Whether a server can be given a letter at all, by what it offers.
//!
//! What it cannot be given is refused here, in our words and for good: the server would refuse it too, or take it for something else.

use std::collections::HashSet;

use posthouse_mail::{Address, BodyKind, ByMode, Domain, Envelope, Reply, Status, TlsWish};

use super::capabilities::{Capabilities, Limits};
use super::letter::Context;
use super::settings::Protocol;
use crate::syntax::By;

/// Why this server cannot be given the letter at all.
pub(super) fn unsendable(envelope: &Envelope, size: u64, context: &Context<'_>) -> Option<Reply> {
    let offered = context.offered;
    if envelope.body == BodyKind::BinaryMime && !offered.binary_mime {
        // RFC 3030 §3: it must be converted or returned, and a conversion breaks every signature.
        return Some(Reply::new(554, Status::permanent(6, 3), "the letter is binary and the server takes no BINARYMIME"));
    }
    if (envelope.smtputf8 || sender_needs_utf8(envelope)) && !offered.smtputf8 {
        return Some(no_smtputf8("this letter"));
    }
    if let Some(reply) = lacks_tls(envelope, offered, context.verified) {
        return Some(reply);
    }
    // RFC 1870 §5: a client may spare itself a refusal that is certain.
    if let Some(size_max) = offered.size_max.filter(|&size_max| size > size_max) {
        let text = format!("the letter has {size} octets and the server takes {size_max}");
        return Some(Reply::new(552, Status::permanent(3, 4), &text));
    }
    too_late(envelope, context).or_else(|| cannot_wait(envelope, context))
}

/// Why a letter with REQUIRETLS may not go to this server (RFC 8689 §4.2.1). A report, which has no sender, goes all the same (§5).
pub(super) fn lacks_tls(envelope: &Envelope, offered: &Capabilities, verified: bool) -> Option<Reply> {
    if envelope.tls != TlsWish::Required || envelope.reverse_path.is_null() {
        return None;
    }
    let why = match (verified, offered.require_tls) {
        (true, true) => return None,
        (false, _) => "the letter requires TLS, and who the server is is not verified",
        (true, false) => "the letter requires TLS on its whole way, and the server does not offer REQUIRETLS",
    };
    Some(Reply::new(550, Status::permanent(7, 30), why))
}

/// RFC 2852 §4: a letter that is to be returned when it is late goes to no server that would not do so. With `N` any server will do.
fn too_late(envelope: &Envelope, context: &Context<'_>) -> Option<Reply> {
    let by = By::left(envelope.deliver_by.filter(|by| by.mode == ByMode::Return)?, context.time);
    let seconds_min = context.offered.deliver_by_seconds_min.unwrap_or(0);
    if by.seconds <= 0 {
        return Some(Reply::new(554, Status::permanent(4, 7), "the time to deliver the letter is over"));
    }
    // LMTP is the end of the way (RFC 2033 §1).
    if !context.offered.deliver_by && context.protocol == Protocol::Smtp {
        return Some(lacks("the letter is to be delivered in time or returned, and the server does not offer DELIVERBY"));
    }
    let text = || format!("the letter is to be delivered in {} seconds and the server takes {seconds_min} at least", by.seconds);
    (i64::from(by.seconds) < i64::from(seconds_min)).then(|| lacks(&text()))
}

/// RFC 4865 §5: a letter for later is not given to a server that would send it at once.
fn cannot_wait(envelope: &Envelope, context: &Context<'_>) -> Option<Reply> {
    let until = envelope.release_at.filter(|&until| until > context.time)?;
    let Some(limit) = context.offered.future_release else {
        return Some(lacks("the letter is to be held and the server does not offer FUTURERELEASE"));
    };
    let too_long = until > limit.until_max || until.since(context.time).as_secs() > u64::from(limit.seconds_max);
    too_long.then(|| lacks(&format!("the letter is to be held until {until} and the server holds it for {limit} at most")))
}

/// RFC 3463 §3.4: X.3.3, the system cannot do what was asked for.
fn lacks(text: &str) -> Reply {
    Reply::new(554, Status::permanent(3, 3), text)
}

/// RFC 6531 §3.5: 550 with 5.6.7.
pub(super) fn no_smtputf8(what: &str) -> Reply {
    Reply::new(550, Status::permanent(6, 7), &format!("{what} needs SMTPUTF8, which the server does not offer"))
}

pub(super) fn sender_needs_utf8(envelope: &Envelope) -> bool {
    envelope.reverse_path.address().is_some_and(Address::needs_smtputf8)
}

/// The domains of all recipients of a connection, kept where the server limits their number (`RCPTDOMAINMAX`, RFC 9422 §4.3).
#[derive(Default)]
pub(super) struct DomainsTold(HashSet<Domain>);

impl DomainsTold {
    /// Whether a recipient there may be named; if so, it counts.
    pub(super) fn tell(&mut self, domain: &Domain, limits: Limits) -> bool {
        let Some(max) = limits.recipient_domains_max else { return true };
        if self.0.len() < max {
            self.0.insert(domain.clone());
        }
        self.0.contains(domain)
    }

    /// Whether no other domain may be named.
    pub(super) fn is_full(&self, limits: Limits) -> bool {
        limits.recipient_domains_max.is_some_and(|max| self.0.len() >= max)
    }
}
