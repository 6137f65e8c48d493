//! The end of a round: what each attempt means for its recipient is written down, its sender told, and the queue told last.
//!
//! The order is the guarantee. A report is durable before the recipients it speaks of are ended: a crash between the two makes
//! the same report again under the same id, which the queue takes once. If the report cannot be stored, its recipients stay.

use posthouse_journal::{Event, Outcome};
use posthouse_mail::dsn::Action;
use posthouse_mail::{Reply, Status, UnixMillis};
use posthouse_queue::schedule::{self, Next};
use posthouse_queue::{RecipientEnd, RecipientState};
use posthouse_runtime::random;

use crate::bounce::{self, Told};
use crate::context::Context;
use crate::outcome::{Attempt, AttemptResult};
use crate::parcel::Parcel;

/// What has come of a round so far.
pub(crate) struct Settlement<'a> {
    context: &'a Context,
    now: UnixMillis,
    /// Ends that may be stored at once.
    free: Vec<(usize, RecipientEnd)>,
    /// Ends whose report has to be stored before them.
    held: Vec<(Told, RecipientEnd)>,
}

/// What one attempt leads to.
struct End {
    end: RecipientEnd,
    outcome: Outcome,
    action: Action,
    /// The words for the journal and the sender.
    reply: Reply,
    /// Whether they are those of the remote host.
    is_theirs: bool,
}

impl<'a> Settlement<'a> {
    pub(crate) fn new(context: &'a Context, now: UnixMillis) -> Self {
        Self { context, now, free: Vec::new(), held: Vec::new() }
    }

    /// Takes what attempts came to and writes it into the journal.
    pub(crate) fn add(&mut self, parcel: &Parcel, attempts: Vec<Attempt>) {
        for attempt in attempts {
            let index = attempt.index;
            let Some(state) = parcel.recipients().get(index) else { continue };
            let (told, end) = self.one(parcel, state, attempt);
            match told {
                Some(told) => self.held.push((told, end)),
                None => self.free.push((index, end)),
            }
        }
    }

    /// Stores what needs no report. What cannot be stored now is kept for the end.
    pub(crate) async fn record(&mut self, parcel: &Parcel) {
        if self.free.is_empty() {
            return;
        }
        match parcel.record(self.free.clone()).await {
            Ok(()) => self.free.clear(),
            Err(error) => tracing::error!(letter = %parcel.id(), %error, "what became of a letter cannot be stored yet"),
        }
    }

    /// Reports, stores the rest, and gives the letter back or ends it.
    pub(crate) async fn finish(mut self, parcel: Parcel) {
        // In the order of the letter, so that the same failures make the same report.
        self.held.sort_by_key(|(told, _)| told.index);
        let (told, ends): (Vec<Told>, Vec<RecipientEnd>) = self.held.into_iter().unzip();
        let reported = if told.is_empty() { Ok(()) } else { bounce::send(self.context, &parcel, &told, self.now).await };
        match reported {
            Ok(()) => self.free.extend(told.iter().map(|told| told.index).zip(ends)),
            Err(error) => {
                tracing::error!(letter = %parcel.id(), %error, "a report cannot be stored; its recipients wait and are tried again");
            }
        }
        let id = parcel.id();
        if let Err(error) = parcel.finish(self.free).await {
            tracing::error!(letter = %id, %error, "what became of a letter cannot be stored; it may be delivered again");
        }
    }

    fn one(&self, parcel: &Parcel, state: &RecipientState, attempt: Attempt) -> (Option<Told>, RecipientEnd) {
        let Attempt { index, result, hop } = attempt;
        let is_theirs = hop.speaks;
        let End { end, outcome, action, reply, is_theirs } = match result {
            AttemptResult::Delivered(reply) => {
                // A mailbox of ours is the end of the way, another host is not (RFC 3464 §2.3.3).
                let action = if hop.address.is_some() { Action::Relayed } else { Action::Delivered };
                End { end: RecipientEnd::Delivered, outcome: Outcome::Delivered, action, reply, is_theirs }
            }
            AttemptResult::Failed(reply) => {
                End { end: RecipientEnd::Failed, outcome: Outcome::Failed, action: Action::Failed, reply, is_theirs }
            }
            AttemptResult::Deferred(reply) => self.deferred(parcel, state, reply, is_theirs, hop.host.as_deref()),
        };
        // A letter in a mailbox of ours has its own line already.
        if !matches!((outcome, hop.address), (Outcome::Delivered, None)) {
            let (to, next) = (state.recipient.address.to_string(), retry_at(&end));
            let (host, tls, reply) = (hop.host.clone(), hop.tls.clone(), reply.to_string());
            let event = Event::Attempt { to, host, address: hop.address, tls, reply, outcome, next };
            self.context.note(parcel.id(), event);
        }
        let wanted = match outcome {
            Outcome::Delivered => state.recipient.notify.is_some_and(|notify| notify.success) && !hop.takes_dsn,
            Outcome::Failed => state.recipient.notify.is_none_or(|notify| notify.failure),
            Outcome::Deferred => false,
        };
        let remote = hop.host.filter(|_| is_theirs);
        (wanted.then_some(Told { index, action, reply, remote }), end)
    }

    fn deferred(&self, parcel: &Parcel, state: &RecipientState, reply: Reply, is_theirs: bool, host: Option<&str>) -> End {
        let attempts = state.attempts.saturating_add(1);
        let arrived = parcel.letter().arrived;
        match schedule::next_attempt(&self.context.schedule, arrived, attempts, self.now, random::u64()) {
            Next::Retry { at } => {
                let end = RecipientEnd::Retry { at, last: reply.clone() };
                End { end, outcome: Outcome::Deferred, action: Action::Delayed, reply, is_theirs }
            }
            // RFC 3463 §3.5: X.4.7, delivery time expired. The last reply is what the sender needs to know.
            Next::Expired => {
                let days = self.now.since(arrived).as_secs() / 86_400;
                let who = host.map(|host| format!(" of {host}")).unwrap_or_default();
                let text = format!("it was tried {attempts} times in {days} days; the last answer{who} was: {reply}");
                let reply = Reply::new(554, Status::permanent(4, 7), &text);
                let end = RecipientEnd::Failed;
                End { end, outcome: Outcome::Failed, action: Action::Failed, reply, is_theirs: false }
            }
        }
    }
}

fn retry_at(end: &RecipientEnd) -> Option<UnixMillis> {
    match end {
        RecipientEnd::Retry { at, .. } => Some(*at),
        RecipientEnd::Delivered | RecipientEnd::Failed | RecipientEnd::Removed => None,
    }
}
