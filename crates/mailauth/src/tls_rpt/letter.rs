//! The letter that carries a report (RFC 8460 §5.3).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use posthouse_mail::{Address, Domain, LetterId, UnixMillis};

use super::report::Report;

/// The columns of a line of base64 (RFC 2045 §6.8).
const COLUMNS: usize = 76;

/// A report on its way to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportLetter<'a> {
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
    /// The report.
    pub report: &'a Report,
}

impl ReportLetter<'_> {
    /// The whole letter. `TLS-Required: No` (RFC 8689 §5): it must arrive where TLS is what does not work.
    #[must_use]
    pub fn to_message(&self) -> Vec<u8> {
        let Self { from, to, submitter, domain, id, .. } = self;
        let (date, boundary) = (self.at.to_rfc5322(), format!("=_{id}"));
        let header = format!(
            "From: {from}\r\nTo: {to}\r\nDate: {date}\r\n\
             Subject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n Report-ID: <{report_id}>\r\n\
             Message-ID: <{id}@{submitter}>\r\n\
             TLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {submitter}\r\nTLS-Required: No\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"{boundary}\"\r\n\r\n",
            report_id = self.report.report_id,
        );
        let total = self.report.total();
        let words = format!(
            "--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             This is a report on the TLS of connections from {submitter}\r\nto the mail hosts of {domain} (RFC 8460).\r\n\r\n\
             from        {}\r\nto          {}\r\nsuccessful  {}\r\nfailed      {}\r\n",
            self.report.date_range.start_datetime,
            self.report.date_range.end_datetime,
            total.total_successful_session_count,
            total.total_failure_session_count,
        );
        let attached = format!(
            "--{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n\tfilename=\"{}\"\r\n\r\n{}--{boundary}--\r\n",
            self.file_name(),
            lines(&self.report.pack()),
        );
        format!("{header}{words}{attached}").into_bytes()
    }

    /// §5.1: `submitter!domain!begin!end.json.gz`.
    fn file_name(&self) -> String {
        let begins = self.day.0 / 1000;
        format!("{}!{}!{begins}!{}.json.gz", self.submitter, self.domain, begins.saturating_add(86_399))
    }
}

/// Base64 in lines.
fn lines(octets: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(octets);
    text.as_bytes().chunks(COLUMNS).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect()
}
