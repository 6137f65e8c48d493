//! Sample letters: whole messages with CRLF line endings, each with something in it that careless programs break.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Who the letters say they are from.
pub const SENDER: &str = "alice@posthouse.test";

/// A letter to send.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What is special about it; fit for a file name and a Message-ID.
    pub name: &'static str,
    /// The message, every line ended by CRLF.
    pub bytes: Vec<u8>,
    /// Needs 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// Needs SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
}

/// One of each kind, without the large one of [`with_attachment`].
#[must_use]
pub fn samples() -> Vec<Sample> {
    let seven = |name, bytes| Sample { name, bytes, eight_bit: false, smtputf8: false };
    vec![
        seven("plain", letter("plain", b"Hello Bob,\r\n\r\nthis is a letter.\r\n")),
        seven("multipart", multipart("multipart", b"A letter with a picture.\r\n", &attachment(2_000))),
        Sample { name: "eight-bit", bytes: letter("eight-bit", EIGHT_BIT), eight_bit: true, smtputf8: false },
        Sample { name: "smtputf8", bytes: international(), eight_bit: true, smtputf8: true },
        seven("long-lines", letter("long-lines", &long_lines())),
        seven("dots", letter("dots", b".\r\n..\r\n.dot\r\n...\r\n\r\n.\r\n.\r\nend.\r\n.\r\n")),
        seven("empty-body", letter("empty-body", b"")),
        seven("blank-lines", letter("blank-lines", b"\r\n\r\n\r\ntext\r\n\r\n\r\n\r\n")),
        seven("white-space", letter("white-space", b" leading\r\n\ttab\r\ntrailing \r\ntrailing tab\t\r\n \r\n")),
        seven("from-line", letter("from-line", b"From here on\r\n>From there\r\n\r\nFrom nowhere\r\n")),
    ]
}

/// Latin-1 and UTF-8 bytes, and every other byte above 127.
const EIGHT_BIT: &[u8] = b"Gr\xfc\xdfe \xe2\x82\xac \x80\x81\xfe\xff\r\n";

/// A letter with these bytes as its body.
#[must_use]
pub fn letter(name: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = head(name, name);
    bytes.extend_from_slice(
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
    );
    bytes.extend_from_slice(body);
    bytes
}

/// A multipart letter whose attachment is so many bytes (about a third more on the wire).
#[must_use]
pub fn with_attachment(name: &str, bytes: usize) -> Vec<u8> {
    multipart(name, b"See the attachment.\r\n", &attachment(bytes))
}

/// So many addresses of one domain, each bob's with a detail.
#[must_use]
pub fn recipients(count: usize, domain: &str) -> Vec<String> {
    (1..=count).map(|number| format!("bob+{number}@{domain}")).collect()
}

fn head(name: &str, subject: &str) -> Vec<u8> {
    format!(
        "From: Alice <{SENDER}>\r\nTo: Bob <bob@example.test>\r\nSubject: {subject}\r\nMessage-ID: <{name}@client.test>\r\n\
         Date: Mon, 23 Nov 2026 21:00:00 +0000\r\n"
    )
    .into_bytes()
}

fn international() -> Vec<u8> {
    let mut bytes = head("smtputf8", "Grüße aus 東京");
    bytes.extend_from_slice("X-Cafe: Café\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n".as_bytes());
    bytes.extend_from_slice("Content-Transfer-Encoding: 8bit\r\n\r\nПривет\r\n".as_bytes());
    bytes
}

/// RFC 5322 §2.1.1: at most 998 octets before the CRLF; so exactly that many, twice, and one with a dot in front.
fn long_lines() -> Vec<u8> {
    let line = |first: u8| [&[first][..], &[b'x'; 997], b"\r\n"].concat();
    [line(b'a'), line(b'.'), line(b'z')].concat()
}

/// Bytes that look random and are always the same, as base64 in lines of 76.
fn attachment(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let raw: Vec<u8> = (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect();
    let text = STANDARD.encode(raw);
    text.as_bytes().chunks(76).flat_map(|line| [line, b"\r\n"].concat()).collect()
}

fn multipart(name: &str, text: &[u8], attachment: &[u8]) -> Vec<u8> {
    let mut bytes = head(name, name);
    bytes.extend_from_slice(
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_part\"\r\n\r\nFor old programs.\r\n",
    );
    bytes.extend_from_slice(b"--=_part\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n");
    bytes.extend_from_slice(text);
    bytes.extend_from_slice(b"\r\n--=_part\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n");
    bytes.extend_from_slice(b"Content-Disposition: attachment; filename=\"data.bin\"\r\n\r\n");
    bytes.extend_from_slice(attachment);
    bytes.extend_from_slice(b"--=_part--\r\n");
    bytes
}

#[cfg(test)]
mod tests;
