//! A stored letter on its way out: dots doubled at line starts, the last line ended, TOP's cut made.

use memchr::memchr;

/// Writes one multi-line body (RFC 1939 §3), chunk by chunk; holds no byte of it.
pub(super) struct BodyWriter {
    /// The next octet begins a line.
    line_start: bool,
    /// The line so far is a CR alone; its LF may be in the next chunk.
    after_cr: bool,
    cut: Cut,
}

/// How much of a letter is sent.
enum Cut {
    /// RETR: all.
    Whole,
    /// TOP, in the header: `lines` of the text will follow the empty line (RFC 1939 §7).
    Header { lines: u32 },
    /// TOP, in the text: so many lines are left.
    Text { left: u32 },
}

impl BodyWriter {
    /// A body in whole, or with `lines` lines of its text.
    pub(super) fn new(lines: Option<u32>) -> Self {
        let cut = lines.map_or(Cut::Whole, |lines| Cut::Header { lines });
        Self { line_start: true, after_cr: false, cut }
    }

    /// Whether nothing more is wanted of the letter.
    pub(super) fn is_full(&self) -> bool {
        matches!(self.cut, Cut::Text { left: 0 }) && self.line_start
    }

    /// Appends a chunk's wire form.
    pub(super) fn write(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) {
        out.reserve(chunk.len() + 8);
        while !chunk.is_empty() && !self.is_full() {
            if self.line_start && chunk.starts_with(b".") {
                out.push(b'.');
            }
            let end = memchr(b'\n', chunk).map_or(chunk.len(), |at| at + 1);
            let (piece, rest) = chunk.split_at(end);
            out.extend_from_slice(piece);
            let ended = piece.ends_with(b"\n");
            if ended {
                // An empty line is a CRLF at a line's start, whether or not a chunk ended inside it.
                let empty = (self.line_start && piece == b"\r\n") || (self.after_cr && piece == b"\n");
                self.line_ended(empty);
            }
            self.after_cr = !ended && self.line_start && piece == b"\r";
            self.line_start = ended;
            chunk = rest;
        }
    }

    /// Appends the end: the last line's CRLF where the letter lacks it, and the dot.
    pub(super) fn end(self, out: &mut Vec<u8>) {
        if !self.line_start {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b".\r\n");
    }

    fn line_ended(&mut self, empty: bool) {
        self.cut = match self.cut {
            Cut::Header { lines } if empty => Cut::Text { left: lines },
            Cut::Text { left } => Cut::Text { left: left.saturating_sub(1) },
            Cut::Header { lines } => Cut::Header { lines },
            Cut::Whole => Cut::Whole,
        };
    }
}

#[cfg(test)]
mod tests;
