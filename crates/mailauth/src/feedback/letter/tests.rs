use std::net::IpAddr;

use posthouse_mail::mime::{Limits, parse};

use super::*;
use crate::dmarc::{FailureKind, Published};
use crate::feedback::Feedback;

const LIMITS: Limits = Limits { bytes_max: 1 << 20, header_bytes_max: 1 << 16, parts_max: 10, items_max: 10 };

fn failure(header: &[u8]) -> Failure {
    Failure {
        letter: LetterId::from_bytes([7; 16]),
        at: UnixMillis(1_795_564_800_000),
        source: "2001:db8::7".parse::<IpAddr>().unwrap(),
        mail_from: "bob@evil.test".to_owned(),
        domain: "news.a.test".to_owned(),
        published: Published {
            domain: "a.test".to_owned(),
            policy: Policy::Reject,
            wants_failures: true,
            ..Published::default()
        },
        kind: FailureKind::Dmarc,
        is_dkim_unaligned: true,
        is_spf_unaligned: true,
        done: Policy::Reject,
        results: "Authentication-Results: mx.ours.test;\r\n\tspf=fail smtp.mailfrom=bob@evil.test\r\n".to_owned(),
        signature: Some(("a.test".to_owned(), None, "s1".to_owned())),
        spf: vec![("a.test".to_owned(), "v=spf1 \"x\" -all".to_owned())],
        header: header.to_vec(),
    }
}

fn message(failure: &Failure, redaction: Option<&Redaction>) -> String {
    let (from, to) = ("postmaster@ours.test".parse().unwrap(), "ruf@a.test".parse().unwrap());
    let submitter = "mx.ours.test".parse().unwrap();
    let (id, at) = (LetterId::from_bytes([9; 16]), failure.at);
    let letter = FailureLetter { from: &from, to: &to, submitter: &submitter, id, at, incidents: 3, failure, redaction };
    String::from_utf8(letter.to_message()).unwrap()
}

#[test]
fn our_own_reader_reads_what_we_write() {
    let failure =
        failure(b"From: Alice <alice@news.a.test>\r\nTo: carol@ours.test\r\nSubject: hello\r\nMessage-ID: <1@evil.test>\r\n");
    let redaction = Redaction::new(b"key");
    let text = message(&failure, Some(&redaction));
    let parsed = parse(text.as_bytes(), &LIMITS).unwrap();
    let part = |kind: &str| parsed.attachments.iter().find(|part| part.content_type == kind).unwrap().content.clone();
    let read = Feedback::read(&part("message/feedback-report"), &part("text/rfc822-headers")).unwrap();
    assert_eq!((read.kind.as_str(), read.failure.as_str(), read.done.as_str()), ("auth-failure", "dmarc", "reject"));
    assert_eq!((read.domain.as_str(), read.source, read.incidents), ("news.a.test", Some(failure.source), 3));
    assert_eq!((read.subject.as_str(), read.message_id.as_str()), ("hello", "<1@evil.test>"));
    for line in [
        "Identity-Alignment: dkim, spf",
        "DKIM-Domain: a.test\r\nDKIM-Identity: @a.test\r\nDKIM-Selector: s1",
        "SPF-DNS: txt : a.test : \"v=spf1 ?x? -all\"",
        "From: Alice <alice@news.a.test>",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    for secret in ["carol", "bob"] {
        assert!(!text.contains(secret), "{secret}\n{text}");
    }
    assert!(message(&failure, None).contains("To: carol@ours.test"));
}

#[test]
fn a_header_of_a_stranger_ends_no_part_and_breaks_no_line() {
    let mut header =
        b"From: a@a.test\r\nSubject: \xff\x00\r\n --=_94J4HAA94J4HAA94J4HAA94J4H--\r\nBcc: dave@ours.test\r\nX: ".to_vec();
    header.extend(b"a@b.test,".repeat(120));
    header.extend_from_slice(b"\r\n");
    let text = message(&failure(&header), Some(&Redaction::new(b"key")));
    assert!(text.is_ascii() && text.lines().all(|line| line.len() < 998), "{text}");
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']) && !text.contains("dave"), "{text}");
    let parsed = parse(text.as_bytes(), &LIMITS).unwrap();
    let kinds: Vec<_> = parsed.attachments.iter().map(|part| part.content_type.as_str()).collect();
    assert_eq!(kinds, ["message/feedback-report", "text/rfc822-headers"]);
}
