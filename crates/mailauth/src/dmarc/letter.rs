//! The letter that carries an aggregate report (RFC 9990 §3.5.2).

use super::aggregate::Report;
use crate::ReportEnvelope;
use crate::enclosed::Enclosed;
use crate::packed;

/// A report on its way to one address.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportLetter<'a> {
    /// From whom, to whom, about what.
    pub envelope: ReportEnvelope<'a>,
    /// The report.
    pub report: &'a Report,
}

impl ReportLetter<'_> {
    /// The whole letter.
    #[must_use]
    pub fn to_message(&self) -> Vec<u8> {
        let ReportEnvelope { submitter, domain, .. } = self.envelope;
        let letters: u64 = self.report.rows.iter().map(|(_, count)| count).sum();
        let words = format!(
            "This is a DMARC aggregate report (RFC 9990) of {submitter}\r\non letters that say they are of {domain}.\r\n\r\n\
             from     {}\r\nto       {}\r\nletters  {letters}\r\nrows     {}\r\n",
            posthouse_mail::UnixMillis(self.report.begins.saturating_mul(1000)).to_rfc3339_seconds(),
            posthouse_mail::UnixMillis(self.report.ends.saturating_mul(1000)).to_rfc3339_seconds(),
            self.report.rows.len(),
        );
        self.envelope.enclose(&Enclosed {
            report_id: &self.report.report_id,
            fields: "",
            content_type: "multipart/mixed",
            words: &words,
            media_type: "application/gzip",
            extension: "xml.gz",
            octets: &packed::pack(self.report.to_xml().as_bytes()),
        })
    }
}
