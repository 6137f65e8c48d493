//! Dot-stuffed text (RFC 5321 §4.5.2).
//!
//! The end of the letter is CRLF `.` CRLF and nothing that looks like it.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr3;

use crate::syntax::LineError;

/// Takes a letter out of its dots.
#[derive(Debug)]
pub struct DotDecoder {
    at_line_start: bool,
}

/// What [`DotDecoder::decode`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A piece of the letter, never empty.
    Chunk(Bytes),
    /// The end; what follows in the buffer is the next command.
    End,
    /// Nothing before more octets come; at most three wait in the buffer.
    Incomplete,
}

impl DotDecoder {
    /// A decoder at the start of a letter.
    #[must_use]
    pub fn new() -> Self {
        // The CRLF of the DATA line counts as the one before the dot of an empty letter (RFC 5321 §4.1.1.4).
        Self { at_line_start: true }
    }

    /// Takes the next piece off the front of `input`.
    ///
    /// # Errors
    /// [`LineError`]: a bare CR, a bare LF or a NUL. The octets before it are lost.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, LineError> {
        if self.at_line_start && input.first() == Some(&b'.') {
            match (input.get(1), input.get(2)) {
                (None, _) | (Some(b'\r'), None) => return Ok(Decoded::Incomplete),
                (Some(b'\r'), Some(b'\n')) => {
                    input.advance(3);
                    return Ok(Decoded::End);
                }
                (Some(b'\r'), Some(_)) => return Err(LineError::BareCr),
                // The stuffed dot; what stands behind it is looked at below.
                (Some(_), _) => {
                    input.advance(1);
                    self.at_line_start = false;
                }
            }
        }
        let clean = self.clean_run(input)?;
        if clean == 0 { Ok(Decoded::Incomplete) } else { Ok(Decoded::Chunk(input.split_to(clean).freeze())) }
    }

    /// The length of the longest front of `input` that is text without a dot to be taken out and that ends with a whole line end if with any part of one.
    fn clean_run(&mut self, input: &BytesMut) -> Result<usize, LineError> {
        let mut at = 0;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            if self.at_line_start && at > 0 && rest.first() == Some(&b'.') {
                break;
            }
            let Some(found) = memchr3(b'\r', b'\n', 0, rest) else {
                self.at_line_start = false;
                return Ok(input.len());
            };
            match (rest.get(found), rest.get(found + 1)) {
                (Some(b'\r'), Some(b'\n')) => {
                    at += found + 2;
                    self.at_line_start = true;
                }
                (Some(b'\r'), None) => {
                    // With octets before it, the CR is no longer the first of its line; alone it may still be.
                    self.at_line_start = self.at_line_start && found == 0;
                    return Ok(at + found);
                }
                (Some(b'\r'), Some(_)) => return Err(LineError::BareCr),
                (Some(b'\n'), _) => return Err(LineError::BareLf),
                _ => return Err(LineError::Nul),
            }
        }
        Ok(at)
    }
}

impl Default for DotDecoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Puts a letter into its dots.
#[derive(Debug)]
pub struct DotEncoder {
    at_line_start: bool,
    after_cr: bool,
}

impl DotEncoder {
    /// An encoder at the start of a letter.
    #[must_use]
    pub fn new() -> Self {
        Self { at_line_start: true, after_cr: false }
    }

    /// Appends a piece of the letter to `out`.
    ///
    /// # Errors
    /// [`LineError`]: the letter has a bare CR, a bare LF or a NUL and cannot travel by DATA (RFC 5321 §2.3.8). `out` is then not to be sent.
    pub fn encode(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<(), LineError> {
        let mut rest = piece;
        out.reserve(piece.len() + 8);
        while let Some(&first) = rest.first() {
            if self.after_cr {
                if first != b'\n' {
                    return Err(LineError::BareCr);
                }
                out.push(b'\n');
                (self.after_cr, self.at_line_start) = (false, true);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            if self.at_line_start && first == b'.' {
                out.push(b'.');
            }
            let run = memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
            let (clean, tail) = rest.split_at(run);
            out.extend_from_slice(clean);
            if !clean.is_empty() {
                self.at_line_start = false;
            }
            rest = match tail.split_first() {
                None => tail,
                Some((b'\r', tail)) => {
                    out.push(b'\r');
                    self.after_cr = true;
                    tail
                }
                Some((b'\n', _)) => return Err(LineError::BareLf),
                Some(_) => return Err(LineError::Nul),
            };
        }
        Ok(())
    }

    /// Appends the end of the letter: a CRLF if the letter does not end with one, and the dot.
    ///
    /// # Errors
    /// [`LineError::BareCr`] if the letter ends with CR.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), LineError> {
        if self.after_cr {
            return Err(LineError::BareCr);
        }
        if !self.at_line_start {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
        Ok(())
    }
}

impl Default for DotEncoder {
    fn default() -> Self {
        Self::new()
    }
}
