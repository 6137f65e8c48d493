//! The end of a round: what each attempt means for its recipient is written down, its sender told, and the queue told last.
//!
//! The order is the guarantee. A report is durable before the recipients it speaks of are ended: a crash between the two makes
//! the same report again under the same id, which the queue takes once. If the report cannot be stored, its recipients stay.

use posthouse_journal::{Event, Outcome};
use posthouse_mail::dsn::Action;
use posthouse_mail::{Reply, Status, UnixMillis};
use posthouse_queue::schedule::{self, Next};
use posthouse_queue::{Lease, RecipientEnd, RecipientState};
use posthouse_runtime::random;

use crate::bounce::{self, Told};
use crate::context::{Context, now};
use crate::outcome::{Attempt, AttemptResult};

/// One recipient's end, and what its sender is told of it.
struct Settled {
    index: usize,
    end: RecipientEnd,
    told: Option<Told>,
}

/// Writes down, reports, and finishes the lease.
pub(crate) async fn settle(context: &Context, lease: Lease, attempts: Vec<Attempt>) {
    let now = now();
    let mut settled: Vec<Settled> = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        let Some(state) = lease.recipients().get(attempt.index) else { continue };
        settled.push(one(context, &lease, state, attempt, now));
    }
    let told: Vec<Told> = settled.iter_mut().filter_map(|one| one.told.take()).collect();
    if !told.is_empty()
        && let Err(error) = bounce::send(context, &lease, &told, now).await
    {
        tracing::error!(letter = %lease.id(), %error, "a report cannot be stored; its recipients wait and are tried again");
        settled.retain(|one| told.iter().all(|told| told.index != one.index));
    }
    let id = lease.id();
    let ends = settled.into_iter().map(|one| (one.index, one.end)).collect();
    if let Err(error) = lease.finish(ends).await {
        tracing::error!(letter = %id, %error, "what became of a letter cannot be stored; it may be delivered again");
    }
}

fn one(context: &Context, lease: &Lease, state: &RecipientState, attempt: Attempt, now: UnixMillis) -> Settled {
    let Attempt { index, result, hop } = attempt;
    let (end, outcome, reply, action) = match result {
        AttemptResult::Delivered(reply) => {
            // A mailbox of ours is the end of the way, another host is not (RFC 3464 §2.3.3).
            let action = if hop.address.is_some() { Action::Relayed } else { Action::Delivered };
            (RecipientEnd::Delivered, Outcome::Delivered, reply, action)
        }
        AttemptResult::Failed(reply) => (RecipientEnd::Failed, Outcome::Failed, reply, Action::Failed),
        AttemptResult::Deferred(reply) => deferred(context, lease, state, reply, now),
    };
    let (to, next) = (state.recipient.address.to_string(), retry_at(&end));
    // A letter in a mailbox of ours has its own line already.
    if !matches!((outcome, hop.address), (Outcome::Delivered, None)) {
        let (host, tls) = (hop.host.clone(), hop.tls.clone());
        let reply = reply.to_string();
        context.note(lease.id(), Event::Attempt { to, host, address: hop.address, tls, reply, outcome, next });
    }
    let wanted = match outcome {
        Outcome::Delivered => state.recipient.notify.is_some_and(|notify| notify.success) && !hop.takes_dsn,
        Outcome::Failed => state.recipient.notify.is_none_or(|notify| notify.failure),
        Outcome::Deferred => false,
    };
    let told = wanted.then_some(Told { index, action, reply, remote: hop.host });
    Settled { index, end, told }
}

fn deferred(
    context: &Context,
    lease: &Lease,
    state: &RecipientState,
    reply: Reply,
    now: UnixMillis,
) -> (RecipientEnd, Outcome, Reply, Action) {
    let attempts = state.attempts.saturating_add(1);
    match schedule::next_attempt(&context.schedule, lease.letter().arrived, attempts, now, random::u64()) {
        Next::Retry { at } => (RecipientEnd::Retry { at, last: reply.clone() }, Outcome::Deferred, reply, Action::Delayed),
        // RFC 3463 §3.5: X.4.7, delivery time expired. The last reply is what the sender needs to know.
        Next::Expired => {
            let text = format!("it was tried for too long; the last answer was: {reply}");
            (RecipientEnd::Failed, Outcome::Failed, Reply::new(554, Status::permanent(4, 7), &text), Action::Failed)
        }
    }
}

fn retry_at(end: &RecipientEnd) -> Option<UnixMillis> {
    match end {
        RecipientEnd::Retry { at, .. } => Some(*at),
        RecipientEnd::Delivered | RecipientEnd::Failed | RecipientEnd::Removed => None,
    }
}
