//! The parts of a letter, one inside the other.
//!
//! ```text
//! mixed ─┬─ alternative ─┬─ text/plain
//!        │               ├─ text/x-amp-html
//!        │               ├─ related ─┬─ text/html
//!        │               │           └─ pictures
//!        │               └─ text/calendar
//!        └─ attachments
//! ```
//!
//! A level with one part only is left out. Of the alternatives readers take the last that they know (RFC 2046 §5.1.4).

use bytes::Bytes;

use super::encode::{self, Encoding, base64_len, base64_lines};
use super::fields::Fields;
use super::{Attachment, Composition, Content, Segment};
use crate::mime::html::to_text;

/// Files up to this are encoded at once; larger ones while they are sent.
const ENCODED_AT_ONCE_BYTES_MAX: usize = 32 * 1024;
/// The longest line that may travel (RFC 5321 §4.5.3.1.6), without its end.
const LINE_BYTES_MAX: usize = 998;

enum Part<'a> {
    Words { content_type: &'a str, parameters: Vec<(&'a str, &'a str)>, text: String },
    File { file: &'a Attachment, content_id: Option<&'a str> },
    Several { kind: &'static str, parts: Vec<Part<'a>> },
}

/// HTML with its pictures (RFC 2387).
const RELATED: &str = "related";

/// The segments of a letter whose outer fields are written already.
pub(super) struct Tree<'a> {
    fields: Fields,
    segments: Vec<Segment>,
    composition: &'a Composition,
    eight_bit: bool,
}

impl<'a> Tree<'a> {
    /// Writes everything behind the outer fields. The segments, and whether there are 8-bit octets in them.
    pub(super) fn write(fields: Fields, composition: &'a Composition) -> (Vec<Segment>, bool) {
        let mut tree = Tree { fields, segments: Vec::new(), composition, eight_bit: false };
        tree.part(&root(composition));
        tree.flush();
        (tree.segments, tree.eight_bit)
    }

    fn part(&mut self, part: &Part<'_>) {
        match part {
            Part::Words { content_type, parameters, text } => self.words(content_type, parameters, text),
            Part::File { file, content_id } => self.file(file, *content_id),
            Part::Several { kind, parts } => {
                // `=_` cannot stand in quoted-printable (RFC 2045 §6.7) nor `_` in base64; the random bits keep it out of what is sent as it is.
                let boundary = format!("=_{kind}_{:032x}", self.composition.boundary);
                // RFC 2387 §3.1: what the first part is has to be said.
                let root = if *kind == RELATED { Some(("type", "text/html")) } else { None };
                let all: Vec<(&str, &str)> = [("boundary", boundary.as_str())].into_iter().chain(root).collect();
                self.fields.parameters("Content-Type", &format!("multipart/{kind}"), &all);
                for part in parts {
                    self.octets(format!("\r\n--{boundary}\r\n").as_bytes());
                    self.part(part);
                }
                self.octets(format!("\r\n--{boundary}--\r\n").as_bytes());
            }
        }
    }

    fn words(&mut self, content_type: &str, parameters: &[(&str, &str)], text: &str) {
        let mut encoded = Vec::new();
        let encoding = encode::text(text, &mut encoded);
        let all: Vec<(&str, &str)> = [("charset", "utf-8")].into_iter().chain(parameters.iter().copied()).collect();
        self.fields.parameters("Content-Type", content_type, &all);
        self.fields.plain("Content-Transfer-Encoding", encoding.name());
        self.octets(b"\r\n");
        self.octets(&encoded);
    }

    fn file(&mut self, file: &Attachment, content_id: Option<&str>) {
        let name = plain_name(&file.name);
        let as_letter = as_letter(file);
        // RFC 2046 §5.2: a part of the type message may not be encoded, so it cannot have any octets. As a plain file it can.
        let is_message = file.content_type.get(..8).is_some_and(|kind| kind.eq_ignore_ascii_case("message/"));
        let content_type = if is_message && as_letter.is_none() {
            "application/octet-stream".to_owned()
        } else {
            file.content_type.to_ascii_lowercase()
        };
        let named: &[(&str, &str)] = if as_letter.is_some() { &[] } else { &[("name", &name)] };
        self.fields.parameters("Content-Type", &content_type, named);
        let disposition = if content_id.is_some() { "inline" } else { "attachment" };
        self.fields.parameters("Content-Disposition", disposition, &[("filename", &name)]);
        if let Some(id) = content_id {
            self.fields.plain("Content-ID", &format!("<{id}>"));
        }
        let encoding = match as_letter {
            Some(letter) if letter.is_ascii() => "7bit",
            Some(_) => "8bit",
            None => Encoding::Base64.name(),
        };
        self.fields.plain("Content-Transfer-Encoding", encoding);
        self.octets(b"\r\n");
        match (&file.content, as_letter) {
            (_, Some(letter)) => {
                self.eight_bit |= !letter.is_ascii();
                self.octets(letter);
            }
            (Content::Here(octets), None) if octets.len() <= ENCODED_AT_ONCE_BYTES_MAX => {
                base64_lines(octets, &mut self.fields.out)
            }
            (content, None) => {
                self.flush();
                self.segments.push(Segment::Base64 { content: content.clone(), len: base64_len(content.len()) });
            }
        }
    }

    fn octets(&mut self, octets: &[u8]) {
        self.fields.out.extend_from_slice(octets);
    }

    fn flush(&mut self) {
        if !self.fields.out.is_empty() {
            self.segments.push(Segment::Octets(Bytes::from(std::mem::take(&mut self.fields.out))));
        }
    }
}

fn root(composition: &Composition) -> Part<'_> {
    let content = content(composition);
    if composition.attachments.is_empty() {
        return content;
    }
    let files = composition.attachments.iter().map(|file| Part::File { file, content_id: None });
    several("mixed", content.into_iter_with(files))
}

fn content(composition: &Composition) -> Part<'_> {
    let words = |content_type, text: &str| Part::Words { content_type, parameters: Vec::new(), text: text.to_owned() };
    let html = composition.html.as_deref().map(|html| {
        let pictures =
            composition.inline.iter().map(|inline| Part::File { file: &inline.file, content_id: Some(&inline.content_id) });
        several(RELATED, words("text/html", html).into_iter_with(pictures))
    });
    let derived = || composition.html.as_deref().map(to_text).filter(|text| !text.is_empty());
    let text = match (composition.text.clone().or_else(derived), composition.flowed) {
        (Some(text), true) => {
            Some(Part::Words { content_type: "text/plain", parameters: vec![("format", "flowed")], text: encode::flowed(&text) })
        }
        (text, _) => text.map(|text| words("text/plain", &text)),
    };
    let amp = composition.amp.as_deref().map(|amp| words("text/x-amp-html", amp));
    let calendar = composition.calendar.as_ref().map(|calendar| Part::Words {
        content_type: "text/calendar",
        // RFC 6047 §2.4.
        parameters: vec![("method", calendar.method()), ("component", calendar.component())],
        text: calendar.as_str().to_owned(),
    });
    let parts: Vec<Part<'_>> = [text, amp, html, calendar].into_iter().flatten().collect();
    if parts.is_empty() { words("text/plain", "") } else { several("alternative", parts) }
}

impl<'a> Part<'a> {
    fn into_iter_with(self, others: impl Iterator<Item = Part<'a>>) -> Vec<Part<'a>> {
        std::iter::once(self).chain(others).collect()
    }
}

fn several<'a>(kind: &'static str, mut parts: Vec<Part<'a>>) -> Part<'a> {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            Part::Several { kind, parts }
        }
    }
}

/// A letter inside the letter, if it can travel as it is: CRLF line ends, lines of 998 octets at most, no NUL.
fn as_letter(file: &Attachment) -> Option<&[u8]> {
    let Content::Here(octets) = &file.content else { return None };
    let whole = |line: &[u8]| {
        line.ends_with(b"\r\n") && line.len() <= LINE_BYTES_MAX + 2 && !line.iter().rev().skip(2).any(|&b| b == b'\r')
    };
    let clean = file.content_type.eq_ignore_ascii_case("message/rfc822")
        && !octets.is_empty()
        && !octets.contains(&0)
        && octets.split_inclusive(|&byte| byte == b'\n').all(whole);
    clean.then_some(octets)
}

/// The last piece of a name that looks like a path: what a reader would do with the others is its own business and not ours to try.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    if last.is_empty() || last.chars().all(|c| c == '.') { "attachment".to_owned() } else { last.to_owned() }
}
