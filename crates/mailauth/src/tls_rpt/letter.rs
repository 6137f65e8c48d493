//! The letter that carries a report (RFC 8460 §5.3).

use super::report::Report;
use crate::enclosed::{Enclosed, Envelope};

/// A report on its way to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportLetter<'a> {
    /// From whom, to whom, about what.
    pub envelope: Envelope<'a>,
    /// The report.
    pub report: &'a Report,
}

impl ReportLetter<'_> {
    /// The whole letter. `TLS-Required: No` (RFC 8689 §5): it must arrive where TLS is what does not work.
    #[must_use]
    pub fn to_message(&self) -> Vec<u8> {
        let Envelope { submitter, domain, .. } = self.envelope;
        let total = self.report.total();
        let words = format!(
            "This is a report on the TLS of connections from {submitter}\r\nto the mail hosts of {domain} (RFC 8460).\r\n\r\n\
             from        {}\r\nto          {}\r\nsuccessful  {}\r\nfailed      {}\r\n",
            self.report.date_range.start_datetime,
            self.report.date_range.end_datetime,
            total.total_successful_session_count,
            total.total_failure_session_count,
        );
        self.envelope.enclose(&Enclosed {
            report_id: &self.report.report_id,
            fields: &format!("TLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {submitter}\r\nTLS-Required: No\r\n"),
            content_type: "multipart/report; report-type=\"tlsrpt\"",
            words: &words,
            media_type: "application/tlsrpt+gzip",
            extension: "json.gz",
            octets: &self.report.pack(),
        })
    }
}
