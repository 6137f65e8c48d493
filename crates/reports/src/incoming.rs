//! A letter that should be a report: what is in it, or why it is none.
//!
//! Everything in it is a stranger's. Letter, parts, what is unpacked, elements and texts have limits of their own; nothing is fetched, nothing is written to
//! a file, and no name in it is used as one.

use posthouse_mail::Domain;
use posthouse_mail::header::{Header, end_of_header};
use posthouse_mail::mime::{self, Limits, Parsed, ParsedAttachment};
use posthouse_mailauth::dmarc::aggregate;
use posthouse_mailauth::{feedback, is_from, tls_rpt};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The octets of a letter with a report. Mail systems take twice as much at most.
pub const LETTER_BYTES_MAX: usize = 20 * 1024 * 1024;
/// What else it may have; a report has three parts.
const LIMITS: Limits = Limits { bytes_max: LETTER_BYTES_MAX, header_bytes_max: 256 * 1024, parts_max: 50, items_max: 20 };
/// The rows of a report that are kept: those of the most letters.
const ROWS_KEPT_MAX: usize = 5_000;
/// The details of a report on TLS that are kept.
const DETAILS_KEPT_MAX: usize = 2_000;

/// A report that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Incoming {
    /// On letters in our name (RFC 9990).
    Dmarc(aggregate::Report),
    /// On the TLS on the way to us (RFC 8460).
    Tls(tls_rpt::Report),
    /// On one letter: a complaint, or an author who was not who it said (RFC 5965, RFC 9991).
    Feedback(feedback::Feedback),
}

/// A report, and who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The report.
    pub report: Incoming,
    /// The author's domain.
    pub sender: String,
    /// Whether we found that the author is who it says (DMARC passed): anybody can write a report.
    pub is_verified: bool,
}

/// Why a letter is no report.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Unread {
    /// It is beyond a limit, or no letter.
    #[error("{0}")]
    Letter(#[from] mime::ParseError),
    /// Nothing in it looks like one.
    #[error("there is no report in it")]
    Nothing,
    /// What looks like one is none.
    #[error("{0}")]
    Broken(String),
}

impl Incoming {
    /// `dmarc`, `tls`, `feedback`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Dmarc(_) => "dmarc",
            Self::Tls(_) => "tls",
            Self::Feedback(_) => "feedback",
        }
    }

    /// Who reports, as it calls itself.
    #[must_use]
    pub fn reporter(&self) -> &str {
        match self {
            Self::Dmarc(report) => &report.organization,
            Self::Tls(report) => &report.organization_name,
            Self::Feedback(report) => &report.reporter,
        }
    }

    /// The domain it is about.
    #[must_use]
    pub fn domain(&self) -> &str {
        match self {
            Self::Dmarc(report) => &report.published.domain,
            Self::Tls(report) => report.policies.first().map_or("", |result| &result.policy.policy_domain),
            Self::Feedback(report) => &report.domain,
        }
    }
}

/// Reads a letter. `hostname` is our name, in which we wrote what we found of its author.
///
/// # Errors
/// [`Unread`].
pub fn read(letter: &[u8], hostname: &Domain) -> Result<Read, Unread> {
    let parsed = mime::parse(letter, &LIMITS)?;
    let sender =
        parsed.from.first().and_then(|from| from.address.rsplit_once('@')).map(|(_, domain)| domain.to_ascii_lowercase());
    let report = report(&parsed)?;
    Ok(Read { report, sender: sender.unwrap_or_default(), is_verified: is_verified(letter, hostname) })
}

fn report(parsed: &Parsed) -> Result<Incoming, Unread> {
    let mut broken = None;
    for part in &parsed.attachments {
        match one(part, parsed) {
            Some(Ok(report)) => return Ok(report),
            Some(Err(why)) => broken = broken.or(Some(why)),
            None => {}
        }
    }
    Err(broken.map_or(Unread::Nothing, Unread::Broken))
}

/// What a part is, by its type or its file's name: reporters agree on neither.
fn one(part: &ParsedAttachment, parsed: &Parsed) -> Option<Result<Incoming, String>> {
    let kind = part.content_type.as_str();
    let name = part.name.as_deref().unwrap_or_default().to_ascii_lowercase();
    let is_named = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if kind == "message/feedback-report" {
        let original =
            parsed.attachments.iter().find(|part| matches!(part.content_type.as_str(), "message/rfc822" | "text/rfc822-headers"));
        let original = original.map(|part| part.content.as_slice()).unwrap_or_default();
        return Some(
            feedback::Feedback::read(&part.content, original).map(Incoming::Feedback).map_err(|error| error.to_string()),
        );
    }
    if kind.starts_with("application/tlsrpt") || kind == "application/json" || is_named(&[".json", ".json.gz"]) {
        let read = tls_rpt::Report::read(&part.content).map(|mut report| {
            let mut room = DETAILS_KEPT_MAX;
            for policy in &mut report.policies {
                policy.failure_details.truncate(room);
                room -= policy.failure_details.len();
            }
            Incoming::Tls(report)
        });
        return Some(read.map_err(|error| error.to_string()));
    }
    let is_packed =
        matches!(kind, "application/gzip" | "application/x-gzip" | "application/zip" | "application/x-zip-compressed");
    if is_packed || matches!(kind, "text/xml" | "application/xml") || is_named(&[".xml", ".xml.gz", ".zip"]) {
        let read = aggregate::Report::read(&part.content).map(|mut report| {
            report.rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            report.rows.truncate(ROWS_KEPT_MAX);
            Incoming::Dmarc(report)
        });
        return Some(read.map_err(|error| error.to_string()));
    }
    None
}

/// Our own verdict stands in the letter; others that claim to be ours were removed when it came.
fn is_verified(letter: &[u8], hostname: &Domain) -> bool {
    let Some((fields, _)) = end_of_header(letter) else { return false };
    let Ok(header) = Header::parse(letter.get(..fields).unwrap_or_default()) else { return false };
    let ours = header.named("Authentication-Results").map(|field| field.value()).find(|value| is_from(value, hostname));
    ours.is_some_and(|value| value.contains("dmarc=pass"))
}

#[cfg(test)]
mod tests;
