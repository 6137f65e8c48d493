//! Addresses of people in what is told to others, made unreadable (RFC 6590): whoever is told sees that two are the same, and not which.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The characters that stand for a local part: 96 bits.
const CODE_CHARS: usize = 16;
/// What stands in front of an address in `Authentication-Results`, and is not of it.
const PROPERTIES: [&str; 2] = ["smtp.mailfrom=", "header.i="];
/// What an address may be written with in place of `@`, inside a URL.
const ESCAPED_AT: &str = "%40";

/// Writes a code in place of each local part. The same address has the same code as long as the key is the same.
pub struct Redaction(hmac::Key);

impl Redaction {
    /// `key` is a secret.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A text without the local parts of addresses, those of `domain` and the domains below it excepted: they are its own.
    #[must_use]
    pub fn redacted(&self, text: &str, domain: &str) -> String {
        let mut told = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((at, sign)) = next_at(rest) {
            let (front, behind) = rest.split_at(at);
            let host = host(behind.get(sign.len()..).unwrap_or_default());
            let start = front.len() - local_part(front).len();
            let (before, local) = front.split_at(start);
            told.push_str(before);
            if local.is_empty() || host.is_empty() || is_within(host, domain) {
                told.push_str(local);
            } else {
                told.push_str(&self.code(local, host));
            }
            told.push_str(sign);
            rest = behind.get(sign.len()..).unwrap_or_default();
        }
        told.push_str(rest);
        told
    }

    fn code(&self, local: &str, host: &str) -> String {
        let address = format!("{local}@{}", host.to_ascii_lowercase());
        let tag = hmac::sign(&self.0, address.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref()).chars().take(CODE_CHARS).collect()
    }
}

/// Where an address is divided next, and by what.
fn next_at(text: &str) -> Option<(usize, &'static str)> {
    let signs = ["@", ESCAPED_AT].into_iter().filter_map(|sign| text.find(sign).map(|at| (at, sign)));
    signs.min_by_key(|(at, _)| *at)
}

/// What stands before an `@` and belongs to it: a dot-atom, or a text in quotes (RFC 5322 §3.4.1).
fn local_part(front: &str) -> &str {
    if let Some(inside) = front.strip_suffix('"') {
        return front.get(inside.rfind('"').unwrap_or(0)..).unwrap_or_default();
    }
    let local = front.trim_end_matches(|c: char| is_atext(c) || c == '.').len();
    let local = front.get(local..).unwrap_or_default();
    PROPERTIES.iter().find_map(|property| local.strip_prefix(property)).unwrap_or(local)
}

/// What stands behind an `@` and belongs to it.
fn host(behind: &str) -> &str {
    let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || "-._[]:".contains(c))).unwrap_or(behind.len());
    behind.get(..end).unwrap_or_default().trim_end_matches(['.', ':', ']'])
}

/// RFC 5322 §3.2.3.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn is_within(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    host.strip_suffix(&domain).is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

#[cfg(test)]
mod tests;
