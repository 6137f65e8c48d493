//! Content lines (RFC 5545 §3.1): `name *(";" param) ":" value`, folded at 75 octets.

use crate::address::Address;
use crate::mime::Mailbox;

/// Where a line is folded, its end not counted.
const LINE_BYTES_MAX: usize = 75;

/// The lines as they are meant: a line that begins with white space goes on with the one before.
pub(super) fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// Writes a line, folded between characters.
pub(super) fn write(text: &mut String, line: &str) {
    let mut column = 0;
    for c in line.chars() {
        if column + c.len_utf8() > LINE_BYTES_MAX {
            text.push_str("\r\n ");
            column = 1;
        }
        text.push(c);
        column += c.len_utf8();
    }
    text.push_str("\r\n");
}

/// The name of a line; empty for one that is none.
pub(super) fn name_of(line: &str) -> &str {
    line.find([':', ';']).and_then(|end| line.get(..end)).unwrap_or_default()
}

pub(super) fn is_named(line: &str, name: &str) -> bool {
    name_of(line).eq_ignore_ascii_case(name)
}

/// The value: what stands behind the first colon outside quotes.
pub(super) fn value_of(line: &str) -> &str {
    let mut quoted = false;
    let colon = |(_, c): &(usize, char)| {
        quoted ^= *c == '"';
        *c == ':' && !quoted
    };
    line.char_indices().find(colon).and_then(|(at, _)| line.get(at + 1..)).unwrap_or_default()
}

/// `TEXT` (RFC 5545 §3.3.11).
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' | '\r' => out.push_str("\\n"),
            '\\' | ';' | ',' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

/// The other way round; an unknown escape is what stands behind it.
pub(super) fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|c| if matches!(c, 'n' | 'N') { '\n' } else { c })),
            _ => out.push(c),
        }
    }
    out
}

/// Somebody as a property, with further parameters.
pub(super) fn attendee(property: &str, who: &Mailbox, parameters: &str) -> String {
    let mut line = property.to_owned();
    if let Some(name) = &who.name {
        // RFC 6868 §3: a quote cannot stand in a quoted value otherwise.
        let name = name.replace('^', "^^").replace('"', "^'").replace(char::is_control, " ");
        line.push_str(&format!(";CN=\"{name}\""));
    }
    line.push_str(parameters);
    line.push_str(":mailto:");
    for byte in who.address.to_string().bytes() {
        // RFC 6068 §2.
        if byte.is_ascii_alphanumeric() || b"-._~!$'*+@".contains(&byte) {
            line.push(char::from(byte));
        } else {
            line.push_str(&format!("%{byte:02X}"));
        }
    }
    line
}

/// The address in a `mailto:`.
pub(super) fn address(value: &str) -> Option<Address> {
    let (scheme, rest) = value.trim().split_once(':')?;
    if !scheme.eq_ignore_ascii_case("mailto") {
        return None;
    }
    let mut octets = Vec::with_capacity(rest.len());
    let mut bytes = rest.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            octets.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        octets.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(octets).ok()?.parse().ok()
}
