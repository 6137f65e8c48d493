use super::*;

const COMPLAINT: &[u8] = b"Feedback-Type: abuse\nUser-Agent: SomeGenerator/1.0\nVersion: 1\nOriginal-Mail-From: <news@a.test>\n\
Source-IP: 192.0.2.1\nReported-Domain: A.test\n";
const LETTER: &[u8] = b"From: News <news@a.test>\r\nSubject: Hello\x1b[2J\r\nMessage-ID: <1@a.test>\r\nCFBL-Feedback-ID: 111:22\r\n\t2:3\r\n\r\nsecret\r\n";

#[test]
fn a_complaint_names_the_letter_and_its_source_and_nothing_of_its_body() {
    let read = Feedback::read(COMPLAINT, LETTER).unwrap();
    assert_eq!((read.kind.as_str(), read.domain.as_str(), read.mail_from.as_str()), ("abuse", "a.test", "news@a.test"));
    assert_eq!((read.source, read.incidents), (Some("192.0.2.1".parse().unwrap()), 1));
    assert_eq!((read.subject.as_str(), read.message_id.as_str()), ("Hello[2J", "<1@a.test>"));
    assert_eq!(read.feedback_id, "111:222:3");
    assert!(!format!("{read:?}").contains("secret"));
}

#[test]
fn a_failure_says_what_failed_and_the_domain_is_found_without_its_field() {
    let part = b"\r\nFeedback-Type: auth-failure\r\nAuth-Failure: dmarc\r\nIncidents: 3\r\nSource-IP: [IPv6:2001:db8::1]\r\n\r\n";
    let read = Feedback::read(part, LETTER).unwrap();
    assert_eq!((read.failure.as_str(), read.incidents, read.domain.as_str()), ("dmarc", 3, "a.test"));
    assert_eq!(read.source, Some("2001:db8::1".parse().unwrap()));
}

#[test]
fn what_is_no_feedback_says_why() {
    for part in [b"".as_slice(), b"hello", b"User-Agent: x\n", &[b'x'; 100_000]] {
        assert!(Feedback::read(part, LETTER).is_err());
    }
    assert!(Feedback::read(COMPLAINT, b"no header at all").is_ok());
}
