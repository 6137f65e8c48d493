//! The peer names itself. The name is recorded; one that cannot be the peer's is noted, or refused where the operator wants that.
//!
//! RFC 5321 §4.1.4 forbids to refuse mail because a name does not verify. Two things are more than that: our own name, which no other host has, and what is no name of a
//! host at all.

use posthouse_mail::Domain;
use posthouse_smtp::server::{HelloKind, Verdict};

use super::reject;
use crate::context::ListenerKind;
use crate::hellos::HelloPolicy;
use crate::milter::Milters;
use crate::visit::{Hello, Visit};

pub(crate) fn hello(visit: &mut Visit<'_>, kind: HelloKind, name: String) -> Verdict {
    // What a server in front of us heard from the client counts, and not its own name.
    let name = visit.named.clone().unwrap_or(name);
    let fault = fault(visit, &name);
    if let Some((HelloPolicy::Refuse, why)) = fault {
        return reject(550, 7, 1, format!("the name in your greeting {why}"));
    }
    if visit.hello.as_ref().is_some_and(|hello| hello.name != name) {
        visit.milters = Milters::new(visit.context, visit.kind);
    }
    visit.hello = Some(Hello { kind, name, fault: fault.map(|(_, why)| why) });
    Verdict::Accept
}

/// What is wrong with the name of a server that we know nothing of, and what is done about it.
fn fault(visit: &Visit<'_>, name: &str) -> Option<(HelloPolicy, &'static str)> {
    let settings = &visit.context.settings;
    if visit.kind != ListenerKind::Mx || settings.trusts(visit.peer) || !settings.senders.apply_to(visit.peer) {
        return None;
    }
    let parsed = name.trim_end_matches('.').parse::<Domain>().ok();
    let literal = parsed.as_ref().and_then(Domain::literal);
    let is_ours = parsed.as_ref() == Some(&visit.context.hostname)
        || literal.is_some_and(|address| visit.local.is_some_and(|local| local.to_canonical() == address.to_canonical()));
    // A host's full name has a dot in it, and no last label of digits alone (RFC 3696 §2): that is an address without its brackets.
    let is_name = |domain: &Domain| {
        let last = domain.as_str().rsplit_once('.').map(|(_, last)| last);
        last.is_some_and(|last| !last.bytes().all(|octet| octet.is_ascii_digit()))
    };
    let is_malformed = literal.is_none() && !parsed.as_ref().is_some_and(is_name);
    let found = match (is_ours, is_malformed) {
        (true, _) => (settings.hello.own_name, "is ours, and not yours"),
        (false, true) => (settings.hello.malformed, "is no full name of a host, and no address in brackets"),
        (false, false) => return None,
    };
    Some(found).filter(|(policy, _)| *policy != HelloPolicy::Off)
}
