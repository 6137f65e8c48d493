//! The messages of LDAP (RFC 4511) that a log-in needs: bind, search, the result of each, StartTLS, and the end.

use crate::ber::{self, BOOLEAN, ENUMERATED, INTEGER, OCTETS, Reader, SEQUENCE};

/// StartTLS (RFC 4511 §4.14.1).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
const BIND_RESPONSE: u8 = 0x61;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const SEARCH_REFERENCE: u8 = 0x73;
const EXTENDED_RESPONSE: u8 = 0x78;

/// Result codes (RFC 4511 appendix A) that are told apart.
pub(crate) const SUCCESS: u32 = 0;
pub(crate) const SIZE_LIMIT_EXCEEDED: u32 = 4;
/// Results of a bind that say nothing of the password: operationsError, timeLimitExceeded, strongerAuthRequired, referral, confidentialityRequired, busy, unavailable,
/// other. With any other a password is wrong or of no use: an account that is locked, or has none.
pub(crate) const NOT_NOW: [u32; 8] = [1, 3, 8, 10, 13, 51, 52, 80];

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Bound(Outcome),
    /// The distinguished name of an entry; its attributes were not asked for.
    Entry(String),
    /// Somewhere else there may be more. It is not followed.
    Reference,
    Searched(Outcome),
    Extended(Outcome),
}

/// `LDAPResult`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: u32,
    /// The server's words, for the log.
    pub(crate) words: String,
}

fn message(id: u32, operation: &[u8]) -> Vec<u8> {
    ber::element(SEQUENCE, &[&ber::number(INTEGER, id), operation].concat())
}

/// A simple bind. The password is not empty: that would be an anonymous bind, which succeeds (RFC 4513 §5.1.2).
pub(crate) fn bind(id: u32, name: &str, password: &str) -> Vec<u8> {
    let content = [ber::number(INTEGER, 3), ber::element(OCTETS, name.as_bytes()), ber::element(0x80, password.as_bytes())];
    message(id, &ber::element(0x60, &content.concat()))
}

/// A search below `base` for at most two entries: the second says that the filter is not exact. Aliases are not followed.
pub(crate) fn search(id: u32, base: &str, filter: &[u8], seconds: u32) -> Vec<u8> {
    let content = [
        ber::element(OCTETS, base.as_bytes()),
        ber::number(ENUMERATED, 2),
        ber::number(ENUMERATED, 0),
        ber::number(INTEGER, 2),
        ber::number(INTEGER, seconds),
        ber::element(BOOLEAN, &[0]),
        filter.to_vec(),
        // RFC 4511 §4.5.1.8: no attributes.
        ber::element(SEQUENCE, &ber::element(OCTETS, b"1.1")),
    ];
    message(id, &ber::element(0x63, &content.concat()))
}

pub(crate) fn start_tls(id: u32) -> Vec<u8> {
    message(id, &ber::element(0x77, &ber::element(0x80, START_TLS)))
}

pub(crate) fn unbind(id: u32) -> Vec<u8> {
    message(id, &ber::element(0x42, &[]))
}

/// Reads one whole message, of this number. `None`: it is none of those, or one that was not asked for, such as the notice that the server goes.
pub(crate) fn answer(octets: &[u8], id: u32) -> Option<Answer> {
    let mut message = Reader::new(Reader::new(octets).take(SEQUENCE)?);
    if message.number(INTEGER)? != id {
        return None;
    }
    let (tag, content) = message.next()?;
    let mut content = Reader::new(content);
    match tag {
        BIND_RESPONSE => outcome(&mut content).map(Answer::Bound),
        SEARCH_DONE => outcome(&mut content).map(Answer::Searched),
        EXTENDED_RESPONSE => outcome(&mut content).map(Answer::Extended),
        SEARCH_ENTRY => Some(Answer::Entry(String::from_utf8(content.take(OCTETS)?.to_vec()).ok()?)),
        SEARCH_REFERENCE => Some(Answer::Reference),
        _ => None,
    }
}

fn outcome(content: &mut Reader<'_>) -> Option<Outcome> {
    let code = content.number(ENUMERATED)?;
    let _matched = content.take(OCTETS)?;
    let words = String::from_utf8_lossy(content.take(OCTETS)?).chars().take(200).collect();
    Some(Outcome { code, words })
}

#[cfg(test)]
mod tests;
