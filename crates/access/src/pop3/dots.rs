//! A letter as a multi-line response (RFC 1939 §3): dots at the beginning of a line doubled, the whole or its top.
//!
//! It works chunk by chunk and keeps two octets of state. A dot is doubled behind every LF, also a bare one, which only a letter that came as
//! BINARYMIME can hold: many clients end their lines at a bare LF and would take what follows for the end of the letter.

use memchr::{memchr, memmem};

#[derive(Debug)]
pub(crate) struct Dots {
    /// The last two octets that went out; the response line before the letter ended with CRLF.
    last: [u8; 2],
    top: Option<Top>,
}

/// What `TOP` still wants.
#[derive(Debug, Clone, Copy)]
struct Top {
    in_header: bool,
    /// Whether the line so far is empty.
    blank: bool,
    lines_left: u64,
}

impl Dots {
    /// The whole letter.
    pub(crate) fn whole() -> Self {
        Self { last: *b"\r\n", top: None }
    }

    /// The header, the line behind it, and `lines` lines of the body (RFC 1939 §7).
    pub(crate) fn top(lines: u64) -> Self {
        Self { last: *b"\r\n", top: Some(Top { in_header: true, blank: true, lines_left: lines }) }
    }

    /// Appends a chunk. Says whether more is wanted.
    pub(crate) fn chunk(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(mut top) = self.top else {
            self.stuff(chunk, out);
            return true;
        };
        let wanted = top.wanted(chunk);
        self.top = Some(top);
        let (part, more) = wanted.map_or((chunk, true), |end| (chunk.get(..end).unwrap_or(chunk), false));
        self.stuff(part, out);
        more
    }

    /// Appends the end of the response, on a line of its own.
    pub(crate) fn end(&self, out: &mut Vec<u8>) {
        if self.last != *b"\r\n" {
            out.extend_from_slice(b"\r\n"); // a letter that came by BDAT may end in the middle of a line
        }
        out.extend_from_slice(b".\r\n");
    }

    fn stuff(&mut self, part: &[u8], out: &mut Vec<u8>) {
        out.reserve(part.len() + 16);
        if part.first() == Some(&b'.') && self.last[1] == b'\n' {
            out.push(b'.');
        }
        let mut begin = 0;
        for place in memmem::find_iter(part, b"\n.") {
            out.extend_from_slice(part.get(begin..=place).unwrap_or_default());
            out.push(b'.');
            begin = place + 1;
        }
        out.extend_from_slice(part.get(begin..).unwrap_or_default());
        for &octet in part.get(part.len().saturating_sub(2)..).unwrap_or_default() {
            self.last = [self.last[1], octet];
        }
    }
}

impl Top {
    /// Where in the chunk the wanted part ends, if it does.
    fn wanted(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut begin = 0;
        loop {
            if !self.in_header && self.lines_left == 0 {
                return Some(begin);
            }
            let rest = chunk.get(begin..)?;
            let Some(end) = memchr(b'\n', rest) else {
                self.blank &= rest.iter().all(|&octet| octet == b'\r');
                return None;
            };
            let line = rest.get(..end)?;
            let blank = self.blank && line.iter().all(|&octet| octet == b'\r');
            if !self.in_header {
                self.lines_left -= 1;
            }
            self.in_header &= !blank;
            self.blank = true;
            begin += end + 1;
        }
    }
}

#[cfg(test)]
mod tests;
