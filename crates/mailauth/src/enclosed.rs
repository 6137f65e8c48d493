//! A letter of our own that encloses a report for a program: what the letters of RFC 8460 §5.3 and RFC 9990 §3.5 have in common.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use posthouse_mail::{Address, Domain, LetterId, UnixMillis};

/// The columns of a line of base64 (RFC 2045 §6.8).
const COLUMNS: usize = 76;
const DAY_SECONDS: u64 = 86_400;

/// A report on one day of a domain, on its way to one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Who sends it.
    pub from: &'a Address,
    /// Where the domain wants it.
    pub to: &'a Address,
    /// Who reports: our host's name.
    pub submitter: &'a Domain,
    /// The domain it is about.
    pub domain: &'a Domain,
    /// The letter's id.
    pub id: LetterId,
    /// Its date.
    pub at: UnixMillis,
    /// The day it is about.
    pub day: UnixMillis,
}

/// What is in it.
pub(crate) struct Enclosed<'a> {
    /// The report's name.
    pub(crate) report_id: &'a str,
    /// Fields for the header besides the usual, with their line ends.
    pub(crate) fields: &'a str,
    /// The type of the whole, without its boundary.
    pub(crate) content_type: &'a str,
    /// Some lines for people, ASCII, with their line ends.
    pub(crate) words: &'a str,
    /// The type of the report.
    pub(crate) media_type: &'a str,
    /// The end of its file's name.
    pub(crate) extension: &'a str,
    /// The report, packed.
    pub(crate) octets: &'a [u8],
}

impl Envelope<'_> {
    /// The whole letter.
    pub(crate) fn enclose(&self, enclosed: &Enclosed<'_>) -> Vec<u8> {
        let Self { from, to, submitter, domain, id, .. } = self;
        let Enclosed { report_id, fields, content_type, words, media_type, octets, .. } = enclosed;
        let (date, boundary) = (self.at.to_rfc5322(), format!("=_{id}"));
        let header = format!(
            "From: {from}\r\nTo: {to}\r\nDate: {date}\r\n\
             Subject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{report_id}>\r\n\
             Message-ID: <{id}@{submitter}>\r\n{fields}\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: {content_type};\r\n\tboundary=\"{boundary}\"\r\n\r\n",
        );
        let words = format!("--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{words}");
        let attached = format!(
            "--{boundary}\r\nContent-Type: {media_type}\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n\tfilename=\"{}\"\r\n\r\n{}--{boundary}--\r\n",
            self.file_name(enclosed.extension),
            lines(octets),
        );
        format!("{header}{words}{attached}").into_bytes()
    }

    /// RFC 8460 §5.1, RFC 9990 §3.5.2: `submitter!domain!begin!end.json.gz`.
    fn file_name(&self, extension: &str) -> String {
        let begins = self.day.0 / 1000;
        format!("{}!{}!{begins}!{}.{extension}", self.submitter, self.domain, begins.saturating_add(DAY_SECONDS - 1))
    }
}

/// Base64 in lines.
fn lines(octets: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(octets);
    text.as_bytes().chunks(COLUMNS).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect()
}
