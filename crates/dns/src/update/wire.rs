//! The octets of an update and of its answer (RFC 2136 §2, §3.8). Pure.
//!
//! Names are written whole, never as pointers, so that what is signed is what is sent. What comes is read only as far as it matters: who answers
//! which question, how it went, and the signature behind it.

use crate::record::{Name, Tlsa};

/// SOA, which asks for a zone; TXT and TLSA; the classes IN and NONE (RFC 2136 §2.4, §2.5.4).
const SOA: u16 = 6;
const TXT: u16 = 16;
const TLSA: u16 = 52;
const TSIG: u16 = 250;
const IN: u16 = 1;
const NONE: u16 = 254;
/// UPDATE, and that it is an answer.
const UPDATE: u16 = 5;
const HEADER_BYTES: usize = 12;
/// Where the number of additional records stands.
const ADDITIONAL_AT: usize = 10;
/// Records of one answer that are passed over on the way to the signature: it has none of its own.
const RECORDS_MAX: usize = 64;
/// Labels of a name that are passed over.
const LABELS_MAX: usize = 128;

/// What is to become of a record at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is to be there; whatever else is there stays.
    Add {
        /// Where.
        name: Name,
        /// What.
        data: Data,
    },
    /// It is to be there no more; whatever else is there stays.
    Remove {
        /// Where.
        name: Name,
        /// What.
        data: Data,
    },
}

/// The records that are changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// TXT.
    Text(String),
    /// TLSA.
    Tlsa(Tlsa),
}

impl Change {
    /// The name that it is about.
    #[must_use]
    pub fn name(&self) -> &Name {
        match self {
            Self::Add { name, .. } | Self::Remove { name, .. } => name,
        }
    }
}

/// An answer, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    pub(super) code: u16,
    /// Without the signature, and with the number of records that it has without it.
    pub(super) unsigned: Vec<u8>,
    /// The data of the signature.
    pub(super) signature: Option<&'a [u8]>,
}

/// An update of a zone, not signed yet.
pub(super) fn request(id: u16, zone: &Name, changes: &[Change], ttl: u32) -> Vec<u8> {
    let count = u16::try_from(changes.len()).unwrap_or(u16::MAX);
    let mut octets: Vec<u8> = [id, UPDATE << 11, 1, 0, count, 0].iter().flat_map(|number| number.to_be_bytes()).collect();
    put_name(&mut octets, zone);
    octets.extend([SOA, IN].map(u16::to_be_bytes).concat());
    for change in changes {
        let (name, data, class, ttl) = match change {
            Change::Add { name, data } => (name, data, IN, ttl),
            Change::Remove { name, data } => (name, data, NONE, 0),
        };
        let (kind, data) = match data {
            Data::Text(text) => (TXT, strings(text)),
            Data::Tlsa(Tlsa { usage, selector, matching, data }) => {
                (TLSA, [&[*usage, *selector, *matching], data.as_slice()].concat())
            }
        };
        put_name(&mut octets, name);
        octets.extend([kind, class].map(u16::to_be_bytes).concat());
        octets.extend(ttl.to_be_bytes());
        octets.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        octets.extend(data);
    }
    octets
}

/// The strings of a text (RFC 1035 §3.3.14): one at least.
fn strings(text: &str) -> Vec<u8> {
    let text = if text.is_empty() { &[0][..] } else { text.as_bytes() };
    let one = |string: &[u8]| [&[u8::try_from(string.len()).unwrap_or_default()], string].concat();
    text.chunks(255).flat_map(one).collect()
}

/// Reads the answer to the update with this id; `None`: it is none.
pub(super) fn answer(octets: &[u8], id: u16) -> Option<Answer<'_>> {
    let flags = number_at(octets, 2)?;
    if number_at(octets, 0)? != id || flags >> 15 != 1 || flags >> 11 & 15 != UPDATE {
        return None;
    }
    let count = |at| number_at(octets, at).map(usize::from);
    let (zones, additional) = (count(4)?, count(ADDITIONAL_AT)?);
    let records = count(6)? + count(8)? + additional;
    if zones > 1 || records > RECORDS_MAX {
        return None;
    }
    let mut at = HEADER_BYTES;
    for _ in 0..zones {
        at = skip_name(octets, at)? + 4;
    }
    let mut last = None;
    for _ in 0..records {
        let fixed = skip_name(octets, at)?;
        let end = fixed + 10 + usize::from(number_at(octets, fixed + 8)?);
        last = Some((at, number_at(octets, fixed)?, octets.get(fixed + 10..end)?));
        at = end;
    }
    if at != octets.len() {
        return None;
    }
    let code = flags & 15;
    match last {
        Some((start, TSIG, data)) if additional > 0 => {
            let mut unsigned = octets.get(..start)?.to_vec();
            let count = u16::try_from(additional - 1).ok()?;
            unsigned.get_mut(ADDITIONAL_AT..HEADER_BYTES)?.copy_from_slice(&count.to_be_bytes());
            Some(Answer { code, unsigned, signature: Some(data) })
        }
        _ => Some(Answer { code, unsigned: octets.to_vec(), signature: None }),
    }
}

/// Counts one additional record more.
pub(super) fn count_one_more(octets: &mut [u8]) {
    let count = number_at(octets, ADDITIONAL_AT).unwrap_or_default().saturating_add(1);
    if let Some(place) = octets.get_mut(ADDITIONAL_AT..HEADER_BYTES) {
        place.copy_from_slice(&count.to_be_bytes());
    }
}

/// Writes a name whole, in lower case, as it is signed (RFC 8945 §4.3.3).
pub(super) fn put_name(octets: &mut Vec<u8>, name: &Name) {
    for label in name.as_str().split('.') {
        // A label has at most 63.
        octets.push(u8::try_from(label.len()).unwrap_or_default());
        octets.extend(label.bytes());
    }
    octets.push(0);
}

/// Where a name ends.
pub(super) fn skip_name(octets: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..LABELS_MAX {
        match octets.get(at)? {
            0 => return Some(at + 1),
            // RFC 1035 §4.1.4: a pointer ends a name.
            192.. => return octets.get(at + 1).map(|_| at + 2),
            length @ 1..64 => at += 1 + usize::from(*length),
            64..192 => return None,
        }
    }
    None
}

pub(super) fn number_at(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}
