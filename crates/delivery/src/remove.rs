//! An operator takes a letter out of the queue: the recipients that still wait end as removed, and the sender is told where that was asked for.

use posthouse_mail::dsn::Action;
use posthouse_mail::{Reply, Status};
use posthouse_queue::{Lease, QueueError, RecipientEnd};

use crate::bounce::{self, Told};
use crate::context::{Context, now};

/// Ends a leased letter for everybody who still waits. With `report` its sender is told, as of a failure, unless a recipient's NOTIFY says
/// never (RFC 3461 §4.1); the report is durable first.
///
/// # Errors
/// [`QueueError`]: nothing was removed. The report may be there already; doing it again makes no second one.
pub async fn remove(context: &Context, lease: Lease, report: bool) -> Result<(), QueueError> {
    let waiting = lease.recipients().iter().enumerate().filter(|(_, state)| state.is_pending());
    let waiting: Vec<_> = waiting.map(|(index, state)| (index, state.recipient.notify)).collect();
    if report {
        // RFC 3463 §3.1: X.0.0, for nothing is wrong with the address, the way or the letter.
        let reply = Reply::new(554, Status::permanent(0, 0), "an operator took the letter out of the queue");
        let wanted = waiting.iter().filter(|(_, notify)| notify.is_none_or(|notify| notify.failure));
        let told: Vec<_> =
            wanted.map(|(index, _)| Told { index: *index, action: Action::Failed, reply: reply.clone(), remote: None }).collect();
        if !told.is_empty() {
            bounce::send(context, &lease, &told, now()).await?;
        }
    }
    lease.finish(waiting.into_iter().map(|(index, _)| (index, RecipientEnd::Removed)).collect()).await
}
