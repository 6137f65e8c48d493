//! Line ends.

use memchr::memchr2;

/// The same text with CRLF at each line end: a CR or LF that stands alone becomes CRLF.
///
/// For a letter that is only now being made from a file or a text of this system, where LF is the custom. Never for one that came from a
/// peer: a repaired letter is another letter.
#[must_use]
pub fn to_crlf(text: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(text.len() + text.len() / 32);
    let mut rest = text;
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        let (line, end) = rest.split_at(at);
        whole.extend_from_slice(line);
        whole.extend_from_slice(b"\r\n");
        rest = end.strip_prefix(b"\r\n").or_else(|| end.get(1..)).unwrap_or_default();
    }
    whole.extend_from_slice(rest);
    whole
}

#[cfg(test)]
mod tests;
