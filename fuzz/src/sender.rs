//! The records and fields by which senders are judged.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use posthouse_dns::Zone;
use posthouse_mail::header::{Header, end_of_header};
use posthouse_mailauth::spf::{self, Question};
use posthouse_mailauth::{Examination, authentication_results, iprev, is_from};

use crate::pieces;

/// The questions that SPF may put: ten terms, each with an MX of ten hosts, the names of the address, and those records behind `exp`.
const SPF_QUESTIONS_MAX: usize = 200;

/// Any master file: reading it ends, and so does SPF over what is in it, within its bounds.
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
    }
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

/// A zone in memory answers at once.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits for something"),
    }
}
