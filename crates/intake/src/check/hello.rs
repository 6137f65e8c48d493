//! The peer names itself. The name is recorded and never a reason to refuse (RFC 5321 §4.1.4).

use posthouse_smtp::server::{HelloKind, Verdict};

use crate::visit::{Hello, Visit};

pub(crate) fn hello(visit: &mut Visit<'_>, kind: HelloKind, name: String) -> Verdict {
    visit.hello = Some(Hello { kind, name });
    Verdict::Accept
}
