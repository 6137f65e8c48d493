//! May this peer connect? The number of connections was looked at when it was accepted; here is whether the server can serve at all.

use posthouse_mail::Status;
use posthouse_queue::QueueError;
use posthouse_smtp::server::{Reason, Verdict};

use super::no_queue;
use crate::abuse;
use crate::visit::Visit;

pub(crate) fn connect(visit: &mut Visit<'_>) -> Verdict {
    let context = visit.context;
    if context.memory.is_reached() {
        // RFC 3463 §3.4: X.3.2, system not accepting network messages.
        return Verdict::Drop(Reason::new(421, Status::temporary(3, 2), "too much is under way here, try again later"));
    }
    match context.queue.check() {
        // A lack of room is a matter of letters, and told at MAIL: who reads or only looks in is served.
        Ok(()) | Err(QueueError::Full(_)) => abuse::begin(visit),
        Err(error) => no_queue(&error),
    }
}
