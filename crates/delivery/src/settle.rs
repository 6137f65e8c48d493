//! The end of a round: what each attempt means for its recipient is written down, its sender told, and the queue told last.
//!
//! The order is the guarantee. A report is durable before the recipients it speaks of are ended: a crash between the two makes
//! the same report again under the same id, which the queue takes once. If the report cannot be stored, its recipients stay.

use std::time::Duration;

use posthouse_journal::{Event, Outcome};
use posthouse_mail::dsn::Action;
use posthouse_mail::{ByMode, Notify, Reply, Status, UnixMillis};
use posthouse_queue::schedule;
use posthouse_queue::{Lease, RecipientEnd, RecipientState};
use posthouse_runtime::random;

use crate::bounce::{self, Told};
use crate::context::{self, Context};
use crate::outcome::{Attempt, AttemptResult, Hop};
use crate::sort;

/// When a letter is tried again whose site asked for fewer.
const AFTER_THROTTLE: Duration = Duration::from_secs(60);

/// What has come of a round so far.
pub(crate) struct Settlement<'a> {
    context: &'a Context,
    now: UnixMillis,
    /// When it began, by the clock.
    began: UnixMillis,
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

/// A line of the journal.
struct Line {
    to: String,
    also: Vec<String>,
    hop: Hop,
    reply: Reply,
    outcome: Outcome,
    next: Option<UnixMillis>,
}

impl<'a> Settlement<'a> {
    pub(crate) fn new(context: &'a Context, now: UnixMillis) -> Self {
        Self { context, now, began: context::now(), free: Vec::new(), held: Vec::new() }
    }

    /// Takes what attempts came to and writes it into the journal: one line for all those in a row that ended alike.
    pub(crate) fn add(&mut self, lease: &Lease, attempts: Vec<Attempt>) {
        let mut lines: Vec<Line> = Vec::new();
        for attempt in attempts {
            let index = attempt.index;
            let Some(state) = lease.recipients().get(index) else { continue };
            let (told, end, line) = self.one(lease, state, attempt);
            match told {
                Some(told) => self.held.push((told, end)),
                None => self.free.push((index, end)),
            }
            let Some(line) = line else { continue };
            match lines.last_mut().filter(|last| last.is_alike(&line)) {
                Some(last) => last.also.push(line.to),
                None => lines.push(line),
            }
        }
        for line in lines {
            let began = line.hop.began.unwrap_or(self.began);
            self.context.note_since(lease.id(), line.event(), began);
        }
    }

    /// Takes what nobody tried to deliver, because nothing goes there now: its sender is told once that it is late, and what has waited too
    /// long goes back. It counts as no attempt.
    pub(crate) fn add_blocked(&mut self, lease: &Lease, why: &Reply) {
        for (index, state) in sort::waiting(lease, UnixMillis(u64::MAX)) {
            let (outcome, action, reply, end) = match self.over(lease, state.attempts, why, None) {
                Some(end) => (Outcome::Failed, end.action, end.reply, end.end),
                None => (Outcome::Deferred, Action::Delayed, why.clone(), RecipientEnd::Warned),
            };
            let (to, text) = (state.recipient.address.to_string(), reply.to_string());
            let event = if outcome == Outcome::Failed {
                Line { to, also: Vec::new(), hop: Hop::default(), reply: reply.clone(), outcome, next: None }.event()
            } else {
                Event::Waiting { to, why: text }
            };
            self.context.note(lease.id(), event);
            let wanted = self.is_wanted(lease, state, (outcome, &end), &Hop::default());
            let told = Told { index, action, reply, remote: None };
            if wanted { self.held.push((told, end)) } else { self.free.push((index, end)) }
        }
    }

    /// Reports, stores the rest, and gives the letter back or ends it.
    pub(crate) async fn finish(mut self, lease: Lease) {
        // In the order of the letter, so that the same failures make the same report.
        self.held.sort_by_key(|(told, _)| told.index);
        let (told, ends): (Vec<Told>, Vec<RecipientEnd>) = self.held.into_iter().unzip();
        let reported = if told.is_empty() { Ok(()) } else { bounce::send(self.context, &lease, &told, self.now).await };
        match reported {
            Ok(()) => self.free.extend(told.iter().map(|told| told.index).zip(ends)),
            Err(error) => {
                tracing::error!(letter = %lease.id(), %error, "a report cannot be stored; its recipients wait and are tried again");
            }
        }
        let id = lease.id();
        if let Err(error) = lease.finish(self.free).await {
            tracing::error!(letter = %id, %error, "what became of a letter cannot be stored; it may be delivered again");
        }
    }

    fn one(&self, lease: &Lease, state: &RecipientState, attempt: Attempt) -> (Option<Told>, RecipientEnd, Option<Line>) {
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
            AttemptResult::Deferred(reply) => self.deferred(lease, state, reply, &hop),
        };
        // A letter in a mailbox of ours has its own line already.
        let has_line = matches!((outcome, hop.address), (Outcome::Delivered, None));
        let line = (!has_line).then(|| Line {
            to: state.recipient.address.to_string(),
            also: Vec::new(),
            hop: hop.clone(),
            reply: reply.clone(),
            outcome,
            next: retry_at(&end),
        });
        let wanted = self.is_wanted(lease, state, (outcome, &end), &hop);
        let remote = hop.host.filter(|_| is_theirs);
        (wanted.then_some(Told { index, action, reply, remote }), end, line)
    }

    fn deferred(&self, lease: &Lease, state: &RecipientState, reply: Reply, hop: &Hop) -> End {
        let attempts = state.attempts.saturating_add(1);
        if let Some(end) = self.over(lease, attempts, &reply, hop.host.as_deref()) {
            return end;
        }
        let (begins, by) = (lease.letter().begins(), lease.letter().envelope.deliver_by);
        let at = schedule::next_attempt(&self.context.schedule, begins, attempts, self.now, random::u64());
        // The site is slowed as a whole; the letter waits in its line and not for a time of its own.
        let at = if hop.throttles { at.min(self.now.plus(random::jitter(AFTER_THROTTLE, 0.5))) } else { at };
        // RFC 2852 §4.1.4: what follows the deadline follows at the deadline.
        let at = by.filter(|by| by.at > self.now).map_or(at, |by| at.min(by.at));
        let end = RecipientEnd::Retry { at, last: reply.clone(), warned: self.is_late(lease) };
        End { end, outcome: Outcome::Deferred, action: Action::Delayed, reply, is_theirs: hop.speaks }
    }

    /// The end of a letter that has waited too long, or longer than its sender gave it; `last` is what was said last, and by whom.
    fn over(&self, lease: &Lease, attempts: u32, last: &Reply, host: Option<&str>) -> Option<End> {
        let by = lease.letter().envelope.deliver_by;
        if by.is_some_and(|by| by.mode == ByMode::Return && by.at <= self.now) {
            let text = format!("it could not be delivered in the time its sender set; the last answer was: {last}");
            return Some(End::expired(&text));
        }
        let begins = lease.letter().begins();
        if !schedule::is_over(&self.context.schedule, begins, self.now) {
            return None;
        }
        let days = self.now.since(begins).as_secs() / 86_400;
        let who = host.map(|host| format!(" of {host}")).unwrap_or_default();
        Some(End::expired(&format!("it was tried {attempts} times in {days} days; the last answer{who} was: {last}")))
    }

    /// Whether the sender is to hear of it.
    fn is_wanted(&self, lease: &Lease, state: &RecipientState, (outcome, end): (Outcome, &RecipientEnd), hop: &Hop) -> bool {
        let notify = state.recipient.notify;
        match outcome {
            Outcome::Delivered => {
                (notify.is_some_and(|notify| notify.success) && !hop.takes_dsn) || is_relay_told(lease, notify, hop)
            }
            Outcome::Failed => notify.is_none_or(|notify| notify.failure),
            Outcome::Deferred => self.is_newly_late(lease, state, end),
        }
    }

    /// Whether the letter has waited so long that its sender should know.
    fn is_late(&self, lease: &Lease) -> bool {
        let warning = self.context.schedule.delay_warning.0;
        let by = lease.letter().envelope.deliver_by;
        (!warning.is_zero() && lease.letter().begins().plus(warning) <= self.now) || by.is_some_and(|by| by.at <= self.now)
    }

    /// Whether its sender is told now, once (RFC 3461 §4.1: unless NOTIFY leaves DELAY out).
    fn is_newly_late(&self, lease: &Lease, state: &RecipientState, end: &RecipientEnd) -> bool {
        let is_late = matches!(end, RecipientEnd::Retry { warned: true, .. } | RecipientEnd::Warned);
        let is_wanted = state.recipient.notify.is_none_or(|notify| notify.delay);
        is_late && !state.warned && is_wanted && !lease.letter().envelope.reverse_path.is_null()
    }
}

impl Line {
    fn is_alike(&self, other: &Self) -> bool {
        (self.outcome, self.next, &self.reply, &self.hop) == (other.outcome, other.next, &other.reply, &other.hop)
    }

    fn event(self) -> Event {
        let Self { to, also, hop: Hop { host, address, source, sender, tls, policy, .. }, reply, outcome, next } = self;
        Event::Attempt { to, also, host, address, source, sender, tls, policy, reply: reply.to_string(), outcome, next }
    }
}

/// RFC 2852 §4.1.4: whoever asked for a trace, or gave a deadline to be told of (`N`) that the next hop knows nothing of, hears that the letter
/// was relayed; unless he wants to hear nothing.
fn is_relay_told(lease: &Lease, notify: Option<Notify>, hop: &Hop) -> bool {
    let Some(by) = lease.letter().envelope.deliver_by.filter(|_| hop.address.is_some()) else { return false };
    let ends_here = by.mode == ByMode::Notify && !hop.takes_deliver_by;
    (by.trace || ends_here) && notify != Some(Notify::default())
}

impl End {
    /// RFC 3463 §3.5: X.4.7, delivery time expired. The last reply is what the sender needs to know.
    fn expired(text: &str) -> Self {
        let reply = Reply::new(554, Status::permanent(4, 7), text);
        Self { end: RecipientEnd::Failed, outcome: Outcome::Failed, action: Action::Failed, reply, is_theirs: false }
    }
}

fn retry_at(end: &RecipientEnd) -> Option<UnixMillis> {
    match end {
        RecipientEnd::Retry { at, .. } => Some(*at),
        RecipientEnd::Delivered | RecipientEnd::Failed | RecipientEnd::Removed | RecipientEnd::Warned => None,
    }
}
