//! The letter: room for it, its pieces, its end.
//!
//! Invariant: [`accept`] says yes only after the queue's commit has returned.

use std::time::Duration;

use bytes::Bytes;
use posthouse_journal::{Event, Step};
use posthouse_mail::{Address, BodyKind, DeliverBy, Envelope, LetterId, Recipient, Status, TlsWish, UnixMillis};
use posthouse_queue::{Letter, Origin};
use posthouse_runtime::clock;
use posthouse_smtp::server::{Answer, HelloKind, Reason, Verdict};
use posthouse_smtp::syntax::{By, Hold};

use super::{QUARANTINE, no_directory, no_queue, senders};
use crate::abuse;
use crate::letter::{Incoming, Parts};
use crate::milter::{Held, Seen};
use crate::note;
use crate::rates::What;
use crate::visit::{Begun, Visit};

/// In front of a mark: the author was verified.
const AUTHOR_KNOWN: &str = "verified; ";

/// Is there room for a letter? Asked before its first octet.
pub(crate) fn room(visit: &mut Visit<'_>) -> Verdict {
    let asked = senders::begin(visit);
    let held = visit.milters.is_some().then(|| {
        let bytes_max = visit.context.settings.letter_size_max.bytes();
        Held::new(visit.context.directory.folder(), bytes_max)
    });
    let Some(begun) = &mut visit.begun else { return lost() };
    let id = visit.caller.as_ref().and_then(|caller| caller.submitter.unattended);
    let queue = &visit.context.queue;
    match id.map_or_else(|| queue.begin(), |id| queue.begin_as(id)) {
        Ok(draft) => {
            begun.letter = Some(Incoming::new(draft, asked.is_some(), held));
            begun.asked = asked;
            Verdict::Accept
        }
        Err(error) => no_queue(&error),
    }
}

/// A piece of the letter. After an error what was taken is gone, and the session throws the rest away.
pub(crate) async fn piece(visit: &mut Visit<'_>, piece: Bytes) -> Result<(), Verdict> {
    let mut letter = visit.begun.as_mut().and_then(|begun| begun.letter.take()).ok_or_else(lost)?;
    letter.take(visit, piece).await?;
    if let Some(begun) = &mut visit.begun {
        begun.letter = Some(letter);
    }
    Ok(())
}

/// The letter is complete: makes it durable.
pub(crate) async fn accept(visit: &mut Visit<'_>) -> Answer {
    let Some(mut letter) = visit.begun.as_mut().and_then(|begun| begun.letter.take()) else { return Answer::Verdict(lost()) };
    if let Err(verdict) = letter.end(visit).await {
        return Answer::Verdict(verdict);
    }
    let asked = visit.begun.as_mut().and_then(|begun| begun.asked.take());
    // Before the filters: what they change cannot spoil a signature, and what is refused need not be shown to them.
    let began = UnixMillis(clock::unix_millis());
    let verified = match (asked, letter.examination()) {
        (Some(asked), Some(examination)) => match senders::conclude(visit, asked, *examination, letter.id()).await {
            Ok(verified) => Some(verified),
            Err((verdict, event)) => return refused(visit, letter.id(), Some(*event), verdict),
        },
        (None, _) | (_, None) => None,
    };
    let concluded = note::since(began);
    let mut seen = Seen::default();
    if let Some(mut milters) = visit.milters.take() {
        let findings = match verified.as_ref().map(|verified| &verified.event) {
            Some(Event::Verified { findings, .. }) => findings.as_slice(),
            Some(_) | None => &[],
        };
        let said = letter.filter(visit, &mut milters, findings).await;
        visit.milters = Some(milters);
        seen = match said {
            Ok(seen) => seen,
            Err(verdict) => {
                let event = verified.and_then(|verified| senders::refused_by_filter(verified.event));
                return refused(visit, letter.id(), event, verdict);
            }
        };
        if let Err(verdict) = change_envelope(visit, &seen).await {
            return Answer::Verdict(verdict);
        }
    }
    let Parts { mut draft, message_id, is_ascii, is_tls_optional, signing } = letter.into_parts();
    if let Some(verified) = &verified {
        draft.put_in_front(&verified.fields);
    }
    if let Some(signing) = signing {
        draft.put_in_front(&signing.finish());
    }
    if let Some((filter, why)) = &seen.quarantine {
        let is_author_known = verified.as_ref().is_some_and(|verified| verified.is_author_known);
        draft.put_in_front(&mark(filter, why, is_author_known));
    }
    let Some(begun) = &visit.begun else { return Answer::Verdict(lost()) };
    if seen.discarded.is_some() || begun.recipients.is_empty() {
        return discarded(visit, begun, draft.id(), seen);
    }
    let size = draft.size();
    match draft.commit(queued(visit, begun, is_ascii, is_tls_optional)).await {
        Ok(id) => {
            accepted(visit, begun, id, size, message_id);
            filtered(visit, id, seen);
            abuse::counted(visit).charge(What::Size, size);
            if let Some(verified) = verified {
                if verified.is_vouched_for {
                    abuse::vouched(visit);
                }
                note::record_span(visit.context, id, verified.event, concluded);
            }
            Answer::Message { id: id.to_string(), verdicts: vec![Verdict::Accept; begun.named.len().max(1)] }
        }
        Err(error) => Answer::Verdict(no_queue(&error)),
    }
}

/// The letter is not taken. Why it is believed or not is told under the id that it would have had.
fn refused(visit: &mut Visit<'_>, id: LetterId, event: Option<Event>, verdict: Verdict) -> Answer {
    if let (Some(event), Some(begun)) = (event, &mut visit.begun) {
        begun.told = Some(id);
        note::record(visit.context, Some(id), event);
    }
    Answer::Verdict(verdict)
}

fn queued(visit: &Visit<'_>, begun: &Begun, is_ascii: bool, is_tls_optional: bool) -> Letter {
    let body = match begun.sender.body {
        // Sent without a word, as many programs do: said here, so that it travels on as what it is.
        BodyKind::SevenBit if !is_ascii => BodyKind::EightBitMime,
        body @ (BodyKind::SevenBit | BodyKind::EightBitMime | BodyKind::BinaryMime) => body,
    };
    let (smtputf8, ret) = (begun.sender.smtputf8, begun.sender.ret);
    let tls = match (begun.sender.require_tls, is_tls_optional) {
        // RFC 8689 §3: the field says nothing then.
        (true, _) => TlsWish::Required,
        (false, true) => TlsWish::Optional,
        (false, false) => TlsWish::AsPromised,
    };
    Letter {
        envelope: Envelope {
            body,
            smtputf8,
            ret,
            envid: begun.sender.envid.clone(),
            priority: begun.priority,
            release_at: release_at(begun),
            deliver_by: deliver_by(begun),
            tls,
            ..Envelope::new(begun.sender.path.clone(), begun.recipients.clone())
        },
        arrived: UnixMillis(clock::unix_millis()),
        origin: Origin {
            peer: visit.caller.is_none().then_some(visit.peer),
            helo: visit.hello.as_ref().map(|hello| hello.name.clone()),
            account: visit.account.as_ref().map(|account| account.address.to_string()),
            listener: visit.kind.to_string(),
        },
    }
}

/// `HOLDFOR` and `HOLDUNTIL` as a time. One that is over holds nothing.
fn release_at(begun: &Begun) -> Option<UnixMillis> {
    let at = match begun.sender.hold? {
        Hold::For(seconds) => begun.at.plus(Duration::from_secs(seconds.into())),
        Hold::Until(time) => time,
    };
    (at > begun.at).then_some(at)
}

/// `BY` as a time. For a letter that is held its seconds count from the release: none could be delivered before.
fn deliver_by(begun: &Begun) -> Option<DeliverBy> {
    let By { seconds, mode, trace } = begun.sender.by?;
    let from = release_at(begun).unwrap_or(begun.at);
    let at = UnixMillis(from.0.saturating_add_signed(i64::from(seconds) * 1000));
    Some(DeliverBy { at, mode, trace })
}

fn accepted(visit: &Visit<'_>, begun: &Begun, id: LetterId, size: u64, message_id: Option<String>) {
    let (peer, user) = visit.who().told();
    let accepted = Event::Accepted {
        listener: visit.kind.to_string(),
        peer,
        user,
        helo: visit.hello.as_ref().map(|hello| hello.name.clone()).unwrap_or_default(),
        tls: visit.tls.clone(),
        account: visit.account.as_ref().map(|account| account.address.to_string()),
        from: begun.sender.path.to_string(),
        to: begun.recipients.iter().map(|recipient| recipient.address.to_string()).collect(),
        size,
        message_id,
    };
    note::record_span(visit.context, id, accepted, note::since(begun.at));
    for (address, targets) in &begun.expanded {
        let targets = targets.iter().map(ToString::to_string).collect();
        note::record(visit.context, Some(id), Event::Expanded { address: address.to_string(), targets });
    }
}

/// What filters want of the envelope. A recipient that one adds is a filter's word, and may be anywhere.
async fn change_envelope(visit: &mut Visit<'_>, seen: &Seen) -> Result<(), Verdict> {
    let bare = |text: &str| text.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
    if let (Some(sender), Some(begun)) = (&seen.sender, &mut visit.begun) {
        match bare(sender).parse() {
            Ok(path) => begun.sender.path = path,
            Err(error) => tracing::warn!(sender, %error, "a filter gives a sender that is none, which is not taken"),
        }
    }
    for (text, is_added) in &seen.recipients {
        let address = match bare(text).parse::<Address>() {
            Ok(address) => address,
            Err(error) => {
                tracing::warn!(recipient = text, %error, "a filter gives a recipient that is none, which is not taken");
                continue;
            }
        };
        let ends = match visit.context.directory.expand(&address).await {
            Ok(ends) if ends.is_empty() => vec![address],
            Ok(ends) => ends,
            Err(error) => return Err(no_directory(&error)),
        };
        let Some(begun) = &mut visit.begun else { return Err(lost()) };
        for end in ends {
            if !is_added {
                begun.known.remove(&end);
                begun.recipients.retain(|recipient| recipient.address != end);
            } else if begun.known.insert(end.clone()) {
                begun.recipients.push(Recipient { address: end, notify: None, orcpt: None });
            }
        }
    }
    Ok(())
}

/// The field that marks a letter as junk, with who wants it so. Whether the author was verified stands in front: then a recipient who has allowed it is asked
/// (delivery).
fn mark(filter: &str, why: &str, is_author_known: bool) -> String {
    let plain =
        |text: &str| text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(200).collect::<String>();
    let known = if is_author_known { AUTHOR_KNOWN } else { "" };
    format!("{QUARANTINE}: {known}{} {}\r\n", plain(filter), plain(why)).replace(" \r", "\r")
}

/// A filter threw it away: the peer hears yes, and the timeline says what became of it.
fn discarded(visit: &Visit<'_>, begun: &Begun, id: LetterId, seen: Seen) -> Answer {
    accepted(visit, begun, id, 0, None);
    let filter = seen.discarded.clone().unwrap_or_else(|| "a filter".to_owned());
    for address in &begun.named {
        let why = format!("thrown away by the filter {filter}");
        note::record(visit.context, Some(id), Event::Discarded { to: address.to_string(), why });
    }
    filtered(visit, id, seen);
    Answer::Message { id: id.to_string(), verdicts: vec![Verdict::Accept; begun.named.len().max(1)] }
}

fn filtered(visit: &Visit<'_>, id: LetterId, seen: Seen) {
    for (filter, lasted) in &seen.asked {
        visit.context.journal.show(id, Step::Asked { filter }, *lasted);
    }
    for (filter, changes) in seen.changed {
        note::record(visit.context, Some(id), Event::Filtered { filter, changes });
    }
}

/// The session and the visit disagree on what was begun: a fault of ours.
fn lost() -> Verdict {
    Verdict::Defer(Reason::new(451, Status::temporary(3, 0), "something is wrong here, try again later"))
}

/// Whether the peer greeted with extensions.
pub(crate) fn is_extended(visit: &Visit<'_>) -> bool {
    visit.hello.as_ref().is_some_and(|hello| hello.kind != HelloKind::Helo)
}
