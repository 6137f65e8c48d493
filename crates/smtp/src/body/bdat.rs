//! Counted chunks (RFC 3030).
//!
//! The count alone says where a chunk ends. Unless the letter is `BINARYMIME` it must still be text with CRLF at each line end ([`TextCheck`]), as it
//! may have to travel on by DATA.

use bytes::{Bytes, BytesMut};
use memchr::memchr3;

use crate::syntax::LineError;

/// The octets of one chunk that have not come yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkDecoder {
    left: u64,
}

impl ChunkDecoder {
    /// A decoder for a chunk of `size` octets.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { left: size }
    }

    /// Whether the chunk is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left == 0
    }

    /// The octets still to come.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes what is there of the chunk off the front of `input`; `None` if nothing is there or the chunk is complete.
    pub fn decode(&mut self, input: &mut BytesMut) -> Option<Bytes> {
        let here = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
        if here == 0 {
            return None;
        }
        self.left -= u64::try_from(here).unwrap_or(self.left);
        Some(input.split_to(here).freeze())
    }
}

/// Looks at a letter that comes in pieces for bare CR, bare LF and NUL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextCheck {
    after_cr: bool,
}

impl TextCheck {
    /// Looks at the next piece.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn piece(&mut self, piece: &[u8]) -> Result<(), LineError> {
        let mut rest = piece;
        while let Some(&first) = rest.first() {
            if self.after_cr {
                if first != b'\n' {
                    return Err(LineError::BareCr);
                }
                self.after_cr = false;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let Some(found) = memchr3(b'\r', b'\n', 0, rest) else { return Ok(()) };
            match rest.get(found) {
                Some(b'\r') => self.after_cr = true,
                Some(b'\n') => return Err(LineError::BareLf),
                _ => return Err(LineError::Nul),
            }
            rest = rest.get(found + 1..).unwrap_or_default();
        }
        Ok(())
    }

    /// Looks at the end of the letter.
    ///
    /// # Errors
    /// [`LineError::BareCr`] if the letter ends with CR.
    pub fn finish(self) -> Result<(), LineError> {
        if self.after_cr { Err(LineError::BareCr) } else { Ok(()) }
    }
}
