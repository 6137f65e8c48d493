//! The peer names itself. The name is recorded and never a reason to refuse (RFC 5321 §4.1.4).

use posthouse_smtp::server::{HelloKind, Verdict};

use crate::milter::Milters;
use crate::visit::{Hello, Visit};

pub(crate) fn hello(visit: &mut Visit<'_>, kind: HelloKind, name: String) -> Verdict {
    // What a server in front of us heard from the client counts, and not its own name.
    let name = visit.named.clone().unwrap_or(name);
    if visit.hello.as_ref().is_some_and(|hello| hello.name != name) {
        visit.milters = Milters::new(&visit.context.settings, visit.kind);
    }
    visit.hello = Some(Hello { kind, name });
    Verdict::Accept
}
