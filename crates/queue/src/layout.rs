//! The durable layout of the spool: every octet that is written to a segment is laid out here, and only here.
//!
//! Pure: it turns values into octets and back, and never trusts the octets: each length is checked, each checksum compared.
//! A failure to decode means damage, a torn write, or stale octets of an earlier use of the segment; the caller knows which.
//!
//! ```text
//! segment  = header header' record*            header at 0, its copy at 512, records from 1024 on, each on a multiple of 64
//! header   = magic[8] version:u16 log:u8 0:u8 sequence:u32 salt:u64 first-lsn:u64 capacity:u32 crc:u32
//! record   = magic:u32 kind:u8 flags:u8 0:u16 salt:u64 lsn:u64 id[16] length:u32 number:u32 word:u64 body-crc:u32 crc:u32 body pad
//!            kind      number            word                body
//!            Chunk     its place         draft               64 KiB of the letter
//!            Letter    count of chunks   draft               meta-length:u32 meta tail (what does not fill a chunk); the meta ends with
//!                                                            the fields that stand before the first chunk
//!            Progress  0                 next due, ms        what was said of the letter, the state of every recipient; the last one counts
//!            Done      0                 0                   –
//! aside    = record*                            what is left of one letter that was damaged, in a file of its own
//! ```
//! Integers are little-endian. A record belongs to its segment only if it carries the segment's salt: 64 random bits drawn anew
//! each time the segment is opened for writing, so that neither a stale record nor octets that a letter's author made up to look
//! like a record are ever taken for one.

use bytes::Bytes;
use posthouse_mail::{
    Address, BodyKind, ByMode, Class, DeliverBy, Envelope, LetterId, Notify, OriginalRecipient, Priority, Recipient, Reply, Ret,
    ReversePath, Status, UnixMillis,
};
use thiserror::Error;

use crate::letter::{DeliveryState, Letter, LetterState, Origin};
use crate::schedule::destinations::NextHop;

mod codec;

use codec::{Put, Take};

/// The format this build writes, and the only one it reads.
pub(crate) const VERSION: u16 = 2;
/// Records begin on multiples of this.
pub(crate) const ALIGN: u32 = 64;
/// The octets before a record's body.
pub(crate) const RECORD_HEADER: u32 = 64;
/// The octets before the first record.
pub(crate) const SEGMENT_HEADER: u32 = 1024;
/// Where the header's copy stands: in another sector, so that one torn or rotten sector does not take both.
const HEADER_COPY_AT: usize = 512;
const HEADER_BYTES: usize = 40;
const SEGMENT_MAGIC: &[u8; 8] = b"PHSPOOL\n";
const RECORD_MAGIC: u32 = u32::from_le_bytes(*b"PHr1");
/// What is kept of one reply's text.
const REPLY_TEXT_BYTES_MAX: usize = 2000;

/// Octets that are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum LayoutError {
    #[error("it is cut short")]
    Short,
    #[error("its checksum does not match")]
    Checksum,
    #[error("it is not a record of this segment")]
    Foreign,
    #[error("it holds a value that has no meaning")]
    Value,
    #[error("its format is {0}")]
    Version(u16),
}

/// Which of the two logs a segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogKind {
    /// New letters; overwritten in turn.
    Hot,
    /// What outlived its hot segment.
    Cold,
}

/// The first octets of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log: LogKind,
    /// Grows with every opening of any segment; the log's order.
    pub(crate) seq: u32,
    /// See the module's text.
    pub(crate) salt: u64,
    /// No record of a hot segment has a lower LSN.
    pub(crate) first_lsn: u64,
    /// The segment's length with its header.
    pub(crate) capacity: u32,
}

impl SegmentHeader {
    /// The whole region before the first record: the header and its copy.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut one = Vec::with_capacity(HEADER_BYTES);
        one.extend_from_slice(SEGMENT_MAGIC);
        one.u16(VERSION);
        one.u8(match self.log {
            LogKind::Hot => 1,
            LogKind::Cold => 2,
        });
        one.u8(0);
        one.u32(self.seq);
        one.u64(self.salt);
        one.u64(self.first_lsn);
        one.u32(self.capacity);
        one.u32(crc32fast::hash(&one));
        let mut region = one.clone();
        region.resize(HEADER_COPY_AT, 0);
        region.append(&mut one);
        region.resize(usize_of(SEGMENT_HEADER), 0);
        region
    }

    /// Reads the region before the first record; `None` for a segment that was never opened.
    ///
    /// One valid copy is enough. A segment is cleared before it is opened anew, so two valid ones are the same.
    pub(crate) fn decode(region: &[u8]) -> Result<Option<Self>, LayoutError> {
        let region = region.get(..usize_of(SEGMENT_HEADER)).ok_or(LayoutError::Short)?;
        if region.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let (first, copy) = region.split_at(HEADER_COPY_AT);
        match (Self::decode_one(first), Self::decode_one(copy)) {
            (Ok(one), _) | (Err(_), Ok(one)) => Ok(Some(one)),
            // A later format must be named, not taken for rot.
            (_, Err(why @ LayoutError::Version(_))) | (Err(why), Err(_)) => Err(why),
        }
    }

    /// Whether one of the two copies has rotted. One that was never written, or is cleared already, is no rot.
    pub(crate) fn is_half_rotten(region: &[u8]) -> bool {
        let copies = [region.get(..HEADER_BYTES), region.get(HEADER_COPY_AT..HEADER_COPY_AT + HEADER_BYTES)];
        copies.iter().flatten().any(|copy| copy.iter().any(|&octet| octet != 0) && Self::decode_one(copy).is_err())
    }

    fn decode_one(octets: &[u8]) -> Result<Self, LayoutError> {
        let sealed = octets.get(..HEADER_BYTES).ok_or(LayoutError::Short)?;
        let mut take = Take::new(sealed);
        if take.octets(SEGMENT_MAGIC.len())? != SEGMENT_MAGIC {
            return Err(LayoutError::Foreign);
        }
        let version = take.u16()?;
        let log = take.u8()?;
        take.u8()?;
        let (seq, salt, first_lsn, capacity) = (take.u32()?, take.u64()?, take.u64()?, take.u32()?);
        let crc = take.u32()?;
        if crc != crc32fast::hash(sealed.get(..HEADER_BYTES - 4).ok_or(LayoutError::Short)?) {
            return Err(LayoutError::Checksum);
        }
        if version != VERSION {
            return Err(LayoutError::Version(version));
        }
        let log = match log {
            1 => LogKind::Hot,
            2 => LogKind::Cold,
            _ => return Err(LayoutError::Value),
        };
        Ok(Self { log, seq, salt, first_lsn, capacity })
    }
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Chunk,
    Letter,
    Progress,
    Done,
}

/// The octets before a record's body. See the module's text for `number` and `word`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: Kind,
    /// The letter's id was given by its maker and may be given again ([`crate::Queue::begin_as`]).
    pub(crate) derived: bool,
    /// The record's place in the history of the whole spool. A copy keeps it.
    pub(crate) lsn: u64,
    pub(crate) id: LetterId,
    pub(crate) len: u32,
    pub(crate) number: u32,
    pub(crate) word: u64,
    pub(crate) body_crc: u32,
}

impl RecordHeader {
    /// Appends the header as it stands in the segment with this salt.
    pub(crate) fn encode(&self, salt: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.u32(RECORD_MAGIC);
        out.u8(match self.kind {
            Kind::Chunk => 1,
            Kind::Letter => 2,
            Kind::Progress => 3,
            Kind::Done => 4,
        });
        out.u8(u8::from(self.derived));
        out.u16(0);
        out.u64(salt);
        out.u64(self.lsn);
        out.extend_from_slice(&self.id.to_bytes());
        out.u32(self.len);
        out.u32(self.number);
        out.u64(self.word);
        out.u32(self.body_crc);
        let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.u32(crc);
    }

    /// Reads a header that must belong to the segment with this salt.
    pub(crate) fn decode(octets: &[u8], salt: u64) -> Result<Self, LayoutError> {
        let sealed = octets.get(..usize_of(RECORD_HEADER)).ok_or(LayoutError::Short)?;
        if !looks_like_record(sealed, salt) {
            return Err(LayoutError::Foreign);
        }
        Self::decode_any(sealed)
    }

    /// Reads a header without knowing its segment: for a location taken from the index, where the id and the checksums decide.
    pub(crate) fn decode_any(octets: &[u8]) -> Result<Self, LayoutError> {
        let sealed = octets.get(..usize_of(RECORD_HEADER)).ok_or(LayoutError::Short)?;
        let mut take = Take::new(sealed);
        if take.u32()? != RECORD_MAGIC {
            return Err(LayoutError::Foreign);
        }
        let (kind, flags, _) = (take.u8()?, take.u8()?, take.u16()?);
        let (_salt, lsn) = (take.u64()?, take.u64()?);
        let id = LetterId::from_bytes(take.array()?);
        let (len, number, word, body_crc) = (take.u32()?, take.u32()?, take.u64()?, take.u32()?);
        if take.u32()? != crc32fast::hash(sealed.get(..usize_of(RECORD_HEADER) - 4).ok_or(LayoutError::Short)?) {
            return Err(LayoutError::Checksum);
        }
        let kind = match kind {
            1 => Kind::Chunk,
            2 => Kind::Letter,
            3 => Kind::Progress,
            4 => Kind::Done,
            _ => return Err(LayoutError::Value),
        };
        Ok(Self { kind, derived: flags & 1 != 0, lsn, id, len, number, word, body_crc })
    }

    /// The octets the record takes in its segment.
    pub(crate) fn stride(&self) -> u32 {
        stride(self.len)
    }
}

/// The octets a record with a body of `len` takes in its segment; saturates, which no segment holds.
pub(crate) fn stride(len: u32) -> u32 {
    RECORD_HEADER.saturating_add(len).checked_next_multiple_of(ALIGN).unwrap_or(u32::MAX)
}

/// A quick look whether a header may stand here; the checksum decides.
fn looks_like_record(octets: &[u8], salt: u64) -> bool {
    octets.get(..4) == Some(&RECORD_MAGIC.to_le_bytes()) && octets.get(8..16) == Some(&salt.to_le_bytes())
}

/// Whether a header stood here that has rotted a little: also one whose magic or salt has. What an earlier use of the segment left has a salt
/// that differs in half of its bits.
pub(crate) fn may_have_been_record(octets: &[u8], salt: u64) -> bool {
    const ROTTEN_BITS_MAX: u32 = 8;
    let magic = octets.first_chunk().copied().map(u32::from_le_bytes);
    let found = octets.get(8..).and_then(<[u8]>::first_chunk).copied().map(u64::from_le_bytes);
    let differ = |(magic, found): (u32, u64)| (magic ^ RECORD_MAGIC).count_ones() + (found ^ salt).count_ones();
    magic.zip(found).is_some_and(|both| differ(both) <= ROTTEN_BITS_MAX)
}

/// Checks a body against its header.
pub(crate) fn check_body(header: &RecordHeader, body: &[u8]) -> Result<(), LayoutError> {
    if usize_of(header.len) != body.len() {
        return Err(LayoutError::Short);
    }
    if crc32fast::hash(body) == header.body_crc { Ok(()) } else { Err(LayoutError::Checksum) }
}

/// The part of a letter's record before its tail: length and meta.
pub(crate) fn encode_letter(letter: &Letter, size: u64, front: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.u32(0);
    out.u64(size);
    out.u64(letter.arrived.0);
    match letter.origin.peer {
        None => out.u8(0),
        Some(std::net::IpAddr::V4(v4)) => {
            out.u8(4);
            out.extend_from_slice(&v4.octets());
        }
        Some(std::net::IpAddr::V6(v6)) => {
            out.u8(6);
            out.extend_from_slice(&v6.octets());
        }
    }
    out.maybe(letter.origin.helo.as_deref());
    out.maybe(letter.origin.account.as_deref());
    out.text(&letter.origin.listener);
    encode_envelope(&letter.envelope, &mut out);
    if !front.is_empty() {
        out.text(front);
    }
    let meta = u32::try_from(out.len().saturating_sub(4)).unwrap_or(u32::MAX);
    if let Some(place) = out.first_chunk_mut::<4>() {
        *place = meta.to_le_bytes();
    }
    out
}

fn encode_envelope(envelope: &Envelope, out: &mut Vec<u8>) {
    out.text(&envelope.reverse_path.to_string());
    out.u8(match envelope.body {
        BodyKind::SevenBit => 0,
        BodyKind::EightBitMime => 1,
        BodyKind::BinaryMime => 2,
    });
    out.u8(u8::from(envelope.smtputf8) | codec::wish(envelope.tls) << 1);
    out.u8(match envelope.ret {
        None => 0,
        Some(Ret::Full) => 1,
        Some(Ret::Headers) => 2,
    });
    out.maybe(envelope.envid.as_deref());
    out.i8(envelope.priority.level());
    out.u64(envelope.release_at.map_or(0, |at| at.0));
    out.u8(match envelope.deliver_by {
        None => 0,
        Some(DeliverBy { mode: ByMode::Return, trace, .. }) => 1 | u8::from(trace) << 7,
        Some(DeliverBy { mode: ByMode::Notify, trace, .. }) => 2 | u8::from(trace) << 7,
    });
    if let Some(by) = envelope.deliver_by {
        out.u64(by.at.0);
    }
    out.count(envelope.recipients.len());
    for recipient in &envelope.recipients {
        out.text(&recipient.address.to_string());
        out.u8(recipient
            .notify
            .map_or(0xff, |notify| u8::from(notify.success) | u8::from(notify.failure) << 1 | u8::from(notify.delay) << 2));
        out.maybe(recipient.orcpt.as_ref().map(|orcpt| orcpt.kind.as_str()));
        if let Some(orcpt) = &recipient.orcpt {
            out.text(&orcpt.address);
        }
    }
}

/// A letter's record, read back.
#[derive(Debug)]
pub(crate) struct LetterBody {
    pub(crate) letter: Letter,
    pub(crate) size: u64,
    /// What stands before the first chunk, if anything does.
    pub(crate) front: String,
    pub(crate) tail: Bytes,
}

/// Reads a letter's body.
pub(crate) fn decode_letter(body: &Bytes) -> Result<LetterBody, LayoutError> {
    let mut take = Take::new(body);
    let meta_len = usize_of(take.u32()?);
    let mut take = Take::new(take.octets(meta_len)?);
    let tail = body.slice((4 + meta_len).min(body.len())..);
    let (size, arrived) = (take.u64()?, UnixMillis(take.u64()?));
    let peer = match take.u8()? {
        0 => None,
        4 => Some(take.array::<4>()?.into()),
        6 => Some(take.array::<16>()?.into()),
        _ => return Err(LayoutError::Value),
    };
    let (helo, account, listener) = (take.maybe()?, take.maybe()?, take.text()?);
    let envelope = decode_envelope(&mut take)?;
    let front = if take.end().is_ok() { String::new() } else { take.text()? };
    take.end()?;
    let origin = Origin { peer, helo, account, listener };
    Ok(LetterBody { letter: Letter { envelope, arrived, origin }, size, front, tail })
}

fn decode_envelope(take: &mut Take<'_>) -> Result<Envelope, LayoutError> {
    let reverse_path: ReversePath = take.text()?.parse().map_err(|_| LayoutError::Value)?;
    let body = match take.u8()? {
        0 => BodyKind::SevenBit,
        1 => BodyKind::EightBitMime,
        2 => BodyKind::BinaryMime,
        _ => return Err(LayoutError::Value),
    };
    let bits = take.u8()?;
    let (smtputf8, tls) = (bits & 1 != 0, codec::wish_of(bits >> 1)?);
    let ret = match take.u8()? {
        0 => None,
        1 => Some(Ret::Full),
        2 => Some(Ret::Headers),
        _ => return Err(LayoutError::Value),
    };
    let envid = take.maybe()?;
    let priority = Priority::new(take.i8()?).ok_or(LayoutError::Value)?;
    let release_at = Some(UnixMillis(take.u64()?)).filter(|at| at.0 != 0);
    let deliver_by = decode_deliver_by(take)?;
    let count = take.count()?;
    let recipients = (0..count).map(|_| decode_recipient(take)).collect::<Result<Vec<_>, _>>()?;
    Ok(Envelope { reverse_path, recipients, body, smtputf8, ret, envid, priority, release_at, deliver_by, tls })
}

fn decode_deliver_by(take: &mut Take<'_>) -> Result<Option<DeliverBy>, LayoutError> {
    let word = take.u8()?;
    let mode = match word & 0x7f {
        0 => return Ok(None),
        1 => ByMode::Return,
        2 => ByMode::Notify,
        _ => return Err(LayoutError::Value),
    };
    Ok(Some(DeliverBy { at: UnixMillis(take.u64()?), mode, trace: word & 0x80 != 0 }))
}

fn decode_recipient(take: &mut Take<'_>) -> Result<Recipient, LayoutError> {
    let address: Address = take.text()?.parse().map_err(|_| LayoutError::Value)?;
    let notify = match take.u8()? {
        0xff => None,
        bits if bits < 8 => Some(Notify { success: bits & 1 != 0, failure: bits & 2 != 0, delay: bits & 4 != 0 }),
        _ => return Err(LayoutError::Value),
    };
    let orcpt = match take.maybe()? {
        None => None,
        Some(kind) => Some(OriginalRecipient { kind, address: take.text()? }),
    };
    Ok(Recipient { address, notify, orcpt })
}

/// What was said of the letter, and the state of every recipient in the envelope's order. A reply that several share is written
/// once.
pub(crate) fn encode_progress(state: &LetterState) -> Vec<u8> {
    let states = &state.recipients;
    let mut replies: Vec<&Reply> = Vec::new();
    let mut out = Vec::with_capacity(24 + states.len() * 18);
    out.u8(u8::from(state.held) | u8::from(state.priority.is_some()) << 1);
    out.i8(state.priority.map_or(0, Priority::level));
    out.maybe(state.via.as_ref().map(|via| via.host.as_str()));
    if let Some(via) = &state.via {
        out.u16(via.port.unwrap_or(0));
    }
    out.count(states.len());
    for state in states {
        let (tag, next) = match state.state {
            DeliveryState::Pending { next } => (0, next.0),
            DeliveryState::Delivered => (1, 0),
            DeliveryState::Failed => (2, 0),
            DeliveryState::Removed => (3, 0),
        };
        out.u8(tag);
        out.u32(state.attempts);
        out.u64(next);
        out.u8(u8::from(state.warned));
        let place = state.last.as_ref().map_or(0, |reply| place_of(&mut replies, reply));
        out.count(place);
    }
    out.count(replies.len());
    for reply in replies {
        encode_reply(reply, &mut out);
    }
    out
}

/// 1 for the first. Only the latest few are compared: neighbours share replies, and thousands must not cost millions of looks.
fn place_of<'r>(replies: &mut Vec<&'r Reply>, reply: &'r Reply) -> usize {
    const COMPARED: usize = 8;
    let from = replies.len().saturating_sub(COMPARED);
    if let Some(found) = replies.iter().skip(from).position(|known| *known == reply) {
        return from + found + 1;
    }
    replies.push(reply);
    replies.len()
}

fn encode_reply(reply: &Reply, out: &mut Vec<u8>) {
    out.u16(reply.code());
    match reply.status() {
        None => out.u8(0),
        Some(status) => {
            out.u8(match status.class {
                Class::Success => 2,
                Class::Temporary => 4,
                Class::Permanent => 5,
            });
            out.u16(status.subject);
            out.u16(status.detail);
        }
    }
    let mut text = reply.lines().join("\n");
    let end = text.floor_char_boundary(REPLY_TEXT_BYTES_MAX);
    text.truncate(end);
    out.text(&text);
}

/// What a Progress record says of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) attempts: u32,
    pub(crate) state: DeliveryState,
    pub(crate) last: Option<Reply>,
    pub(crate) warned: bool,
}

/// What a Progress record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProgressBody {
    pub(crate) held: bool,
    pub(crate) priority: Option<Priority>,
    pub(crate) via: Option<NextHop>,
    pub(crate) recipients: Vec<Standing>,
}

impl ProgressBody {
    /// Brings a fresh letter's state up to this. Both are of the same letter.
    pub(crate) fn apply(self, state: &mut LetterState) -> Result<(), LayoutError> {
        if self.recipients.len() != state.recipients.len() {
            return Err(LayoutError::Value);
        }
        (state.held, state.priority, state.via) = (self.held, self.priority, self.via);
        for (recipient, standing) in state.recipients.iter_mut().zip(self.recipients) {
            let Standing { attempts, state, last, warned } = standing;
            (recipient.attempts, recipient.state, recipient.last, recipient.warned) = (attempts, state, last, warned);
        }
        Ok(())
    }
}

/// Reads a Progress body.
pub(crate) fn decode_progress(body: &[u8]) -> Result<ProgressBody, LayoutError> {
    let mut take = Take::new(body);
    let (flags, level) = (take.u8()?, take.i8()?);
    let priority = Priority::new(level).ok_or(LayoutError::Value)?;
    let via = match take.maybe()? {
        None => None,
        Some(host) => {
            let port = Some(take.u16()?).filter(|&port| port != 0);
            Some(NextHop { host: host.parse().map_err(|_| LayoutError::Value)?, port })
        }
    };
    let recipients = decode_recipients(&mut take)?;
    take.end()?;
    Ok(ProgressBody { held: flags & 1 != 0, priority: (flags & 2 != 0).then_some(priority), via, recipients })
}

fn decode_recipients(take: &mut Take<'_>) -> Result<Vec<Standing>, LayoutError> {
    let count = take.count()?;
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let (tag, attempts, next) = (take.u8()?, take.u32()?, UnixMillis(take.u64()?));
        let (warned, place) = (take.u8()? != 0, take.u32()?);
        let state = match tag {
            0 => DeliveryState::Pending { next },
            1 => DeliveryState::Delivered,
            2 => DeliveryState::Failed,
            3 => DeliveryState::Removed,
            _ => return Err(LayoutError::Value),
        };
        rows.push((attempts, state, warned, usize_of(place)));
    }
    let count = take.count()?;
    let replies = (0..count).map(|_| decode_reply(take)).collect::<Result<Vec<_>, _>>()?;
    rows.into_iter()
        .map(|(attempts, state, warned, place)| {
            let last = match place.checked_sub(1) {
                None => None,
                Some(index) => Some(replies.get(index).cloned().ok_or(LayoutError::Value)?),
            };
            Ok(Standing { attempts, state, last, warned })
        })
        .collect()
}

fn decode_reply(take: &mut Take<'_>) -> Result<Reply, LayoutError> {
    let code = take.u16()?;
    let class = match take.u8()? {
        0 => None,
        2 => Some(Class::Success),
        4 => Some(Class::Temporary),
        5 => Some(Class::Permanent),
        _ => return Err(LayoutError::Value),
    };
    let status = match class {
        None => None,
        Some(class) => Some(Status::new(class, take.u16()?, take.u16()?)),
    };
    let text = take.text()?;
    Ok(status.map_or_else(|| Reply::bare(code, &text), |status| Reply::new(code, status, &text)))
}

/// A `u32` as an index; lossless on every machine we run on.
pub(crate) fn usize_of(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A length as the `u32` of a record; saturates, which no segment holds.
pub(crate) fn u32_of(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
