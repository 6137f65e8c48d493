//! What strangers send as reports: XML, JSON, feedback on single letters, packed and in letters.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use posthouse_mailauth::dmarc::aggregate;
use posthouse_mailauth::feedback::Feedback;
use posthouse_mailauth::tls_rpt;
use posthouse_reports::{Incoming, read};

/// The rows that are kept of a report in a letter.
const ROWS_KEPT_MAX: usize = 5_000;
/// The details that are kept of a report on TLS in a letter.
const DETAILS_KEPT_MAX: usize = 2_000;
/// The characters of a text that are kept.
const TEXT_CHARS_MAX: usize = 500;

/// An aggregate report. The first octet says how it comes: as it is, by gzip, or in an archive.
pub fn dmarc_report(data: &[u8]) {
    let Some((&how, text)) = data.split_first() else { return };
    let Ok(report) = aggregate::Report::read(&packed(how, text)) else { return };
    let texts = [&report.organization, &report.email, &report.report_id, &report.published.domain];
    texts.into_iter().for_each(|text| is_tame(text));
    // What a stranger left out is filled in when it is written; from then on nothing changes.
    let again = |report: &aggregate::Report| {
        aggregate::Report::read(report.to_xml().as_bytes()).unwrap_or_else(|error| panic!("{error}: {}", report.to_xml()))
    };
    let once = again(&report);
    assert_eq!(once.rows, report.rows);
    assert_eq!(again(&once), once);
}

/// A report on TLS. The first octet says how it comes.
pub fn tls_report(data: &[u8]) {
    let Some((&how, text)) = data.split_first() else { return };
    let Ok(report) = tls_rpt::Report::read(&packed(how, text)) else { return };
    [&report.organization_name, &report.report_id].into_iter().chain(&report.contact_info).for_each(|text| is_tame(text));
    let _all = report.total();
    assert_eq!(tls_rpt::Report::read(&report.pack()), Ok(report));
}

/// A part `message/feedback-report`, a NUL, and the letter that it is about.
pub fn feedback(data: &[u8]) {
    let end = data.iter().position(|&octet| octet == 0).unwrap_or(data.len());
    let (part, original) = data.split_at(end);
    let Ok(feedback) = Feedback::read(part, original.strip_prefix(b"\0").unwrap_or(original)) else { return };
    let Feedback { kind, reporter, domain, mail_from, failure, done, arrived, message_id, subject, .. } = &feedback;
    assert!(!kind.is_empty());
    [kind, reporter, domain, mail_from, failure, done, arrived, message_id, subject].into_iter().for_each(|text| is_tame(text));
}

/// A whole letter that should be a report.
pub fn report_letter(letter: &[u8]) {
    let ours = "mx.here.test".parse().unwrap_or_else(|error| panic!("{error}"));
    let Ok(found) = read(letter, &ours) else { return };
    assert!(!found.is_verified || letter.windows(10).any(|octets| octets == b"dmarc=pass"));
    match &found.report {
        Incoming::Dmarc(report) => assert!(report.rows.len() <= ROWS_KEPT_MAX),
        Incoming::Tls(report) => {
            assert!(report.policies.iter().map(|policy| policy.failure_details.len()).sum::<usize>() <= DETAILS_KEPT_MAX);
        }
        Incoming::Feedback(feedback) => is_tame(&feedback.subject),
    }
    is_tame(found.report.reporter());
    is_tame(found.report.domain());
}

/// Nothing that could speak to a terminal, or fill a screen.
fn is_tame(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.chars().count() <= TEXT_CHARS_MAX, "{text:?}");
}

fn packed(how: u8, text: &[u8]) -> Vec<u8> {
    match how % 4 {
        // Writing to a vector cannot fail.
        1 => {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(text).and_then(|()| packed.finish()).unwrap_or_default()
        }
        // A ZIP archive of one file that is stored in it.
        2 => {
            let size = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
            let mut archive = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
            archive.extend([size, size].concat());
            archive.extend([1, 0, 0, 0, b'r']);
            archive.extend(text);
            archive
        }
        _ => text.to_vec(),
    }
}
