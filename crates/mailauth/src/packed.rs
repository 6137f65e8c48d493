//! Reports travel packed: by gzip (RFC 1952), by some senders in a ZIP archive of one file, by some not at all. Which, the first octets say.
//!
//! What comes out is bounded, whatever a packed report claims of its size: a bomb is cut off there, and nothing is reserved before.

use std::borrow::Cow;
use std::io::{Read, Write as _};

use flate2::Compression;
use flate2::read::{DeflateDecoder, GzDecoder};
use flate2::write::GzEncoder;
use thiserror::Error;

/// The octets of a ZIP's entry in front of its name (APPNOTE.TXT §4.3.7).
const ENTRY_BYTES: usize = 30;

/// Why what is packed cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PackedError {
    /// It is larger than any report.
    #[error("the report is larger than {0} octets when it is unpacked")]
    TooLarge(usize),
    /// It is broken, or packed in a way that no report is.
    #[error("the report cannot be unpacked: {0}")]
    Broken(String),
}

/// Packs by gzip.
pub(crate) fn pack(octets: &[u8]) -> Vec<u8> {
    // Writing to a vector cannot fail.
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(octets).and_then(|()| packed.finish()).unwrap_or_default()
}

/// What is in a packed report, or the report if it is not packed; at most `max` octets.
pub(crate) fn unpack(octets: &[u8], max: usize) -> Result<Cow<'_, [u8]>, PackedError> {
    if octets.starts_with(&[0x1f, 0x8b]) {
        return bounded(GzDecoder::new(octets), max).map(Cow::Owned);
    }
    if octets.starts_with(b"PK\x03\x04") {
        return first_entry(octets, max);
    }
    if octets.len() > max { Err(PackedError::TooLarge(max)) } else { Ok(Cow::Borrowed(octets)) }
}

/// The first file of a ZIP archive: a report is alone in its own. What is in it is never unpacked again.
fn first_entry(octets: &[u8], max: usize) -> Result<Cow<'_, [u8]>, PackedError> {
    let broken = |words: &str| PackedError::Broken(words.to_owned());
    let short = || broken("the archive ends in the middle");
    let number =
        |at: usize| octets.get(at..at + 2).map(|pair| pair.iter().rev().fold(0, |all, &one| all << 8 | usize::from(one)));
    let (flags, method) = number(6).zip(number(8)).ok_or_else(short)?;
    let (size, size_high) = number(18).zip(number(20)).ok_or_else(short)?;
    let (name, extra) = number(26).zip(number(28)).ok_or_else(short)?;
    let data = octets.get(ENTRY_BYTES + name + extra..).ok_or_else(short)?;
    if flags & 1 != 0 {
        return Err(broken("the archive is encrypted"));
    }
    match method {
        0 if flags & 8 == 0 => {
            let size = size_high << 16 | size;
            let stored = data.get(..size).ok_or_else(short)?;
            if stored.len() > max { Err(PackedError::TooLarge(max)) } else { Ok(Cow::Borrowed(stored)) }
        }
        // Its end shows in itself.
        8 => bounded(DeflateDecoder::new(data), max).map(Cow::Owned),
        method => Err(PackedError::Broken(format!("the archive is packed by method {method}"))),
    }
}

fn bounded(packed: impl Read, max: usize) -> Result<Vec<u8>, PackedError> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    packed.take(limit).read_to_end(&mut unpacked).map_err(|error| PackedError::Broken(error.to_string()))?;
    if unpacked.len() > max { Err(PackedError::TooLarge(max)) } else { Ok(unpacked) }
}

#[cfg(test)]
mod tests;
