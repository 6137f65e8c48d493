use posthouse_dns::Zone;
use posthouse_mail::header::Header;

use super::*;
use crate::spf::{self, Question};
use crate::{Examination, iprev};

const HEADER: &[u8] = b"From: Alice <alice@a.test>\r\nTo: b@ours.test\r\nSubject: x\r\n";

fn block_on<T>(future: impl Future<Output = T>) -> T {
    posthouse_runtime::block_on(future).unwrap()
}

/// What is told of a letter from 192.0.2.7 under a zone.
fn told(zone: &str, mail_from: &str, header: &[u8]) -> Option<Failure> {
    block_on(async {
        let zone = Zone::of(zone).unwrap();
        let source: IpAddr = "192.0.2.7".parse().unwrap();
        let parsed = Header::parse(header).unwrap();
        let mut examination = Examination::new(parsed, 0);
        examination.keep(parsed);
        let kept = examination.kept()?;
        let question = Question { ip: source, helo: "h.test", mail_from, receiver: "mx.ours.test", now: 0 };
        let (spf, iprev) = (spf::check(&zone, question).await, iprev::check(&zone, source).await);
        let verdicts = examination.finish(&zone, spf, iprev).await;
        let came = Came {
            letter: LetterId::from_bytes([7; 16]),
            at: UnixMillis(0),
            source,
            helo: "h.test",
            mail_from,
            hostname: &"mx.ours.test".parse().unwrap(),
            done: Policy::Reject,
        };
        Failure::of(&verdicts, came, kept)
    })
}

fn zone(fo: &str, spf: &str) -> String {
    format!("_dmarc.a.test TXT v=DMARC1; p=reject; ruf=mailto:f@a.test{fo}\na.test TXT v=spf1 {spf}")
}

#[test]
fn who_asks_by_fo_is_told_of_what_it_asks_and_of_nothing_else() {
    let signed = [b"DKIM-Signature: v=1; a=rsa-sha256; d=b.test; s=s; h=from; bh=AAAA; b=AAAA\r\n".as_slice(), HEADER].concat();
    for (name, fo, spf, header, expected) in [
        ("nothing passes, and that is what is asked about if nothing is said", "", "-all", HEADER, Some(FailureKind::Dmarc)),
        ("nothing passes", "; fo=0", "-all", HEADER, Some(FailureKind::Dmarc)),
        ("an option that nobody knows", "; fo=x", "-all", HEADER, Some(FailureKind::Dmarc)),
        ("one of two passes", "; fo=0", "+all", HEADER, None),
        ("one of two passes, and the other is asked about", "; fo=1", "+all", HEADER, Some(FailureKind::Dmarc)),
        ("a signature of somebody else fails", "; fo=d", "+all", &signed, Some(FailureKind::Signature)),
        ("a signature fails and nobody asked", "; fo=s", "+all", &signed, None),
        ("SPF fails", "; fo=d:s", "-all", HEADER, Some(FailureKind::Spf)),
        ("SPF says nothing", "; fo=s", "?all", HEADER, None),
    ] {
        assert_eq!(told(&zone(fo, spf), "alice@a.test", header).map(|failure| failure.kind), expected, "{name}");
    }
}

#[test]
fn nobody_is_told_who_did_not_ask_and_nothing_of_reports_and_bounces() {
    let asks = zone("", "-all");
    assert!(told(&asks, "alice@a.test", HEADER).is_some());
    for (name, zone, mail_from, more) in [
        ("no ruf", asks.replace("ruf=", "rua="), "alice@a.test", ""),
        ("a public suffix asks", asks.replace("p=reject;", "p=reject; psd=y;"), "alice@a.test", ""),
        ("no sender", asks.clone(), "", ""),
        ("a bounce", asks.clone(), "alice@a.test", "Content-Type: multipart/report; report-type=delivery-status\r\n"),
        ("such a report", asks.clone(), "alice@a.test", "Content-Type: Multipart/Report; report-type=feedback-report\r\n"),
        ("trouble", "_dmarc.a.test SERVFAIL".to_owned(), "alice@a.test", ""),
        ("trouble with SPF", format!("{}\na.test SERVFAIL", asks.lines().next().unwrap()), "alice@a.test", ""),
    ] {
        assert_eq!(told(&zone, mail_from, &[more.as_bytes(), HEADER].concat()), None, "{name}");
    }
}

#[test]
fn what_is_told_is_the_authors_own_records_and_a_header_of_bounded_size() {
    let mut header = HEADER.to_vec();
    for number in 0..2_000 {
        header.extend_from_slice(format!("X-{number}: {}\r\n", "x".repeat(100)).as_bytes());
    }
    let failure = told(&zone("", "-all"), "alice@a.test", &header).unwrap();
    assert!(failure.header.len() <= HEADER_BYTES_MAX && failure.header.starts_with(HEADER));
    assert!(failure.header.ends_with(b"\r\n"));
    assert_eq!(failure.spf, [("a.test".to_owned(), "v=spf1 -all".to_owned())]);
    let zone = format!("{}\nevil.test TXT v=spf1 -all", zone("", "-all"));
    assert_eq!(told(&zone, "x@evil.test", HEADER).unwrap().spf, [], "of the author's domain nothing was asked");
}
