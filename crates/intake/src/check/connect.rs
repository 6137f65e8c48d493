//! May this peer connect? The number of connections was looked at when it was accepted; there is nothing else to know yet.

use posthouse_smtp::server::Verdict;

pub(crate) fn connect() -> Verdict {
    Verdict::Accept
}
