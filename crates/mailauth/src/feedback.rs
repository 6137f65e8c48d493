//! Feedback on one letter (ARF, RFC 5965, RFC 6650, RFC 9477): a reader's complaint, or an author who was not who it said (RFC 6591, RFC 9991).
//!
//! Read only as far as an operator needs it: what kind, which letter, from which address. Nothing of a body is kept. Those that we send are of [`FailureLetter`].

mod letter;
mod redact;

use std::net::IpAddr;

use posthouse_mail::header::{Header, end_of_header};
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use letter::FailureLetter;
pub use redact::Redaction;

/// The octets of the report's own part.
const REPORT_BYTES_MAX: usize = 64 * 1024;
/// The characters of a text that are kept.
const TEXT_CHARS_MAX: usize = 300;

/// What somebody says of a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// `abuse`, `auth-failure`, `fraud`, `virus`, `not-spam`, `opt-out`, `other` …
    pub kind: String,
    /// The program that reports, or who it says it is.
    pub reporter: String,
    /// The domain it is about.
    pub domain: String,
    /// Who sent the letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// Its sender.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mail_from: String,
    /// For failures: what failed, `dmarc`, `dkim`, `spf` …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure: String,
    /// What was done with it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub done: String,
    /// When it came, as the reporter writes it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arrived: String,
    /// The letter's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message_id: String,
    /// The name that its sender gave it for complaints (`CFBL-Feedback-ID`, RFC 9477).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub feedback_id: String,
    /// Its subject.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// How many letters it speaks of.
    pub incidents: u64,
}

/// Why a part is no feedback.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the feedback report cannot be read: {0}")]
pub struct FeedbackError(&'static str);

impl Feedback {
    /// Reads the part `message/feedback-report`, and the header of the letter that it is about.
    ///
    /// # Errors
    /// [`FeedbackError`].
    pub fn read(part: &[u8], original: &[u8]) -> Result<Self, FeedbackError> {
        if part.len() > REPORT_BYTES_MAX {
            return Err(FeedbackError("it is larger than any"));
        }
        // Lines as they came out of the letter; the fields need CRLF, and no empty line in front.
        let lines = lines(part);
        let header = Header::parse(&lines).map_err(|_| FeedbackError("its fields are malformed"))?;
        let field = |name: &str| header.first(name).map(|field| clean(&field.value())).unwrap_or_default();
        let kind = field("Feedback-Type").to_ascii_lowercase();
        if kind.is_empty() {
            return Err(FeedbackError("it has no Feedback-Type"));
        }
        let original = self::lines(original);
        let original = original.get(..end_of_header(&original).map_or(original.len(), |(fields, _)| fields)).unwrap_or_default();
        let original = Header::parse(original).ok();
        let of_original =
            |name: &str| original.and_then(|header| header.first(name)).map(|field| clean(&field.value())).unwrap_or_default();
        let mail_from = field("Original-Mail-From").trim_matches(['<', '>']).to_owned();
        let domain_of =
            |address: &str| address.rsplit_once('@').map(|(_, domain)| domain.trim_end_matches('>').to_ascii_lowercase());
        let domain = Some(field("Reported-Domain").to_ascii_lowercase()).filter(|domain| !domain.is_empty());
        let domain = domain.or_else(|| domain_of(&of_original("From"))).or_else(|| domain_of(&mail_from));
        Ok(Self {
            reporter: field("User-Agent"),
            domain: domain.unwrap_or_default(),
            // Some put the address into brackets, as in a mail domain.
            source: field("Source-IP").trim_matches(['[', ']']).trim_start_matches("IPv6:").parse().ok(),
            failure: field("Auth-Failure").to_ascii_lowercase(),
            done: field("Delivery-Result").to_ascii_lowercase(),
            arrived: Some(field("Arrival-Date")).filter(|date| !date.is_empty()).unwrap_or_else(|| field("Received-Date")),
            message_id: of_original("Message-ID"),
            // §3.3: white space in it means nothing.
            feedback_id: of_original("CFBL-Feedback-ID").split_whitespace().collect(),
            subject: of_original("Subject"),
            incidents: field("Incidents").parse().unwrap_or(1),
            mail_from,
            kind,
        })
    }
}

/// With CRLF at each line's end, and nothing in front of the first.
fn lines(text: &[u8]) -> Vec<u8> {
    let text = text.get(..text.len().min(REPORT_BYTES_MAX)).unwrap_or_default();
    let mut lines = Vec::with_capacity(text.len() + 64);
    for line in text.trim_ascii_start().split(|&octet| octet == b'\n') {
        lines.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        lines.extend_from_slice(b"\r\n");
    }
    while lines.ends_with(b"\r\n\r\n") {
        lines.truncate(lines.len() - 2);
    }
    lines
}

fn clean(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
