//! A recipient that has become an alias since its letter was accepted.
//!
//! Aliases are followed at the door, so that each recipient has one end. One made later is followed here: the letter goes into the queue
//! once more for those that the alias leads to, and the recipient's own way ends with that. A crash between the two makes no second copy: the new
//! letter's id follows from the old one's.

use posthouse_client::mx::unreachable;
use posthouse_journal::Event;
use posthouse_mail::{Address, Envelope, LetterId, Recipient, Reply, Status, UnixMillis};
use posthouse_queue::{Lease, Letter, Origin, QueueError};
use posthouse_runtime::stream::ByteSource as _;

use crate::bounce::address;
use crate::context::Context;
use crate::derive;
use crate::outcome::{Attempt, AttemptResult, Hop};

/// Queues the letter for the alias's targets.
pub(crate) async fn forward(context: &Context, lease: &Lease, index: usize, targets: Vec<Address>, now: UnixMillis) -> Attempt {
    let names = targets.iter().map(ToString::to_string).collect();
    let result = match queue(context, lease, index, targets, now).await {
        Ok(id) => {
            context.note(lease.id(), Event::Expanded { address: address(lease, index), targets: names });
            AttemptResult::Delivered(Reply::new(250, Status::success(1, 5), &format!("forwarded as {id}")))
        }
        Err(error) => {
            tracing::error!(letter = %lease.id(), %error, "a letter cannot be queued for the targets of an alias");
            AttemptResult::Deferred(unreachable(0, "the letter cannot be forwarded now"))
        }
    };
    Attempt { index, result, hop: Hop { host: Some(context.hostname.to_string()), ..Hop::default() } }
}

async fn queue(
    context: &Context,
    lease: &Lease,
    index: usize,
    targets: Vec<Address>,
    now: UnixMillis,
) -> Result<LetterId, QueueError> {
    let mut draft = context.queue.begin_as(derive::id(lease.id(), &format!("alias {index}")))?;
    let mut body = lease.body();
    loop {
        match body.next().await {
            Ok(Some(chunk)) => draft.write(chunk).await?,
            Ok(None) => break,
            Err(error) => return Err(QueueError::Io { what: "the letter to forward".to_owned(), cause: error.to_string() }),
        }
    }
    // RFC 3461 §5.2.7.1: a forwarded copy keeps what its sender wants to hear.
    let asked = lease.recipients().get(index).map(|state| state.recipient.clone());
    let recipients = targets.into_iter().map(|address| match &asked {
        Some(asked) => Recipient { address, ..asked.clone() },
        None => Recipient::from(address),
    });
    let envelope = Envelope { recipients: recipients.collect(), ..lease.letter().envelope.clone() };
    let origin = Origin { listener: "alias".to_owned(), ..lease.letter().origin.clone() };
    draft.commit(Letter { envelope, arrived: now, origin }).await
}
