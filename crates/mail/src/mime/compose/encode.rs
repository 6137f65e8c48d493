//! Octets as ASCII: quoted-printable, base64, encoded words, and the choice between them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::mime::lines::to_crlf;

/// The octets that fill one line of base64: 76 characters (RFC 2045 §6.8).
pub const BASE64_LINE_BYTES: usize = 57;
/// A line of text that needs no encoding has at most this many octets (RFC 5322 §2.1.1).
const LINE_BYTES_MAX: usize = 78;
/// A line of quoted-printable, its soft break included (RFC 2045 §6.7).
const QUOTED_BYTES_MAX: usize = 76;
/// Where flowed text is broken (RFC 3676 §4.2).
const FLOWED_BYTES_MAX: usize = 72;

/// How a text travels: always in ASCII, so that no server on the way has to change it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    SevenBit,
    QuotedPrintable,
    Base64,
}

impl Encoding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7bit",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
        }
    }
}

/// A text with CRLF at each line end and one at its end, encoded in the way that suits it.
pub(super) fn text(text: &str, out: &mut Vec<u8>) -> Encoding {
    let mut lines = to_crlf(text.as_bytes());
    if !lines.is_empty() && !lines.ends_with(b"\r\n") {
        lines.extend_from_slice(b"\r\n");
    }
    let encoding = choose(&lines);
    match encoding {
        Encoding::SevenBit => out.extend_from_slice(&lines),
        Encoding::QuotedPrintable => quoted_printable(&lines, out),
        Encoding::Base64 => base64_lines(&lines, out),
    }
    encoding
}

pub(super) fn choose(lines: &[u8]) -> Encoding {
    let beyond = lines.iter().filter(|byte| !byte.is_ascii()).count();
    // Quoted-printable trebles what is not ASCII, base64 adds a third to everything; below a fifth the former can still be read as it is.
    if beyond * 5 > lines.len() {
        return Encoding::Base64;
    }
    let plain = |line: &[u8]| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // White space at the end is cut off by some servers, and "From " gets a `>` from others.
        line.len() <= LINE_BYTES_MAX
            && line.iter().all(|&byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
            && !line.ends_with(b" ")
            && !line.ends_with(b"\t")
            && !line.starts_with(b"From ")
    };
    if lines.split(|&byte| byte == b'\n').all(plain) { Encoding::SevenBit } else { Encoding::QuotedPrintable }
}

/// Quoted-printable (RFC 2045 §6.7) of text with CRLF line ends.
pub(super) fn quoted_printable(lines: &[u8], out: &mut Vec<u8>) {
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let (content, end) = match line.strip_suffix(b"\r\n") {
            Some(content) => (content, b"\r\n".as_slice()),
            None => (line, b"".as_slice()),
        };
        let mut column = 0;
        for (at, &byte) in content.iter().enumerate() {
            let rest = content.get(at..).unwrap_or_default();
            let literal = match byte {
                b' ' | b'\t' => rest.len() > 1,
                b'=' => false,
                b'.' => column > 0,
                b'F' => column > 0 || !rest.starts_with(b"From "),
                _ => byte.is_ascii_graphic(),
            };
            let width = if literal { 1 } else { 3 };
            // A soft break takes one more, unless this is the last of the line.
            if column + width > QUOTED_BYTES_MAX - usize::from(rest.len() > 1) {
                out.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if literal && !(column == 0 && (byte == b'.' || rest.starts_with(b"From "))) {
                out.push(byte);
                column += 1;
            } else {
                out.push(b'=');
                out.extend_from_slice(&hex(byte));
                column += 3;
            }
        }
        out.extend_from_slice(end);
    }
}

/// Base64 in lines of 76 characters, each with its CRLF. All pieces of a whole but the last must be multiples of [`BASE64_LINE_BYTES`].
pub fn base64_lines(octets: &[u8], out: &mut Vec<u8>) {
    let mut line = [0; BASE64_LINE_BYTES / 3 * 4];
    out.reserve(octets.len() / BASE64_LINE_BYTES * (line.len() + 2) + line.len() + 2);
    for piece in octets.chunks(BASE64_LINE_BYTES) {
        // The buffer holds a whole line, so encoding into it cannot fail.
        let written = STANDARD.encode_slice(piece, &mut line).unwrap_or_default();
        out.extend_from_slice(line.get(..written).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
    }
}

/// The octets that [`base64_lines`] makes of so many.
#[must_use]
pub fn base64_len(octets: u64) -> u64 {
    octets.div_ceil(3).saturating_mul(4).saturating_add(octets.div_ceil(57).saturating_mul(2))
}

/// `=?utf-8?…?=` (RFC 2047), each at most 75 characters and of whole characters; between them belongs one space, which readers leave out.
///
/// The first takes at most `room` characters.
pub(super) fn encoded_words(text: &str, room: usize) -> Vec<String> {
    let quoted: usize = text.bytes().map(|byte| if is_q(byte) || byte == b' ' { 1 } else { 3 }).sum();
    // Twelve characters are the frame; at least one of those that are encoded must fit.
    let room = room.clamp(30, 75) - 12;
    if quoted <= text.len().div_ceil(3) * 4 { q_words(text, room) } else { b_words(text, room) }
}

fn b_words(text: &str, room: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut piece = String::new();
    for c in text.chars() {
        // 45 octets are 60 characters; with `=?utf-8?B?` and `?=` 72.
        let most = if words.is_empty() { (room / 4 * 3).min(45) } else { 45 };
        if piece.len() + c.len_utf8() > most {
            words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(std::mem::take(&mut piece))));
        }
        piece.push(c);
    }
    words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(piece)));
    words
}

fn q_words(text: &str, room: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut piece = String::new();
    for c in text.chars() {
        let mut buffer = [0; 4];
        let encoded: String = c
            .encode_utf8(&mut buffer)
            .bytes()
            .map(|byte| match byte {
                b' ' => "_".to_owned(),
                _ if is_q(byte) => char::from(byte).to_string(),
                _ => format!("={byte:02X}"),
            })
            .collect();
        let most = if words.is_empty() { room.min(63) } else { 63 };
        if piece.len() + encoded.len() > most {
            words.push(format!("=?utf-8?Q?{}?=", std::mem::take(&mut piece)));
        }
        piece.push_str(&encoded);
    }
    words.push(format!("=?utf-8?Q?{piece}?="));
    words
}

/// What may stand as itself in a word of a name (RFC 2047 §5, rule 3), the narrowest of the three sets.
fn is_q(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!*+-/".contains(&byte)
}

fn hex(byte: u8) -> [u8; 2] {
    let digit = |value: u8| b"0123456789ABCDEF".get(usize::from(value & 15)).copied().unwrap_or(b'0');
    [digit(byte >> 4), digit(byte)]
}

/// Breaks paragraphs at 72 columns in a way that readers can undo (RFC 3676).
pub(super) fn flowed(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        // §4.3: the line that parts the signature is neither flowed nor trimmed. §4.2: a space before a fixed line end would make it flow.
        let line = if line == "-- " { line } else { line.trim_end_matches(' ') };
        let mut column = 0;
        let stuff = |out: &mut String, word: &str| {
            if word.starts_with([' ', '>']) || word.starts_with("From ") || word == "From" {
                out.push(' ');
            }
        };
        stuff(&mut out, line);
        for word in line.split_inclusive(' ') {
            if column > 0 && column + word.len() > FLOWED_BYTES_MAX {
                out.push('\n');
                column = 0;
                stuff(&mut out, word);
            }
            out.push_str(word);
            column += word.len();
        }
        out.push('\n');
    }
    out.pop();
    out
}
