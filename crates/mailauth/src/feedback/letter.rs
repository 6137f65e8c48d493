//! The letter that tells of one that failed (RFC 9991, in the form of RFC 5965 and RFC 6591): some words, fields for programs, and the header of the letter that it is
//! about. Never a body, and never to whom it was.

use std::fmt::Write as _;

use posthouse_mail::header::Header;
use posthouse_mail::{Address, Domain, LetterId, UnixMillis};

use super::Redaction;
use crate::dmarc::{Failure, Policy};

/// The octets of a line (RFC 5322 §2.1.1 allows 998).
const LINE_BYTES_MAX: usize = 900;
/// Fields in which `@` is no address of a person, and those that need to stay as they are to be of use.
const LEFT_ALONE: [&str; 7] =
    ["Message-ID", "References", "In-Reply-To", "DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "Content-ID"];
/// Fields that name those whom the letter was for and nobody else could see.
const LEFT_OUT: [&str; 5] = ["Bcc", "Resent-Bcc", "Delivered-To", "X-Original-To", "Envelope-To"];

/// A report on its way to one address.
pub struct FailureLetter<'a> {
    /// Who sends it.
    pub from: &'a Address,
    /// Where the domain wants it.
    pub to: &'a Address,
    /// Who reports: our host's name.
    pub submitter: &'a Domain,
    /// The letter's id.
    pub id: LetterId,
    /// Its date.
    pub at: UnixMillis,
    /// How many letters that failed alike it stands for.
    pub incidents: u64,
    /// What is told.
    pub failure: &'a Failure,
    /// What makes addresses of people unreadable, if anything does.
    pub redaction: Option<&'a Redaction>,
}

impl FailureLetter<'_> {
    /// The whole letter.
    #[must_use]
    pub fn to_message(&self) -> Vec<u8> {
        let Self { from, to, submitter, id, incidents, failure, .. } = self;
        let (date, boundary) = (self.at.to_rfc5322(), format!("=_{id}"));
        let domain = plain(&failure.domain);
        let arrived = failure.at.to_rfc5322();
        let more =
            if *incidents > 1 { format!("It stands for {incidents} letters that failed alike.\r\n") } else { String::new() };
        let source = failure.source;
        format!(
            "From: {from}\r\nTo: {to}\r\nDate: {date}\r\nSubject: Failed authentication of a letter in the name of {domain}\r\n\
             Message-ID: <{id}@{submitter}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=feedback-report;\r\n\tboundary=\"{boundary}\"\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             This is a DMARC failure report (RFC 9991) of {submitter}\r\non a letter that says it is of {domain},\r\n\
             received from {source} on {arrived}.\r\n{more}\r\n\
             --{boundary}\r\nContent-Type: message/feedback-report\r\n\r\n{}\r\n\
             --{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n{}\r\n--{boundary}--\r\n",
            self.fields(),
            self.header(),
        )
        .into_bytes()
    }

    /// For programs (RFC 6591 §3.1, RFC 9991 §4).
    fn fields(&self) -> String {
        let Self { incidents, failure, .. } = self;
        let unaligned = match (failure.is_dkim_unaligned, failure.is_spf_unaligned) {
            (true, true) => "dkim, spf",
            (true, false) => "dkim",
            (false, true) => "spf",
            (false, false) => "none",
        };
        // RFC 6591 §3.2.2.
        let result = match failure.done {
            Policy::None => "delivered",
            Policy::Quarantine => "spam",
            Policy::Reject => "reject",
        };
        let mut fields = format!(
            "Feedback-Type: auth-failure\r\nUser-Agent: Posthouse/{}\r\nVersion: 1\r\nAuth-Failure: {}\r\n{}\
             Identity-Alignment: {unaligned}\r\nDelivery-Result: {result}\r\nOriginal-Mail-From: <{}>\r\n\
             Arrival-Date: {}\r\nSource-IP: {}\r\nReported-Domain: {}\r\nIncidents: {incidents}\r\n",
            env!("CARGO_PKG_VERSION"),
            failure.kind.as_str(),
            self.told(&in_one_line(&failure.results)),
            self.told(&plain(&failure.mail_from)),
            failure.at.to_rfc5322(),
            failure.source,
            plain(&failure.domain),
        );
        // Writing to a text cannot fail.
        if let Some((domain, identity, selector)) = &failure.signature {
            let identity = identity.clone().unwrap_or_else(|| format!("@{domain}"));
            let (domain, identity, selector) = (plain(domain), self.told(&plain(&identity)), plain(selector));
            let _ = write!(fields, "DKIM-Domain: {domain}\r\nDKIM-Identity: {identity}\r\nDKIM-Selector: {selector}\r\n");
        }
        for (domain, text) in &failure.spf {
            let text = plain(text).replace(['\\', '"'], "?");
            let _ = write!(fields, "SPF-DNS: txt : {} : \"{text}\"\r\n", plain(domain));
        }
        fields
    }

    /// The header of the letter: nothing in it can end a part, break a line or need an encoding.
    fn header(&self) -> String {
        let mut told = String::new();
        let Ok(header) = Header::parse(&self.failure.header) else { return told };
        for field in header.fields().filter(|field| !LEFT_OUT.iter().any(|name| field.is(name))) {
            let is_left_alone = LEFT_ALONE.iter().any(|name| field.is(name));
            for line in field.raw().split(|&octet| octet == b'\n') {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if line.is_empty() {
                    continue;
                }
                let line = plain(&String::from_utf8_lossy(line));
                // What is made unreadable may be longer.
                told.push_str(&plain(&if is_left_alone { line } else { self.told(&line) }));
                told.push_str("\r\n");
            }
        }
        told
    }

    fn told(&self, text: &str) -> String {
        match self.redaction {
            Some(redaction) => redaction.redacted(text, &self.failure.published.domain),
            None => text.to_owned(),
        }
    }
}

/// A field as one line if it is short enough: some readers know no others.
fn in_one_line(field: &str) -> String {
    let words: Vec<_> = field.split_ascii_whitespace().collect();
    let line = words.join(" ");
    if line.len() <= LINE_BYTES_MAX { line + "\r\n" } else { field.to_owned() }
}

/// In one line, without what would need an encoding.
fn plain(text: &str) -> String {
    let one = |c: char| if c == ' ' || c == '\t' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().take(LINE_BYTES_MAX).map(one).collect()
}

#[cfg(test)]
mod tests;
