//! Tells a sender what became of the letter (RFC 3464), by a letter of our own.
//!
//! A letter with the empty reverse-path is never answered (RFC 5321 §6.1): the postmaster is told instead, within a limit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use posthouse_directory::DirectoryError;
use posthouse_journal::Event;
use posthouse_mail::dsn::{Action, RETURNED_HEADER_BYTES_MAX, Report, ReportedRecipient, Returned};
use posthouse_mail::header::end_of_header;
use posthouse_mail::{Address, BodyKind, Envelope, Recipient, Reply, Ret, ReversePath, TlsWish, UnixMillis};
use posthouse_queue::{Lease, Letter, Origin, QueueError};
use posthouse_runtime::stream::ByteSource as _;

use crate::context::Context;
use crate::{derive, report, sign};

/// The origin of a report to the postmaster.
const DOUBLE_BOUNCE: &str = "double-bounce";
const HOUR: Duration = Duration::from_hours(1);
/// So many reports on letters without a sender reach the postmaster in an hour.
const DOUBLE_BOUNCES_PER_HOUR_MAX: u32 = 20;
/// A letter up to this size goes back whole, unless only its header was asked for.
const RETURNED_BYTES_MAX: u64 = 64 * 1024;

/// What the sender is told of one recipient.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// The recipient's place in the letter.
    pub(crate) index: usize,
    /// What happened.
    pub(crate) action: Action,
    /// The answer that decided it.
    pub(crate) reply: Reply,
    /// The host that gave the answer.
    pub(crate) remote: Option<String>,
}

/// Queues one report for all of these. When it returns, the report is durable, or there is nobody to tell.
pub(crate) async fn send(context: &Context, lease: &Lease, told: &[Told], now: UnixMillis) -> Result<(), QueueError> {
    let letter = lease.letter();
    let (to, is_double) = match letter.envelope.reverse_path.address() {
        Some(sender) => (sender.clone(), false),
        None => match postmaster(context, lease, told, now).await {
            Some(postmaster) => (postmaster, true),
            None => return Ok(()),
        },
    };
    let until = letter.begins().plus(context.schedule.expire.0);
    let cause = told.iter().map(|one| format!(" {}:{}", one.index, one.action.as_str())).collect::<String>();
    let id = derive::id(lease.id(), &format!("report{cause}"));
    let report = Report {
        reporter: context.hostname.clone(),
        to: to.clone(),
        id,
        at: now,
        letter: lease.id(),
        arrived: lease.letter().arrived,
        envid: letter.envelope.envid.clone(),
        deliver_by: letter.envelope.deliver_by.map(|by| by.at),
        release_at: letter.envelope.release_at,
        recipients: told.iter().filter_map(|one| reported(lease, one, now, until)).collect(),
        returned: returned(lease, told).await,
    };
    let mut envelope = Envelope::new(ReversePath::NULL, vec![Recipient::from(to)]);
    // RFC 8689 §5.
    envelope.tls = if letter.envelope.tls == TlsWish::Required { TlsWish::Required } else { TlsWish::AsPromised };
    envelope.smtputf8 = report.needs_smtputf8();
    envelope.body = if report.is_eight_bit() { BodyKind::EightBitMime } else { BodyKind::SevenBit };
    let mut draft = context.queue.begin_as(id)?;
    draft.write(Bytes::from(signed(context, report.to_message(), now).await)).await?;
    let listener = if is_double { DOUBLE_BOUNCE } else { "report" };
    let origin = Origin { peer: None, helo: None, account: None, listener: listener.to_owned() };
    draft.commit(Letter { envelope, arrived: now, origin }).await?;
    // RFC 3464 §2.3.3: a delay is no end; the attempt's own line says when it is tried again.
    for one in told.iter().filter(|one| one.action != Action::Delayed) {
        context.note(lease.id(), Event::Bounced { to: address(lease, one.index), bounce: id });
    }
    Ok(())
}

/// With the signatures of the domain that our host's name is in, if it is ours. One that is not signed is better than none.
async fn signed(context: &Context, message: Vec<u8>, now: UnixMillis) -> Vec<u8> {
    let found = async {
        let Some(domain) = sign::domain_of_host(context).await? else { return Ok(None) };
        let keys = context.directory.keys(&domain).await?;
        Ok::<_, DirectoryError>(Some((domain, keys)))
    };
    match found.await {
        Ok(Some((domain, keys))) => sign::signed(&domain, &keys, message, now),
        Ok(None) => message,
        Err(error) => {
            tracing::error!(%error, "the directory cannot say with which keys bounces are signed");
            message
        }
    }
}

/// Who hears of a letter that has no sender and cannot be delivered: our postmaster (RFC 3464 §2, "double bounce"), unless it is such a
/// report itself, or there were many of them lately. Those are written into the journal alone.
async fn postmaster(context: &Context, lease: &Lease, told: &[Told], now: UnixMillis) -> Option<Address> {
    let failed: Vec<&Told> = told.iter().filter(|one| one.action == Action::Failed).collect();
    if failed.is_empty() {
        return None;
    }
    let origin = lease.letter().origin.listener.as_str();
    let (postmaster, why) = if report::is_report(origin) {
        (None, "nobody waits for what becomes of a report")
    } else if origin == DOUBLE_BOUNCE {
        (None, "it is a report to the postmaster itself")
    } else if !context.double_bounces.may_send(now) {
        (None, "the postmaster has had enough of these for now")
    } else {
        let postmaster = context.directory.postmaster().await.unwrap_or_else(|error| {
            tracing::error!(%error, "the directory cannot say who the postmaster is");
            None
        });
        (postmaster, "there is no postmaster")
    };
    if postmaster.is_none() {
        for one in failed {
            let why = format!("it cannot be returned, for it has no sender, and {why}: {}", one.reply);
            tracing::warn!(letter = %lease.id(), %why, "a letter is discarded");
            context.note(lease.id(), Event::Discarded { to: address(lease, one.index), why });
        }
    }
    postmaster
}

/// How many reports on letters without a sender the postmaster gets. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct DoubleBounces(Arc<Mutex<(UnixMillis, u32)>>);

impl DoubleBounces {
    /// Takes one of the hour's, if any is left.
    fn may_send(&self, now: UnixMillis) -> bool {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, sent) = *count;
        let (since, sent) = if now.since(since) >= HOUR { (now, 0) } else { (since, sent) };
        *count = (since, sent.saturating_add(1));
        sent < DOUBLE_BOUNCES_PER_HOUR_MAX
    }
}

/// The recipient's address as text; empty when there is no such recipient.
pub(crate) fn address(lease: &Lease, index: usize) -> String {
    lease.recipients().get(index).map(|state| state.recipient.address.to_string()).unwrap_or_default()
}

fn reported(lease: &Lease, told: &Told, now: UnixMillis, until: UnixMillis) -> Option<ReportedRecipient> {
    let state = lease.recipients().get(told.index)?;
    Some(ReportedRecipient {
        address: state.recipient.address.clone(),
        original: state.recipient.orcpt.clone(),
        action: told.action,
        reply: told.reply.clone(),
        remote: told.remote.clone(),
        last_attempt: now,
        retry_until: (told.action == Action::Delayed).then_some(until),
    })
}

/// The letter, or its header: for good news, for large letters, and when no more was asked for (RFC 3461 §4.3).
async fn returned(lease: &Lease, told: &[Told]) -> Returned {
    let failed = told.iter().any(|one| one.action == Action::Failed);
    let envelope = &lease.letter().envelope;
    // A binary letter cannot stand inside one that has lines (RFC 3030 §3).
    let lines = envelope.body != BodyKind::BinaryMime;
    // RFC 8689 §5: what was to travel safely does not come back on a way that may not be safe, whatever `RET` says.
    let only_header = envelope.ret == Some(Ret::Headers) || envelope.tls == TlsWish::Required;
    let whole = failed && lines && lease.size() <= RETURNED_BYTES_MAX && !only_header;
    let mut body = lease.body();
    let mut bytes = Vec::new();
    loop {
        match body.next().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => {
                // The sender is told all the same; what is damaged is not returned as if it were whole.
                tracing::error!(letter = %lease.id(), %error, "a letter cannot be read for its report");
                return Returned::Header(Vec::new());
            }
        }
        if !whole && (end_of_header(&bytes).is_some() || bytes.len() >= RETURNED_HEADER_BYTES_MAX) {
            break;
        }
    }
    if whole {
        return Returned::Message(bytes);
    }
    let end = end_of_header(&bytes).map_or(bytes.len(), |(fields, _)| fields);
    // A header cut in the middle is cut at a line's end.
    bytes.truncate(end.min(RETURNED_HEADER_BYTES_MAX));
    let line_end = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
    bytes.truncate(line_end);
    Returned::Header(bytes)
}
