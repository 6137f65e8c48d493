use super::*;

/// Where the records send reports, or `none`, or `broken`.
fn record(texts: &[&str]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    match Record::read(&texts) {
        Ok(Some(record)) => record.destinations().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Ok(None) => "none".to_owned(),
        Err(_) => "broken".to_owned(),
    }
}

#[test]
fn records_that_ask_for_reports_and_those_that_do_not() {
    let rows: &[(&str, &[&str], &str)] = &[
        ("by mail", &["v=TLSRPTv1; rua=mailto:reports@example.com"], "mailto:reports@example.com"),
        ("by HTTPS", &["v=TLSRPTv1;rua=https://reporting.example.com/v1/tlsrpt;"], "https://reporting.example.com/v1/tlsrpt"),
        ("both", &["v=TLSRPTv1; rua=mailto:a@b.test , https://c.test/"], "mailto:a@b.test https://c.test/"),
        ("an `=` in a URL", &["v=TLSRPTv1; rua=https://c.test/?q=1"], "https://c.test/?q=1"),
        ("schemes in other letters", &["v=TLSRPTv1; rua=MailTo:a@b.test,HTTPS://c.test/"], "mailto:a@b.test https://c.test/"),
        ("escapes", &["v=TLSRPTv1; rua=mailto:a%21b%2Cc@b.test"], "broken"),
        ("an escape that an address can hold", &["v=TLSRPTv1; rua=mailto:a%21b@b.test"], "mailto:a%21b@b.test"),
        ("fields of a header are left out", &["v=TLSRPTv1; rua=mailto:a@b.test?bcc=x@y.test"], "mailto:a@b.test"),
        ("an unknown scheme beside it", &["v=TLSRPTv1; rua=ftp://x.test/,mailto:a@b.test"], "mailto:a@b.test"),
        ("an unknown field", &["v=TLSRPTv1; x=y; rua=mailto:a@b.test"], "mailto:a@b.test"),
        ("other texts", &["v=spf1", "v=TLSRPTv1; rua=mailto:a@b.test"], "mailto:a@b.test"),
        ("no text", &[], "none"),
        ("another version", &["v=TLSRPTv2; rua=mailto:a@b.test"], "none"),
        ("two records", &["v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:c@d.test"], "broken"),
        ("no rua", &["v=TLSRPTv1; ruf=mailto:a@b.test"], "broken"),
        ("no address", &["v=TLSRPTv1; rua=mailto:nobody"], "broken"),
        ("in clear", &["v=TLSRPTv1; rua=http://c.test/"], "broken"),
        ("no host", &["v=TLSRPTv1; rua=https://"], "broken"),
        ("a broken escape", &["v=TLSRPTv1; rua=mailto:a%2@b.test"], "broken"),
        ("a line break in an address", &["v=TLSRPTv1; rua=mailto:a%0D%0Ab@b.test"], "broken"),
    ];
    for (name, all, expected) in rows {
        assert_eq!(record(all), *expected, "{name}");
    }
}

#[test]
fn a_record_cannot_make_us_write_to_the_whole_world() {
    let many: Vec<_> = (0..100).map(|number| format!("mailto:a{number}@b.test")).collect();
    let text = format!("v=TLSRPTv1; rua={}", many.join(","));
    let record = Record::read(&[text.into_bytes()]).expect("well-formed").expect("a record");
    assert_eq!(record.destinations().len(), 8);
    assert!(Record::read(&[vec![b'v'; 10_000]]).expect("no record").is_none());
}

#[test]
fn our_own_record_is_read_again() {
    let ours = Record::to_address("tls+reports@example.org".parse().expect("an address"));
    assert_eq!(ours.to_string(), "v=TLSRPTv1; rua=mailto:tls+reports@example.org");
    assert_eq!(Record::read(&[ours.to_string().into_bytes()]), Ok(Some(ours)));
}

/// The report of RFC 8460, appendix B, shortened.
const SAMPLE: &str = r#"{
  "organization-name": "Company-X",
  "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
  "contact-info": "sts-reporting@company-x.example",
  "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
  "policies": [{
    "policy": {"policy-type": "sts", "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"],
      "policy-domain": "company-y.example", "mx-host": "*.mail.company-y.example"},
    "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
    "failure-details": [
      {"result-type": "certificate-expired", "sending-mta-ip": "2001:db8:abcd:0012::1", "receiving-mx-hostname": "mx1.mail.company-y.example",
       "failed-session-count": 100},
      {"result-type": "starttls-not-supported", "sending-mta-ip": "2001:db8:abcd:0013::1", "receiving-mx-hostname": "mx2.mail.company-y.example",
       "receiving-ip": "203.0.113.56", "failed-session-count": 200, "additional-information": "https://reports.company-x.example/", "new": [1]}]
  }]
}"#;

#[test]
fn the_report_of_the_standard_is_read_packed_and_not() {
    let report = Report::read(SAMPLE.as_bytes()).expect("a report");
    assert_eq!(report.total(), Summary { total_successful_session_count: 5326, total_failure_session_count: 303 });
    assert_eq!(report.policies[0].policy.mx_host, ["*.mail.company-y.example"]);
    assert_eq!(report.policies[0].failure_details[1].failure.result_type, "starttls-not-supported");
    assert_eq!(Report::read(&report.pack()), Ok(report));
}

#[test]
fn what_is_no_report_says_why() {
    let rows: &[(&[u8], &str)] = &[
        (b"", "cannot be read"),
        (b"{}", "missing field"),
        (b"[1,2,3]", "cannot be read"),
        (b"\x1f\x8b\x08\x00garbage", "cannot be unpacked"),
        (b"<feedback/>", "cannot be read"),
    ];
    for (octets, why) in rows {
        let said = Report::read(octets).expect_err("no report").to_string();
        assert!(said.contains(why), "{said}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Report::read(deep.as_bytes()).is_err());
}

#[test]
fn a_report_that_is_a_bomb_is_left_packed() {
    use std::io::Write as _;
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let piece = vec![b' '; 1024 * 1024];
    (0..64).for_each(|_| bomb.write_all(&piece).expect("a vector"));
    let bomb = bomb.finish().expect("a vector");
    assert!(bomb.len() < 100_000);
    assert_eq!(Report::read(&bomb), Err(ReportError::Packed(crate::packed::PackedError::TooLarge(4 << 20))));
    assert_eq!(
        Report::read(&vec![b' '; 5 * 1024 * 1024]),
        Err(ReportError::Packed(crate::packed::PackedError::TooLarge(4 << 20)))
    );
    let policy = r#"{"policy":{"policy-type":"sts","policy-domain":"a"},"summary":{}},"#.repeat(1001);
    let many = format!(
        r#"{{"date-range":{{"start-datetime":"a","end-datetime":"b"}},"report-id":"c","policies":[{}]}}"#,
        policy.trim_end_matches(',')
    );
    assert_eq!(Report::read(many.as_bytes()), Err(ReportError::TooMany("policies")));
}

#[test]
fn a_strangers_texts_carry_no_controls() {
    let evil = SAMPLE.replace("Company-X", r"\u001b[2JCompany\r\nX");
    assert_eq!(Report::read(evil.as_bytes()).expect("a report").organization_name, "[2JCompanyX");
}

#[test]
fn a_report_travels_in_a_letter_of_the_standards_form() {
    let report = Report::read(SAMPLE.as_bytes()).expect("a report");
    let day = posthouse_mail::UnixMillis(1_459_468_800_000);
    let envelope = crate::ReportEnvelope {
        from: &"postmaster@company-x.example".parse().expect("an address"),
        to: &"reports@company-y.example".parse().expect("an address"),
        submitter: &"mail.company-x.example".parse().expect("a domain"),
        domain: &"company-y.example".parse().expect("a domain"),
        id: posthouse_mail::LetterId::from_bytes([7; 16]),
        at: day,
        day,
    };
    let letter = ReportLetter { envelope, report: &report };
    let text = String::from_utf8(letter.to_message()).expect("ASCII");
    for line in [
        "Subject: Report Domain: company-y.example\r\n Submitter: mail.company-x.example\r\n Report-ID: <5065427c-23d3-47ca-b6e0-946ea0e8c4be>\r\n",
        "TLS-Report-Domain: company-y.example\r\n",
        "TLS-Report-Submitter: mail.company-x.example\r\n",
        "TLS-Required: No\r\n",
        "Content-Type: multipart/report; report-type=\"tlsrpt\";",
        "Content-Type: application/tlsrpt+gzip\r\n",
        "filename=\"mail.company-x.example!company-y.example!1459468800!1459555199.json.gz\"",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.lines().all(|line| line.len() <= 100) && !text.replace("\r\n", "").contains(['\r', '\n']));
    use base64::Engine as _;
    let packed: String =
        text.split("json.gz\"\r\n\r\n").nth(1).and_then(|rest| rest.split("--").next()).expect("a part").replace("\r\n", "");
    assert_eq!(Report::read(&base64::prelude::BASE64_STANDARD.decode(packed).expect("base64")), Ok(report));
}
