//! Which fields a signature covers (RFC 6376 §3.5 `h=`, §5.4.2), and what is hashed of them (§3.7).

use std::collections::HashMap;

use posthouse_mail::header::{Field, Header};

use super::canon::Canon;
use crate::crypto::{Hash, hash};

/// A header's fields by name.
pub(crate) struct Fields<'a> {
    /// In lower case; each with its fields from the top down.
    named: HashMap<String, Vec<Field<'a>>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(header: Header<'a>) -> Self {
        let mut named: HashMap<String, Vec<Field<'a>>> = HashMap::new();
        for field in header.fields() {
            named.entry(field.name().to_ascii_lowercase()).or_default().push(field);
        }
        Self { named }
    }

    /// How often a name stands there.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.named.get(&name.to_ascii_lowercase()).map_or(0, Vec::len)
    }

    /// The hash that is signed: the fields of `names` from the bottom up, one for each time a name is said, nothing where there is none left;
    /// then the field of the signature itself with an empty `b=`.
    pub(crate) fn hash(&self, names: &[String], canon: Canon, signature: &[u8]) -> Hash {
        let mut octets = Vec::new();
        let mut taken: HashMap<&str, usize> = HashMap::new();
        for name in names {
            let taken = taken.entry(name).or_default();
            *taken += 1;
            let fields = self.named.get(name).map_or(&[][..], Vec::as_slice);
            if let Some(field) = fields.len().checked_sub(*taken).and_then(|at| fields.get(at)) {
                canon.field(field.raw(), true, &mut octets);
            }
        }
        canon.field(&without_b(signature), false, &mut octets);
        hash(&octets)
    }
}

/// The field with the value of its tag `b` taken out and nothing else changed.
pub(crate) fn without_b(raw: &[u8]) -> Vec<u8> {
    let colon = memchr::memchr(b':', raw).map_or(raw.len(), |at| at + 1);
    let (name, value) = raw.split_at_checked(colon).unwrap_or((raw, b""));
    let (value, end) = match value.strip_suffix(b"\r\n") {
        Some(value) => (value, &b"\r\n"[..]),
        None => (value, &b""[..]),
    };
    let mut kept = name.to_vec();
    for (number, part) in value.split(|&b| b == b';').enumerate() {
        if number > 0 {
            kept.push(b';');
        }
        match memchr::memchr(b'=', part) {
            Some(at) if part.get(..at).is_some_and(|tag| tag.trim_ascii() == b"b") => {
                kept.extend_from_slice(part.get(..=at).unwrap_or(part));
            }
            _ => kept.extend_from_slice(part),
        }
    }
    kept.extend_from_slice(end);
    kept
}
