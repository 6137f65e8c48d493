//! The way to a domain's own mail hosts: which they are, what is asked of the connection to each, and connections that rest between letters.
//!
//! The delivery of `posthouse serve` is made of it. It is for those who deliver themselves; [`Mailer`](crate::Mailer) is for everybody else.

mod hosts;
mod policy;
mod pool;

use posthouse_mail::{Reply, Status};

pub use hosts::{Plan, addresses, hosts};
pub use policy::{Means, Promises, leaves_out, outcome, tls_name, wish, words};
pub use pool::{Kept, Pool};

/// A temporary trouble of the way there: no answer, no connection (RFC 3463 §3.5, X.4.x).
#[must_use]
pub fn unreachable(detail: u16, text: &str) -> Reply {
    Reply::new(451, Status::temporary(4, detail), text)
}
