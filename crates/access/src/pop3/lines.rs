//! Command lines out of what a client sends.
//!
//! A line ends with CRLF and nothing else. One that is too long is thrown away as it comes, so that it never fills memory, and told once it ends;
//! one that will not end is told after 64 KiB.

use bytes::BytesMut;
use memchr::memchr;

/// What a line without an end may send until it is given up.
const ENDLESS_BYTES: usize = 64 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Lines {
    buffer: BytesMut,
    /// What was thrown away of the line that is coming in.
    dropped: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Without its CRLF.
    Text(Vec<u8>),
    /// Longer than the limit.
    TooLong,
    /// With a bare LF, a bare CR or another control character; what follows cannot be trusted to be a command.
    Malformed,
    /// It does not end.
    Endless,
}

impl Lines {
    pub(crate) fn push(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
    }

    /// Whether a line has begun and not ended.
    pub(crate) fn is_begun(&self) -> bool {
        self.dropped > 0 || !self.buffer.is_empty()
    }

    /// Throws everything away.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next line of at most `bytes_max` octets, CRLF included.
    pub(crate) fn next(&mut self, bytes_max: usize) -> Option<Line> {
        let Some(end) = memchr(b'\n', &self.buffer) else {
            if self.buffer.len() > bytes_max || self.dropped > 0 {
                self.dropped += self.buffer.len();
                // A CR that may belong to the end to come is not worth keeping: the line is refused either way.
                self.buffer.clear();
            }
            return (self.dropped > ENDLESS_BYTES).then_some(Line::Endless);
        };
        let mut line = self.buffer.split_to(end + 1).to_vec();
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new(); // an idle connection holds no memory
        }
        if std::mem::take(&mut self.dropped) > 0 || line.len() > bytes_max {
            return Some(Line::TooLong);
        }
        line.pop();
        let ended = line.pop() == Some(b'\r');
        if ended && !line.iter().any(u8::is_ascii_control) { Some(Line::Text(line)) } else { Some(Line::Malformed) }
    }
}

#[cfg(test)]
mod tests;
