//! What is asked of a header, and what is added to it.

use std::borrow::Cow;

use posthouse_mail::header::{Field, Header, HeaderError, Received, address_list};
use posthouse_mail::{LetterId, UnixMillis};
use posthouse_mailauth::{Examination, is_from};
use posthouse_runtime::clock;
use posthouse_smtp::server::Verdict;

use super::HEADER_LINES_MAX;
use crate::check;
use crate::context::ListenerKind;
use crate::sign::Signing;
use crate::visit::Visit;

/// The hops after which a letter is taken to go round. RFC 5321 §6.3 asks for 100 at least; no honest path of today has a third of that, and
/// one that goes round comes to any number.
const HOPS_MAX: usize = 50;
/// What must not leave with a submitted letter: `Bcc` names those who are not to be named (RFC 5322 §3.6.3), `Return-Path` is the last
/// server's to write (RFC 5321 §4.4).
const REMOVED: &[&str] = &["Bcc", "Resent-Bcc", "Return-Path"];

/// The front of the letter as it is stored.
pub(super) struct Prepared {
    pub(super) bytes: Vec<u8>,
    pub(super) message_id: Option<String>,
    pub(super) is_tls_optional: bool,
    pub(super) examination: Option<Box<Examination>>,
    pub(super) signing: Option<Box<Signing>>,
}

/// Checks and completes a header. `bytes` are its fields, `fields` octets of them, and the empty line if there is one.
pub(super) async fn prepare(
    visit: &Visit<'_>,
    id: LetterId,
    bytes: &[u8],
    fields: usize,
    is_examined: bool,
) -> Result<Prepared, Verdict> {
    let (header, rest) = parse(bytes, fields)?;
    if header.received_count() > HOPS_MAX {
        return Err(check::reject(554, 4, 6, format!("the letter goes round: it has passed more than {HOPS_MAX} servers")));
    }
    let examination = is_examined.then(|| examination(visit, header, rest));
    let mut prepared = received(visit, id).into_bytes();
    let own = prepared.len();
    let mut signing = None;
    let mut message_id = header.first("Message-ID").map(|field| field.value());
    if visit.kind.is_submission() {
        author(visit, header).await?;
        complete(visit, id, header, &mut message_id, &mut prepared);
        prepared.extend_from_slice(&kept(visit, header, REMOVED));
        signing = Signing::begin(visit, prepared.get(own..).unwrap_or_default()).await?.map(Box::new);
        if let Some(signing) = &mut signing {
            if visit.context.settings.ask_for_complaints {
                prepared.extend_from_slice(signing.ask_for_complaints().as_bytes());
            }
            // Behind a header that is none stands a body.
            let [_, body] = rest;
            signing.body(body);
        }
    } else {
        prepared.extend_from_slice(&kept(visit, header, &[]));
    }
    prepared.extend(rest.concat());
    let is_tls_optional = is_tls_optional(header);
    Ok(Prepared { bytes: prepared, message_id, is_tls_optional, examination, signing })
}

/// RFC 8689 §3: `TLS-Required: No`, once.
fn is_tls_optional(header: Header<'_>) -> bool {
    let mut fields = header.named("TLS-Required");
    let says_no = fields.next().is_some_and(|field| field.value().trim().eq_ignore_ascii_case("no"));
    says_no && fields.next().is_none()
}

/// Its fields, and what stands behind them: the empty line, and what of the body is at hand.
fn parse(bytes: &[u8], fields: usize) -> Result<(Header<'_>, [&[u8]; 2]), Verdict> {
    let (block, rest) = bytes.split_at_checked(fields).unwrap_or((bytes, &[]));
    match Header::parse(block) {
        Ok(header) => Ok((header, [rest, &[]])),
        // No header at all, but text from the first line on: it is the body, and gets the empty line that it lacks.
        Err(HeaderError::NotAField { line: 1 }) => {
            Ok((Header::parse(&[]).map_err(|error| unreadable(&error))?, [b"\r\n", bytes]))
        }
        Err(HeaderError::TooLong) => Err(too_long()),
        Err(HeaderError::TooManyFields) => Err(too_many_lines()),
        Err(error) => Err(unreadable(&error)),
    }
}

/// For a letter that others may change before [`prepare`] sees it. Its header is refused for what [`prepare`] would refuse it for.
pub(super) fn examine(visit: &Visit<'_>, bytes: &[u8], fields: usize) -> Result<Box<Examination>, Verdict> {
    let (header, rest) = parse(bytes, fields)?;
    Ok(examination(visit, header, rest))
}

/// What is verified is what came: before anything is added or removed.
fn examination(visit: &Visit<'_>, header: Header<'_>, rest: [&[u8]; 2]) -> Box<Examination> {
    let mut examination = Box::new(Examination::new(header, clock::unix_millis() / 1000));
    if visit.context.evaluations.wants_failures() {
        examination.keep(header);
    }
    // Behind a header that is none stands a body.
    let [_, body] = rest;
    examination.body(body);
    examination
}

/// The block without the fields of these names, and without those that only claim to be ours: results of our checks (RFC 8601 §5), and the mark
/// of junk.
fn kept<'a>(visit: &Visit<'_>, header: Header<'a>, removed: &[&str]) -> Cow<'a, [u8]> {
    let forged = |field: &Field<'_>| {
        field.is(check::QUARANTINE) || (field.is("Authentication-Results") && is_from(&field.value(), &visit.context.hostname))
    };
    let goes = |field: &Field<'_>| removed.iter().any(|name| field.is(name)) || forged(field);
    if !header.fields().any(|field| goes(&field)) {
        return header.as_bytes().into();
    }
    header.fields().filter(|field| !goes(field)).flat_map(|field| field.raw().iter().copied()).collect::<Vec<_>>().into()
}

/// Whoever is logged in may write in their own name alone (RFC 6409 §6.1), also where the readers look.
async fn author(visit: &Visit<'_>, header: Header<'_>) -> Result<(), Verdict> {
    // RFC 5322 §3.6: one at most. With two, one program shows the one and another the other.
    for name in ["From", "Sender"] {
        if header.named(name).count() > 1 {
            return Err(check::reject(554, 6, 0, format!("the letter has more than one {name} field")));
        }
        let Some(field) = header.first(name) else { continue };
        let addresses = address_list(&field.value()).map_err(|error| check::reject(554, 6, 0, format!("{name}: {error}")))?;
        if addresses.is_empty() {
            return Err(check::reject(554, 6, 0, format!("the field {name} has no address")));
        }
        for address in addresses {
            match check::owns(visit, &address).await {
                Ok(true) => {}
                Ok(false) => return Err(check::not_yours(visit, &address)),
                Err(error) => return Err(check::no_directory(&error)),
            }
        }
    }
    Ok(())
}

/// Adds what every letter must have (RFC 5322 §3.6, RFC 6409 §8) and this one lacks.
fn complete(visit: &Visit<'_>, id: LetterId, header: Header<'_>, message_id: &mut Option<String>, prepared: &mut Vec<u8>) {
    if header.first("Date").is_none() {
        let now = UnixMillis(clock::unix_millis()).to_rfc5322();
        prepared.extend_from_slice(format!("Date: {now}\r\n").as_bytes());
    }
    if message_id.is_none() {
        let fresh = format!("<{id}@{}>", visit.context.hostname);
        prepared.extend_from_slice(format!("Message-ID: {fresh}\r\n").as_bytes());
        *message_id = Some(fresh);
    }
    if header.first("From").is_none() {
        let from = match (&visit.account, &visit.caller) {
            (Some(account), _) => account.address.to_string(),
            (None, Some(caller)) => format!("{}@{}", caller.submitter.name, caller.origin),
            (None, None) => return,
        };
        prepared.extend_from_slice(format!("From: {from}\r\n").as_bytes());
    }
}

/// The field that every server adds (RFC 5321 §4.4).
fn received(visit: &Visit<'_>, id: LetterId) -> String {
    let begun = visit.begun.as_ref();
    let smtputf8 = begun.is_some_and(|begun| begun.sender.smtputf8);
    let (lmtp, tls, login) = (visit.kind == ListenerKind::Lmtp, visit.tls.is_some(), visit.account.is_some());
    let with = Received::with(lmtp, check::is_extended(visit), tls, login, smtputf8);
    let only_recipient = begun.and_then(|begun| match begun.named.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    Received {
        helo: visit.hello.as_ref().map_or("", |hello| hello.name.as_str()),
        peer: visit.peer,
        user: visit.caller.as_ref().map(|caller| caller.submitter.uid),
        by: &visit.context.hostname,
        with: &with,
        tls: visit.tls.as_deref(),
        id,
        only_recipient,
        priority: begun.map(|begun| begun.priority).unwrap_or_default(),
        at: UnixMillis(clock::unix_millis()),
    }
    .to_field()
}

pub(super) fn too_long() -> Verdict {
    check::reject(552, 3, 4, "the header is too long")
}

pub(super) fn too_many_lines() -> Verdict {
    check::reject(554, 6, 0, format!("the header has more than {HEADER_LINES_MAX} lines"))
}

fn unreadable(error: &HeaderError) -> Verdict {
    check::reject(554, 6, 0, error.to_string())
}
