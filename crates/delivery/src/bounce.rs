//! Tells a sender what became of the letter (RFC 3464), by a letter of our own.
//!
//! A letter with the empty reverse-path is never answered (RFC 5321 §6.1): that is written into the journal instead.

use bytes::Bytes;
use posthouse_journal::Event;
use posthouse_mail::dsn::{Action, RETURNED_HEADER_BYTES_MAX, Report, ReportedRecipient, Returned};
use posthouse_mail::header::end_of_header;
use posthouse_mail::{BodyKind, Envelope, Recipient, Reply, Ret, ReversePath, UnixMillis};
use posthouse_queue::{Letter, Origin, QueueError};
use posthouse_runtime::stream::ByteSource as _;

use crate::context::Context;
use crate::derive;
use crate::parcel::Parcel;

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
pub(crate) async fn send(context: &Context, parcel: &Parcel, told: &[Told], now: UnixMillis) -> Result<(), QueueError> {
    let Some(sender) = parcel.letter().envelope.reverse_path.address() else {
        for one in told.iter().filter(|one| one.action == Action::Failed) {
            let why = format!("it cannot be returned, for it has no sender: {}", one.reply);
            tracing::warn!(letter = %parcel.id(), %why, "a letter is discarded");
            context.note(parcel.id(), Event::Discarded { to: parcel.address(one.index), why });
        }
        return Ok(());
    };
    let cause = told.iter().map(|one| format!(" {}:{}", one.index, one.action.as_str())).collect::<String>();
    let id = derive::id(parcel.id(), &format!("report{cause}"));
    let report = Report {
        reporter: context.hostname.clone(),
        to: sender.clone(),
        id,
        at: now,
        letter: parcel.id(),
        arrived: parcel.letter().arrived,
        envid: parcel.letter().envelope.envid.clone(),
        recipients: told.iter().filter_map(|one| reported(parcel, one, now)).collect(),
        returned: returned(parcel, told).await,
    };
    let mut envelope = Envelope::new(ReversePath::NULL, vec![Recipient::from(sender.clone())]);
    envelope.smtputf8 = report.needs_smtputf8();
    envelope.body = if report.is_eight_bit() { BodyKind::EightBitMime } else { BodyKind::SevenBit };
    let mut draft = context.queue.begin_as(id)?;
    draft.write(Bytes::from(report.to_message())).await?;
    let origin = Origin { peer: None, helo: None, account: None, listener: "report".to_owned() };
    draft.commit(Letter { envelope, arrived: now, origin }).await?;
    for one in told {
        context.note(parcel.id(), Event::Bounced { to: parcel.address(one.index), bounce: id });
    }
    Ok(())
}

fn reported(parcel: &Parcel, told: &Told, now: UnixMillis) -> Option<ReportedRecipient> {
    let state = parcel.recipients().get(told.index)?;
    Some(ReportedRecipient {
        address: state.recipient.address.clone(),
        original: state.recipient.orcpt.clone(),
        action: told.action,
        reply: told.reply.clone(),
        remote: told.remote.clone(),
        last_attempt: now,
        retry_until: None,
    })
}

/// The letter, or its header: for good news, for large letters, and when no more was asked for (RFC 3461 §4.3).
async fn returned(parcel: &Parcel, told: &[Told]) -> Returned {
    let failed = told.iter().any(|one| one.action == Action::Failed);
    let envelope = &parcel.letter().envelope;
    // A binary letter cannot stand inside one that has lines (RFC 3030 §3).
    let lines = envelope.body != BodyKind::BinaryMime;
    let whole = failed && lines && parcel.size() <= RETURNED_BYTES_MAX && envelope.ret != Some(Ret::Headers);
    let mut body = parcel.body().await;
    let mut bytes = Vec::new();
    loop {
        match body.next().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) => {
                // The sender is told all the same; what is damaged is not returned as if it were whole.
                tracing::error!(letter = %parcel.id(), %error, "a letter cannot be read for its report");
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
