use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;

const XML: &str = "<?xml version=\"1.0\"?><feedback><report_metadata><org_name>Big</org_name><report_id>1</report_id><date_range><begin>1790000000</begin><end>1790086399</end></date_range></report_metadata><policy_published><domain>ours.test</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.1</source_ip><count>3</count></row><identifiers><header_from>ours.test</header_from></identifiers></record></feedback>";
const JSON: &str = r#"{"organization-name":"Big","report-id":"2","date-range":{"start-datetime":"2026-11-24T00:00:00Z","end-datetime":"2026-11-24T23:59:59Z"},"policies":[{"policy":{"policy-type":"sts","policy-domain":"ours.test"},"summary":{"total-successful-session-count":5}}]}"#;

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

/// A letter that is nothing but one file, as some large providers send.
fn bare(kind: &str, name: &str, octets: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(octets);
    let lines: Vec<_> = text.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!(
        "From: noreply@big.test\r\nSubject: Report domain: ours.test\r\nMIME-Version: 1.0\r\nContent-Type: {kind};\r\n\tname=\"{name}\"\r\n\
         Content-Disposition: attachment;\r\n\tfilename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        lines.join("\r\n")
    )
}

/// The same as a part among others.
fn among(kind: &str, name: &str, octets: &[u8]) -> String {
    let alone = bare(kind, name, octets);
    let (head, body) = alone.split_once("Content-Type").unwrap();
    format!(
        "{head}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\nContent-Type{body}--b--\r\n"
    )
}

fn found(letter: &str) -> Result<(&'static str, String), Unread> {
    read(letter.as_bytes(), &"mx.ours.test".parse().unwrap()).map(|read| (read.report.kind(), read.report.domain().to_owned()))
}

#[test]
fn reports_are_known_however_they_are_enclosed() {
    let (xml, json) = (gzip(XML.as_bytes()), gzip(JSON.as_bytes()));
    for (name, kind, file, octets, expected) in [
        ("gzip", "application/gzip", "big.test!ours.test!1!2.xml.gz", xml.as_slice(), "dmarc"),
        ("gzip by its old name", "application/x-gzip", "r.xml.gz", &xml, "dmarc"),
        ("octets", "application/octet-stream", "r.xml.gz", &xml, "dmarc"),
        ("called a zip", "application/zip", "r.zip", &xml, "dmarc"),
        ("plain", "text/xml", "r.xml", XML.as_bytes(), "dmarc"),
        ("TLS, packed", "application/tlsrpt+gzip", "r.json.gz", &json, "tls"),
        ("TLS, plain", "application/tlsrpt+json", "r.json", JSON.as_bytes(), "tls"),
        ("TLS as gzip", "application/gzip", "r.json.gz", &json, "tls"),
    ] {
        for letter in [bare(kind, file, octets), among(kind, file, octets)] {
            assert_eq!(found(&letter), Ok((expected, "ours.test".to_owned())), "{name}: {letter}");
        }
    }
}

const COMPLAINT: &str = "From: fbl@big.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n\
--b\r\nContent-Type: text/plain\r\n\r\na complaint\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n\
Feedback-Type: abuse\r\nUser-Agent: Big/1\r\nVersion: 1\r\nSource-IP: 192.0.2.1\r\n\r\n\
--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: news@ours.test\r\nSubject: News\r\nMessage-ID: <1@ours.test>\r\n\r\nsecret\r\n--b--\r\n";

#[test]
fn a_complaint_is_read_with_the_letter_that_it_is_about() {
    let read = read(COMPLAINT.as_bytes(), &"mx.ours.test".parse().unwrap()).unwrap();
    let Incoming::Feedback(feedback) = read.report else { panic!("another report") };
    assert_eq!((feedback.kind.as_str(), feedback.domain.as_str(), feedback.subject.as_str()), ("abuse", "ours.test", "News"));
}

#[test]
fn only_our_own_word_for_it_makes_a_reporter_one_who_is_verified() {
    let letter = bare("application/gzip", "r.xml.gz", &gzip(XML.as_bytes()));
    for (field, verified) in [
        ("", false),
        ("Authentication-Results: mx.ours.test; dmarc=pass header.from=big.test\r\n", true),
        ("Authentication-Results: mx.ours.test; dmarc=fail header.from=big.test\r\n", false),
        ("Authentication-Results: mx.evil.test; dmarc=pass header.from=big.test\r\n", false),
    ] {
        let read = read(format!("{field}{letter}").as_bytes(), &"mx.ours.test".parse().unwrap()).unwrap();
        assert_eq!((read.is_verified, read.sender.as_str()), (verified, "big.test"), "{field}");
    }
}

#[test]
fn what_is_no_report_or_a_bomb_says_why() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 100_000);
    let within = gzip(&gzip(XML.as_bytes()));
    let doctype = gzip(format!("<!DOCTYPE feedback>{XML}").as_bytes());
    for (name, letter, why) in [
        ("a letter", "From: a@b.test\r\nSubject: x\r\n\r\nhello\r\n".to_owned(), "there is no report in it"),
        ("a picture", bare("image/png", "r.png", b"\x89PNG"), "there is no report in it"),
        ("a bomb", bare("application/gzip", "r.xml.gz", &bomb), "larger than"),
        ("a bomb for JSON", bare("application/tlsrpt+gzip", "r.json.gz", &bomb), "larger than"),
        ("packed twice", bare("application/gzip", "r.xml.gz", &within), "cannot be read"),
        ("a document type", bare("application/gzip", "r.xml.gz", &doctype), "a document type"),
        ("broken", bare("application/gzip", "r.xml.gz", &gzip(XML.as_bytes())[..60]), "cannot be unpacked"),
        ("JSON of something else", bare("application/json", "r.json", b"{}"), "cannot be read"),
        ("deep JSON", bare("application/json", "r.json", &[b'['; 100_000]), "cannot be read"),
        (
            "parts without end",
            among("text/xml", "r.xml", XML.as_bytes()).replace("hello", &"--b\r\n\r\n".repeat(100)),
            "too many parts",
        ),
    ] {
        let error = found(&letter).unwrap_err().to_string();
        assert!(error.contains(why), "{name}: {error}");
    }
}
