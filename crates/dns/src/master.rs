//! Master files (RFC 1035 §5) as input for [`crate::Zone`].
//!
//! What a resolver needs for mail is read: A, AAAA, MX, TXT, PTR, CNAME and TLSA; of other types only that their owner exists. Beyond
//! the standard a name may be marked `SERVFAIL` or `TIMEOUT`, and the owner of a PTR may be written as an address. `$INCLUDE` is refused: nothing
//! is opened.

use std::net::IpAddr;

use crate::record::{Name, Record, Tlsa};
use crate::zone::{Entry, ZoneError};

/// Types that mail does not ask for.
const OTHER_TYPES: &[&str] = &[
    "SOA",
    "NS",
    "SRV",
    "CAA",
    "DS",
    "DNSKEY",
    "CDS",
    "CDNSKEY",
    "RRSIG",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "HTTPS",
    "SVCB",
    "HINFO",
    "NAPTR",
    "SSHFP",
    "LOC",
    "SPF",
    "DNAME",
    "OPENPGPKEY",
    "SMIMEA",
    "RP",
];

/// A word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    bytes: Vec<u8>,
    quoted: bool,
}

/// One entry: the words between line ends that stand outside parentheses.
#[derive(Debug)]
struct Line {
    number: usize,
    /// It begins with white space: the owner is that of the line before.
    indented: bool,
    words: Vec<Word>,
    /// What stands behind the last `;`.
    comment: String,
}

/// What a file has in it, and what its writer probably did not mean.
#[derive(Debug)]
pub(crate) struct Master {
    pub(crate) entries: Vec<(Name, Entry)>,
    pub(crate) doubts: Vec<String>,
}

/// Reads a whole file.
pub(crate) fn read(text: &str) -> Result<Master, ZoneError> {
    let (mut found, mut doubts) = (Vec::new(), Vec::new());
    let mut origin = String::new();
    let mut owner: Option<Name> = None;
    for line in lines(text)? {
        let wrong = |what: &str| ZoneError(format!("line {}: {what}", line.number));
        let mut words = line.words.iter();
        match words.as_slice().first().map(text_of).as_deref() {
            Some("$ORIGIN") => {
                let name = words.nth(1).ok_or_else(|| wrong("$ORIGIN needs a name"))?;
                origin = absolute(&text_of(name), &origin);
                continue;
            }
            Some("$TTL") => continue,
            Some(directive) if directive.starts_with('$') => return Err(wrong(&format!("`{directive}` is not known here"))),
            _ => {}
        }
        let named = if line.indented { None } else { words.next().map(text_of) };
        let words = skip_class_and_ttl(words.as_slice());
        let (kind, data) = words.split_first().ok_or_else(|| wrong("there is no type"))?;
        let kind = text_of(kind).to_ascii_uppercase();
        if let Some(text) = named {
            let reverse = text.parse::<IpAddr>().ok().filter(|_| kind == "PTR").map(Name::reverse);
            let name = reverse.or_else(|| absolute(&text, &origin).parse().ok());
            owner = Some(name.ok_or_else(|| wrong(&format!("`{text}` is not a name")))?);
        }
        // RFC 1035 §5.1: it is a comment, in a policy or a key too.
        if kind == "TXT" && line.comment.contains('=') && data.last().is_some_and(|word| !word.quoted) {
            doubts.push(format!(
                "line {}: `;{}` is a comment, for the text has no quotes: write \"…\" around it",
                line.number, line.comment
            ));
        }
        let name = owner.clone().ok_or_else(|| wrong("there is no name to which it belongs"))?;
        let entry = entry(&kind, data, &origin).ok_or_else(|| wrong(&format!("this is not a record of type {kind}")))?;
        found.push((name, entry));
    }
    Ok(Master { entries: found, doubts })
}

fn entry(kind: &str, data: &[Word], origin: &str) -> Option<Entry> {
    let name = |word: &Word| absolute(&text_of(word), origin).parse::<Name>().ok();
    let record = match (kind, data) {
        ("INSECURE", []) => return Some(Entry::Insecure),
        ("SERVFAIL", []) => return Some(Entry::SERVFAIL),
        ("TIMEOUT", []) => return Some(Entry::TIMEOUT),
        ("CNAME", [target]) => return Some(Entry::Alias(name(target)?)),
        ("A", [address]) => Record::Address(IpAddr::V4(text_of(address).parse().ok()?)),
        ("AAAA", [address]) => Record::Address(IpAddr::V6(text_of(address).parse().ok()?)),
        ("MX", [preference, host]) => {
            let host = if text_of(host) == "." { None } else { Some(name(host)?) };
            Record::Mx { preference: text_of(preference).parse().ok()?, host }
        }
        ("PTR", [target]) => Record::Pointer(name(target)?),
        ("TXT", [_, ..]) => Record::Text(strings(data)),
        ("TLSA", words) => Record::Tlsa(tlsa(&words.iter().map(text_of).collect::<Vec<_>>().join(" "))?),
        _ if OTHER_TYPES.contains(&kind) => return Some(Entry::Other),
        _ => return None,
    };
    Some(Entry::Record(record))
}

/// `usage selector matching data` (RFC 6698 §2.2); the data may have spaces in it.
pub(crate) fn tlsa(text: &str) -> Option<Tlsa> {
    let mut words = text.split_ascii_whitespace();
    let mut number = || words.next()?.parse().ok();
    let (usage, selector, matching) = (number()?, number()?, number()?);
    Some(Tlsa { usage, selector, matching, data: hex(&words.collect::<String>())? })
}

/// Strings are put together as they are (RFC 7208 §3.3). Words without quotes are strings to the standard; whoever writes `v=spf1 -all` that way
/// means the space.
fn strings(data: &[Word]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut spaced = false;
    for word in data {
        if spaced && !word.quoted {
            text.push(b' ');
        }
        text.extend_from_slice(&word.bytes);
        spaced = !word.quoted;
    }
    text
}

/// `[class] [TTL]` in either order (RFC 1035 §5.1).
fn skip_class_and_ttl(mut words: &[Word]) -> &[Word] {
    while let Some((first, rest)) = words.split_first() {
        let word = text_of(first);
        let is_ttl = word.starts_with(|c: char| c.is_ascii_digit())
            && word.chars().all(|c| c.is_ascii_digit() || "smhdwSMHDW".contains(c));
        if !is_ttl && !word.eq_ignore_ascii_case("IN") {
            break;
        }
        words = rest;
    }
    words
}

/// A name with the origin behind it, unless it ends with a dot.
fn absolute(text: &str, origin: &str) -> String {
    match text.strip_suffix('.') {
        Some(whole) => whole.to_owned(),
        None if text == "@" => origin.to_owned(),
        None if origin.is_empty() => text.to_owned(),
        None => format!("{text}.{origin}"),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn text_of(word: &Word) -> String {
    String::from_utf8_lossy(&word.bytes).into_owned()
}

/// Cuts the file into entries.
fn lines(text: &str) -> Result<Vec<Line>, ZoneError> {
    let mut found = Vec::new();
    let mut open: Option<Line> = None;
    let mut depth = 0_usize;
    for (row, number) in text.lines().zip(1..) {
        let line = open.get_or_insert_with(|| Line {
            number,
            indented: row.starts_with([' ', '\t']),
            words: Vec::new(),
            comment: String::new(),
        });
        line.comment.clear();
        words(row.as_bytes(), line, &mut depth)
            .ok_or_else(|| ZoneError(format!("line {number}: quotes or parentheses do not match")))?;
        if depth == 0 {
            found.extend(open.take().filter(|line| !line.words.is_empty()));
        }
    }
    match open {
        Some(line) => Err(ZoneError(format!("line {}: a parenthesis is not closed", line.number))),
        None => Ok(found),
    }
}

/// Adds the words of one row. `None` when a quoted string does not end in it, or a parenthesis closes what was not opened.
fn words(row: &[u8], line: &mut Line, depth: &mut usize) -> Option<()> {
    let found = &mut line.words;
    let mut octets = row.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b';' => {
                line.comment = String::from_utf8_lossy(&octets.collect::<Vec<_>>()).into_owned();
                return Some(());
            }
            b'(' => *depth += 1,
            b')' => *depth = depth.checked_sub(1)?,
            b'"' => {
                let mut bytes = Vec::new();
                loop {
                    match octets.next()? {
                        b'"' => break,
                        b'\\' => bytes.push(escaped(&mut octets)?),
                        other => bytes.push(other),
                    }
                }
                found.push(Word { bytes, quoted: true });
            }
            b' ' | b'\t' | b'\r' => {}
            first => {
                let mut bytes = vec![if first == b'\\' { escaped(&mut octets)? } else { first }];
                while let Some(next) = octets.next_if(|octet| !b" \t\r;()\"".contains(octet)) {
                    bytes.push(if next == b'\\' { escaped(&mut octets)? } else { next });
                }
                found.push(Word { bytes, quoted: false });
            }
        }
    }
    Some(())
}

/// What stands behind a backslash: `\X`, or `\DDD` (RFC 1035 §5.1).
fn escaped(octets: &mut std::iter::Peekable<impl Iterator<Item = u8>>) -> Option<u8> {
    let first = octets.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let digit = |octet: u8| u16::from(octet - b'0');
    let second = octets.next_if(u8::is_ascii_digit)?;
    let third = octets.next_if(u8::is_ascii_digit)?;
    u8::try_from(digit(first) * 100 + digit(second) * 10 + digit(third)).ok()
}

#[cfg(test)]
mod tests;
