//! Canonicalization (RFC 6376 §3.4): what is hashed of a header field, and of a body that comes in pieces.
//!
//! Only CRLF ends a line here: the body that is hashed is octet for octet the one that is delivered, and nothing is repaired on the way (Exim
//! JH/20 took a bare LF for a line end when verifying, and was fooled).

use memchr::{memchr, memchr3};

use crate::crypto::{Hash, Sha256};

/// What changes on the way do not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Canon {
    Simple,
    Relaxed,
}

impl Canon {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "simple" => Some(Self::Simple),
            "relaxed" => Some(Self::Relaxed),
            _ => None,
        }
    }

    /// Adds a field, given with its folding and its last CRLF, to what is signed; without that CRLF if it is the signature itself.
    pub(crate) fn field(self, raw: &[u8], with_end: bool, out: &mut Vec<u8>) {
        match self {
            Self::Simple => {
                out.extend_from_slice(raw.strip_suffix(b"\r\n").unwrap_or(raw));
            }
            Self::Relaxed => relaxed_field(raw, out),
        }
        if with_end {
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// §3.4.2
fn relaxed_field(raw: &[u8], out: &mut Vec<u8>) {
    let colon = memchr(b':', raw).unwrap_or(raw.len());
    let (name, value) = raw.split_at_checked(colon).unwrap_or((raw, b""));
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let start = out.len();
    let mut space = false;
    for &octet in value.get(1..).unwrap_or_default() {
        match octet {
            b' ' | b'\t' => space = true,
            // Unfolding: a line end in a field stands before white space, or ends the field.
            b'\r' | b'\n' => {}
            _ => {
                if std::mem::take(&mut space) && out.len() > start {
                    out.push(b' ');
                }
                out.push(octet);
            }
        }
    }
}

/// The hash of a body while it comes.
pub(crate) struct BodyHash {
    canon: Canon,
    /// `l=`: the octets that are hashed.
    limit: Option<u64>,
    sha: Sha256,
    /// The canonical octets so far.
    length: u64,
    /// A CR that came last and may begin a line end.
    cr: bool,
    /// Line ends that count only when something follows.
    line_ends: u64,
    /// White space that counts only when something follows in its line.
    space: bool,
}

impl BodyHash {
    pub(crate) fn new(canon: Canon, limit: Option<u64>) -> Self {
        Self { canon, limit, sha: Sha256::new(), length: 0, cr: false, line_ends: 0, space: false }
    }

    /// How it hashes.
    pub(crate) fn kind(&self) -> (Canon, Option<u64>) {
        (self.canon, self.limit)
    }

    /// Takes the next octets.
    pub(crate) fn update(&mut self, octets: &[u8]) {
        let mut rest = octets;
        if self.cr && !rest.is_empty() {
            self.cr = false;
            match rest.split_first() {
                Some((b'\n', behind)) => {
                    self.line_end();
                    rest = behind;
                }
                _ => self.text(b"\r"),
            }
        }
        while !rest.is_empty() {
            let special = match self.canon {
                Canon::Simple => memchr(b'\r', rest),
                Canon::Relaxed => memchr3(b'\r', b' ', b'\t', rest),
            };
            let (text, behind) = rest.split_at_checked(special.unwrap_or(rest.len())).unwrap_or((rest, b""));
            if !text.is_empty() {
                self.text(text);
            }
            rest = match behind {
                [b'\r', b'\n', behind @ ..] => {
                    self.line_end();
                    behind
                }
                [b'\r'] => {
                    self.cr = true;
                    b""
                }
                [b'\r', behind @ ..] => {
                    self.text(b"\r");
                    behind
                }
                [_, behind @ ..] => {
                    self.space = true;
                    behind
                }
                [] => b"",
            };
        }
    }

    /// The hash, and the canonical octets there were.
    pub(crate) fn finish(mut self) -> (Hash, u64) {
        if std::mem::take(&mut self.cr) {
            self.text(b"\r");
        }
        // §3.4.3: an empty body is one CRLF; §3.4.4: or nothing. A last line without its end gets it.
        if self.length > 0 || self.canon == Canon::Simple {
            self.put(b"\r\n");
        }
        (self.sha.finish(), self.length)
    }

    fn line_end(&mut self) {
        self.space = false;
        self.line_ends += 1;
    }

    fn text(&mut self, text: &[u8]) {
        for _ in 0..std::mem::take(&mut self.line_ends) {
            self.put(b"\r\n");
        }
        if std::mem::take(&mut self.space) {
            self.put(b" ");
        }
        self.put(text);
    }

    fn put(&mut self, octets: &[u8]) {
        let room = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.length));
        let counted = usize::try_from(room).unwrap_or(usize::MAX).min(octets.len());
        if let Some(octets) = octets.get(..counted).filter(|octets| !octets.is_empty()) {
            self.sha.update(octets);
        }
        self.length = self.length.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests;
