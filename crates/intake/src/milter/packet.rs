//! The packets of the milter protocol, versions 2 to 6: a length, a letter that says what it is, and its data.
//!
//! Pure. There is no standard; the source is `mfapi.h`/`mfdef.h` of sendmail's libmilter as everybody has copied it.

use bytes::{Buf, BytesMut};
use posthouse_mail::Status;
use posthouse_smtp::server::{Reason, Verdict};
use thiserror::Error;

/// The version we offer.
pub(super) const VERSION: u32 = 6;
/// The octets of one packet: a piece of a body of 65,535 and its letter. More is not read.
pub(super) const PACKET_BYTES_MAX: usize = 1 << 20;
/// The octets of one piece of a body (`MILTER_CHUNK_SIZE`).
pub(super) const BODY_BYTES: usize = 65_535;

/// What a milter may change (`SMFIF_*`): everything but the set of macros.
pub(super) const ACTIONS: u32 = 0xff;
/// What a milter may do without (`SMFIP_*`): everything that we know how to leave out.
pub(super) const PROTOCOL: u32 =
    NO_CONNECT | NO_HELO | NO_MAIL | NO_RCPT | NO_BODY | NO_HEADERS | NO_EOH | NO_DATA | SKIP | SILENT;

pub(super) const NO_CONNECT: u32 = 0x1;
pub(super) const NO_HELO: u32 = 0x2;
pub(super) const NO_MAIL: u32 = 0x4;
pub(super) const NO_RCPT: u32 = 0x8;
pub(super) const NO_BODY: u32 = 0x10;
pub(super) const NO_HEADERS: u32 = 0x20;
pub(super) const NO_EOH: u32 = 0x40;
pub(super) const SILENT_HEADERS: u32 = 0x80;
pub(super) const NO_DATA: u32 = 0x200;
const SKIP: u32 = 0x400;
pub(super) const SILENT_CONNECT: u32 = 0x1000;
pub(super) const SILENT_HELO: u32 = 0x2000;
pub(super) const SILENT_MAIL: u32 = 0x4000;
pub(super) const SILENT_RCPT: u32 = 0x8000;
pub(super) const SILENT_DATA: u32 = 0x1_0000;
pub(super) const SILENT_EOH: u32 = 0x4_0000;
pub(super) const SILENT_BODY: u32 = 0x8_0000;
const SILENT: u32 =
    SILENT_HEADERS | SILENT_CONNECT | SILENT_HELO | SILENT_MAIL | SILENT_RCPT | SILENT_DATA | SILENT_EOH | SILENT_BODY;

/// What a milter said that cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum PacketError {
    #[error("it sent a packet of {0} octets")]
    TooLong(usize),
    #[error("it sent an empty packet")]
    Empty,
    #[error("it sent `{}`, which is not known", char::from(*.0).escape_default())]
    Unknown(u8),
    #[error("its `{}` is malformed", char::from(*.0).escape_default())]
    Malformed(u8),
    #[error("it speaks version {0} of the protocol, and versions 2 to {VERSION} are known")]
    Version(u32),
}

/// What a milter answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// What it can and wants, as far as we offered it.
    Options {
        actions: u32,
        protocol: u32,
    },
    Continue,
    /// Nothing more is to be asked about this letter, or this connection.
    Accept,
    Discard,
    Refuse(Verdict),
    /// No more of the body.
    Skip,
    /// It is still at work.
    Progress,
    Change(Change),
}

/// What is to be changed in the letter, once it has been seen whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// At the end of the header.
    AddHeader {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// Before the field with this place, from 0.
    InsertHeader {
        place: u32,
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// The `nth` field of this name, from 1; without a value it goes.
    SetHeader {
        nth: u32,
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// A piece of the body that stands instead of the old one.
    Body(Vec<u8>),
    From(String),
    AddRecipient(String),
    RemoveRecipient(String),
    Quarantine(String),
}

/// A packet to a milter.
pub(super) fn packet(command: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut packet = Vec::with_capacity(4 + length);
    packet.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    packet.push(command);
    parts.iter().for_each(|part| packet.extend_from_slice(part));
    packet
}

/// Texts, each with its zero. A zero within one would be its end, so it goes.
pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut octets = Vec::new();
    for text in texts {
        octets.extend(text.iter().copied().filter(|octet| *octet != 0));
        octets.push(0);
    }
    octets
}

/// Takes the next whole packet from what has come.
pub(super) fn next(input: &mut BytesMut) -> Result<Option<Answer>, PacketError> {
    let Some(length) = input.first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > PACKET_BYTES_MAX {
        return Err(PacketError::TooLong(length));
    }
    if length == 0 {
        return Err(PacketError::Empty);
    }
    if input.len() < 4 + length {
        return Ok(None);
    }
    input.advance(4);
    let packet = input.split_to(length);
    let (command, data) = packet.split_first().ok_or(PacketError::Empty)?;
    answer(*command, data).map(Some)
}

fn answer(command: u8, data: &[u8]) -> Result<Answer, PacketError> {
    let malformed = PacketError::Malformed(command);
    Ok(match command {
        b'O' => options(data).ok_or(malformed)??,
        b'c' => Answer::Continue,
        b'a' => Answer::Accept,
        b'd' => Answer::Discard,
        b's' => Answer::Skip,
        b'p' => Answer::Progress,
        b'r' => Answer::Refuse(Verdict::Reject(reason(550, Status::permanent(7, 1), "refused by a filter"))),
        b't' => Answer::Refuse(Verdict::Defer(reason(451, Status::temporary(7, 1), "a filter asks to try again later"))),
        b'f' | b'4' => Answer::Refuse(Verdict::Drop(reason(421, Status::temporary(7, 1), "a filter ends the connection"))),
        b'y' => Answer::Refuse(reply(data).ok_or(malformed)?),
        b'h' => {
            let (name, value) = pair(data).ok_or(malformed)?;
            Answer::Change(Change::AddHeader { name, value })
        }
        b'i' | b'm' => {
            let (place, data) = number(data).ok_or(malformed.clone())?;
            let (name, value) = pair(data).ok_or(malformed)?;
            Answer::Change(if command == b'i' {
                Change::InsertHeader { place, name, value }
            } else {
                // libmilter counts from 1, and takes 0 for the first as well.
                Change::SetHeader { nth: place.max(1), name, value }
            })
        }
        b'b' => Answer::Change(Change::Body(data.to_vec())),
        // What stands behind the address are arguments of ESMTP; none that we have needs them.
        b'e' => Answer::Change(Change::From(first_text(data).ok_or(malformed)?)),
        b'+' | b'2' => Answer::Change(Change::AddRecipient(first_text(data).ok_or(malformed)?)),
        b'-' => Answer::Change(Change::RemoveRecipient(first_text(data).ok_or(malformed)?)),
        b'q' => Answer::Change(Change::Quarantine(first_text(data).ok_or(malformed)?)),
        other => return Err(PacketError::Unknown(other)),
    })
}

fn options(data: &[u8]) -> Option<Result<Answer, PacketError>> {
    let (version, data) = number(data)?;
    let (actions, data) = number(data)?;
    let (protocol, _) = number(data)?;
    Some(if (2..=VERSION).contains(&version) {
        // Bits that we did not offer cannot be asked for.
        Ok(Answer::Options { actions: actions & ACTIONS, protocol: protocol & PROTOCOL })
    } else {
        Err(PacketError::Version(version))
    })
}

/// `550 5.7.1 words`, or several such lines: the milter's own reply. Its class is that of its code.
fn reply(data: &[u8]) -> Option<Verdict> {
    let text = String::from_utf8_lossy(data.strip_suffix(&[0]).unwrap_or(data)).into_owned();
    let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
    let first = lines.next()?;
    let (code, words) = (first.get(..3)?.parse::<u16>().ok()?, first.get(4..).unwrap_or_default());
    let (status, words) = match words.split_once(' ').map(|(status, rest)| (status.parse::<Status>(), rest)) {
        Some((Ok(status), rest)) => (status, rest),
        _ if code < 500 => (Status::temporary(7, 1), words),
        _ => (Status::permanent(7, 1), words),
    };
    let mut words = vec![words.to_owned()];
    words.extend(lines.map(|line| {
        let line = line.get(4..).unwrap_or_default();
        line.split_once(' ').filter(|(status, _)| status.parse::<Status>().is_ok()).map_or(line, |(_, rest)| rest).to_owned()
    }));
    // libmilter doubles them, since they went through `printf`.
    let reason = reason(code, status, &words.join(" ").replace("%%", "%"));
    match code {
        421 => Some(Verdict::Drop(reason)),
        400..=499 => Some(Verdict::Defer(reason)),
        500..=599 => Some(Verdict::Reject(reason)),
        _ => None,
    }
}

fn reason(code: u16, status: Status, words: &str) -> Reason {
    let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
    Reason::new(code, status, words)
}

fn number(data: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = data.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest))
}

fn pair(data: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut texts = data.split(|octet| *octet == 0);
    let (name, value) = (texts.next()?, texts.next()?);
    // RFC 5322 §3.6.8: `ftext`.
    let is_name = !name.is_empty() && name.iter().all(|octet| octet.is_ascii_graphic() && *octet != b':');
    (is_name && texts.next() == Some(&[])).then(|| (name.to_vec(), value.to_vec()))
}

fn first_text(data: &[u8]) -> Option<String> {
    let text = data.split(|octet| *octet == 0).next()?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests;
