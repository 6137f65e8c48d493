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
