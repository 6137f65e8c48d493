//! The records and fields by which senders are judged.

use posthouse_dns::Zone;
use posthouse_mail::header::{Header, end_of_header};
use posthouse_mailauth::spf::{self, Question};
use posthouse_mailauth::{Examination, authentication_results, dmarc, iprev, is_from};

use crate::{pieces, ready};

/// The questions that SPF may put: ten terms, each with an MX of ten hosts, the names of the address, and those records behind `exp`.
const SPF_QUESTIONS_MAX: usize = 200;

/// The questions that DMARC may put for one author: eight steps up the tree (RFC 9989 §4.10), and whether the author's name exists.
const DMARC_QUESTIONS_MAX: usize = 16;
/// The addresses that one record may have reports sent to.
const DESTINATIONS_MAX: usize = 64;

/// Any master file: reading it ends, and so do SPF and DMARC over what is in it, within their bounds.
pub fn sender_zone(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let Ok(zone) = Zone::master(&text) else { return };
    for ip in ["192.0.2.1", "2001:db8::1"] {
        let question = Question {
            ip: ip.parse().unwrap_or_else(|_| panic!("{ip}")),
            helo: "mx.a.test",
            mail_from: "x.y@a.test",
            receiver: "mx.here.test",
            now: 1_795_489_929,
        };
        let found = ready(spf::check(&zone, question));
        assert!(found.records.len() <= SPF_QUESTIONS_MAX, "{} questions", found.records.len());
        let header = Header::parse(b"From: x@d.c.b.a.test\r\n").unwrap_or_else(|error| panic!("{error}"));
        let judged = ready(dmarc::check(&zone, &dmarc::Author::of(header), &found, &[]));
        assert!(judged.records.len() <= DMARC_QUESTIONS_MAX, "{} questions", judged.records.len());
    }
    let domain = "a.test".parse().unwrap_or_else(|error| panic!("{error}"));
    let agreed = ready(dmarc::destinations(&zone, &domain)).unwrap_or_default();
    assert!(agreed.len() <= DESTINATIONS_MAX, "{} places", agreed.len());
}

/// Any letter: the verdicts are the same however its body is cut, and what is said of them is one field.
pub fn sender_letter(octets: &[u8]) {
    let (fields, whole) = end_of_header(octets).unwrap_or((octets.len(), octets.len()));
    let Ok(header) = Header::parse(&octets[..fields]) else { return };
    let zone = Zone::master(
        "_dmarc.a.test. TXT \"v=DMARC1; p=reject\"\nr._domainkey.a.test. TXT \"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"",
    );
    let zone = zone.unwrap_or_else(|error| panic!("{error}"));
    let body = &octets[whole..];
    let judged = |cut: &[&[u8]]| {
        let mut examination = Examination::new(header, 1_795_489_929);
        cut.iter().for_each(|piece| examination.body(piece));
        let question = Question { ip: [192, 0, 2, 1].into(), helo: "h", mail_from: "", receiver: "", now: 0 };
        ready(examination.finish(&zone, spf::Spf::too_slow(question), iprev::Iprev::too_slow()))
    };
    let verdicts = judged(&[body]);
    assert_eq!(verdicts, judged(&pieces(body, octets.first().copied().unwrap_or_default())));
    let ours = "mx.here.test".parse().unwrap_or_else(|error| panic!("{error}"));
    let from = String::from_utf8_lossy(&octets[..octets.len().min(64)]);
    let field = authentication_results(&ours, &verdicts, &from, &from, [192, 0, 2, 1].into());
    let read = Header::parse(field.as_bytes()).unwrap_or_else(|error| panic!("{error}: {field}"));
    assert_eq!(read.fields().count(), 1, "{field}");
    assert!(field.is_ascii() && field.ends_with("\r\n"), "{field}");
    assert!(read.fields().all(|field| is_from(&field.value(), &ours)), "{field}");
}
