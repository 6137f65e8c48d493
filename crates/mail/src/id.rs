//! The identity of a letter.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::time::UnixMillis;

/// Crockford's base 32: no I, L, O or U, so that an id can be read over a telephone.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TEXT_LEN: usize = 26;

/// A letter's id: globally unique, ordered by time, 26 characters (a ULID: 48 bits of milliseconds, 80 random bits).
///
/// It stands in the `250` reply, in the `Received` line, in the log and in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId(u128);

/// A text that is not a [`LetterId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a letter's id has {TEXT_LEN} characters, digits and letters without I, L, O and U")]
pub struct IdError;

impl LetterId {
    /// An id for a letter that came at `time`; `random` gives its low 80 bits.
    #[must_use]
    pub fn new(time: UnixMillis, random: u128) -> Self {
        Self((u128::from(time.0) << 80) | (random & ((1 << 80) - 1)))
    }

    /// When the id was made.
    #[must_use]
    pub fn time(self) -> UnixMillis {
        UnixMillis(u64::try_from(self.0 >> 80).unwrap_or(u64::MAX))
    }

    /// The 16 octets of the durable form, big-endian, so that octet order is time order.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads [`Self::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in (0..TEXT_LEN).rev() {
            let digit = usize::try_from((self.0 >> (place * 5)) & 31).unwrap_or_default();
            let c = ALPHABET.get(digit).copied().unwrap_or(b'0');
            write!(f, "{}", char::from(c))?;
        }
        Ok(())
    }
}

impl fmt::Debug for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LetterId({self})")
    }
}

impl FromStr for LetterId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        // 26 × 5 = 130 bits: the first character may only use three of its five.
        if text.len() != TEXT_LEN || !text.starts_with(|c: char| ('0'..='7').contains(&c)) {
            return Err(IdError);
        }
        text.bytes()
            .try_fold(0u128, |value, byte| {
                let digit = ALPHABET.iter().position(|&c| c == byte.to_ascii_uppercase())?;
                Some((value << 5) | u128::try_from(digit).ok()?)
            })
            .map(Self)
            .ok_or(IdError)
    }
}

#[cfg(test)]
mod tests;
