//! xtext (RFC 3461 §4) and the address forms of RFC 6533 §3.
//!
//! What is decoded is printable: an encoded CR, LF, NUL or other control is refused, so that it can never come to stand in a header, a spool
//! file or a command (Exim's 21Nails began so). `None` means: not xtext, or not printable.

use std::fmt::Write;

use posthouse_mail::OriginalRecipient;

use super::parameter::is_text_beyond_ascii;

/// An `orcpt-parameter` has at most 500 characters (RFC 3461 §4.2).
const ORCPT_BYTES_MAX: usize = 500;

/// The type of addresses beyond ASCII (RFC 6533 §3).
const UTF8_KIND: &str = "utf-8";

/// Encodes a text: every octet outside `%d33-126`, `+` and `=` becomes `+` and two hexadecimal digits.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        push_octet(&mut encoded, byte);
    }
    encoded
}

/// Decodes xtext of printable ASCII and spaces.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    decode_text(text).filter(|text| text.is_ascii())
}

/// Decodes xtext of printable characters, those beyond ASCII as the octets of their UTF-8.
fn decode_text(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => hex(bytes.next()?)? * 16 + hex(bytes.next()?)?,
            b'=' => return None,
            b'!'..=b'~' => byte,
            _ => return None,
        });
    }
    String::from_utf8(decoded).ok().filter(|text| text.chars().all(is_printable))
}

fn is_printable(c: char) -> bool {
    c.is_ascii_graphic() || c == ' ' || is_text_beyond_ascii(c)
}

/// Writes `ORCPT`'s value: addresses of the type `utf-8` in the ASCII form `utf-8-addr-xtext`, which every server with DSN can pass on.
#[must_use]
pub fn encode_orcpt(orcpt: &OriginalRecipient) -> String {
    let mut encoded = format!("{};", orcpt.kind);
    if !is_utf8_kind(&orcpt.kind) {
        encoded.push_str(&encode(&orcpt.address));
        return encoded;
    }
    for c in orcpt.address.chars() {
        match c {
            // RFC 6533 §3: these two would be read as an escape.
            '\\' | '+' | '=' | ' ' => push_point(&mut encoded, c),
            c if c.is_ascii_graphic() => encoded.push(c),
            c => push_point(&mut encoded, c),
        }
    }
    encoded
}

/// Reads `ORCPT`'s value, `addr-type ";" xtext`; for the type `utf-8` also the forms with `\x{…}` and, where `smtputf8` holds, plain UTF-8.
#[must_use]
pub fn decode_orcpt(value: &str, smtputf8: bool) -> Option<OriginalRecipient> {
    let (kind, address) = value.split_once(';')?;
    let kind_right = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !kind_right || address.is_empty() || value.len() > ORCPT_BYTES_MAX || (!smtputf8 && !value.is_ascii()) {
        return None;
    }
    let address = if is_utf8_kind(kind) { decode_utf8_address(address)? } else { decode_text(address)? };
    // A deviation: RFC 6533 §3 wants the type `utf-8` for it, Postfix writes `rfc822;b+C3+B8b@…`. What it means is clear; it is passed on
    // as the RFC wants it.
    let kind = if address.is_ascii() { kind } else { UTF8_KIND };
    let orcpt = OriginalRecipient { kind: kind.to_owned(), address };
    // It must fit in the form in which it is passed on, too.
    (encode_orcpt(&orcpt).len() <= ORCPT_BYTES_MAX).then_some(orcpt)
}

fn is_utf8_kind(kind: &str) -> bool {
    kind.eq_ignore_ascii_case(UTF8_KIND)
}

/// `EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"` among xtext and UTF-8.
fn decode_utf8_address(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..)?;
        let (decoded_char, after) = match c {
            '\\' => {
                let (digits, after) = tail.strip_prefix("x{")?.split_once('}')?;
                if !(2..=6).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                (char::from_u32(u32::from_str_radix(digits, 16).ok()?)?, after)
            }
            '+' => {
                let octet = decode(rest.get(..3)?)?.chars().next()?;
                (octet, rest.get(3..)?)
            }
            '=' => return None,
            c => (c, tail),
        };
        if !is_printable(decoded_char) {
            return None;
        }
        decoded.push(decoded_char);
        rest = after;
    }
    Some(decoded)
}

fn push_octet(encoded: &mut String, byte: u8) {
    match byte {
        b'+' | b'=' => {}
        b'!'..=b'~' => {
            encoded.push(char::from(byte));
            return;
        }
        _ => {}
    }
    // Writing to a String cannot fail.
    let _ = write!(encoded, "+{byte:02X}");
}

fn push_point(encoded: &mut String, c: char) {
    // Writing to a String cannot fail.
    let _ = write!(encoded, "\\x{{{:02X}}}", u32::from(c));
}

/// The RFC has upper case alone; lower case is met and means the same.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
