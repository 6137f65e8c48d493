//! Finding the end of a line.
//!
//! A line ends with CRLF and nothing else: a bare CR, a bare LF and a NUL are errors, since two programs that disagree on the end of a line
//! disagree on what is a command (the smuggling of CVE-2023-51764 and its kin). After an error the input has no meaning any more and the
//! connection is to be closed.

use bytes::{Buf, BytesMut};
use memchr::memchr3;
use thiserror::Error;

/// Why octets are not a line, or a text not a sequence of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineError {
    /// LF without CR.
    #[error("a bare LF: lines end with CRLF")]
    BareLf,
    /// CR without LF.
    #[error("a bare CR: lines end with CRLF")]
    BareCr,
    /// The octet 0.
    #[error("a NUL")]
    Nul,
    /// No end within the limit.
    #[error("the line is too long")]
    TooLong,
}

/// Takes lines off the front of a buffer, looking at each octet once however the octets arrive.
#[derive(Debug, Default, Clone)]
pub struct LineScanner {
    /// The octets known to hold no end of a line.
    scanned: usize,
}

impl LineScanner {
    /// The next line without its CRLF, or `None` while it is not complete. `bytes_max` counts the CRLF (RFC 5321 §4.5.3.1.4).
    ///
    /// # Errors
    /// [`LineError`]; the buffer is then left as it is.
    pub fn next_line(&mut self, input: &mut BytesMut, bytes_max: usize) -> Result<Option<BytesMut>, LineError> {
        let rest = input.get(self.scanned..).unwrap_or_default();
        let Some(found) = memchr3(b'\r', b'\n', 0, rest) else {
            self.scanned = input.len();
            return if self.scanned > bytes_max { Err(LineError::TooLong) } else { Ok(None) };
        };
        let end = self.scanned + found;
        if end + 2 > bytes_max {
            return Err(LineError::TooLong);
        }
        match (rest.get(found), rest.get(found + 1)) {
            (Some(b'\r'), Some(b'\n')) => {
                let line = input.split_to(end);
                input.advance(2);
                self.scanned = 0;
                Ok(Some(line))
            }
            (Some(b'\r'), None) => {
                self.scanned = end;
                Ok(None)
            }
            (Some(b'\r'), Some(_)) => Err(LineError::BareCr),
            (Some(b'\n'), _) => Err(LineError::BareLf),
            _ => Err(LineError::Nul),
        }
    }

    /// Forgets what was seen, for a buffer that was emptied.
    pub fn reset(&mut self) {
        self.scanned = 0;
    }
}
