use posthouse_dns::Zone;
use posthouse_runtime::block_on;

use super::*;

/// Where reports on `a.test` go: the addresses, with their sizes.
fn found(zone: &str) -> Result<Vec<String>, DnsError> {
    let zone = Zone::of(zone).unwrap();
    let all = block_on(destinations(&zone, &"a.test".parse().unwrap())).unwrap()?;
    let shown = |one: ReportAddress| one.bytes_max.map_or_else(String::new, |max| format!(" {max}"));
    Ok(all.into_iter().map(|one| format!("{}{}", one.address.clone(), shown(one))).collect())
}

#[test]
fn reports_go_where_the_domain_says_and_the_receiver_agrees() {
    let rows: &[(&str, &str, &[&str])] = &[
        ("its own address", "_dmarc.a.test TXT v=DMARC1; rua=mailto:d@a.test", &["d@a.test"]),
        ("below it", "_dmarc.a.test TXT v=DMARC1; rua=mailto:d@in.a.test", &["d@in.a.test"]),
        (
            "with a size",
            "_dmarc.a.test TXT v=DMARC1; rua=mailto:d@a.test!10m, mailto:e@a.test!5K",
            &["d@a.test 10485760", "e@a.test 5120"],
        ),
        ("with a size that is none", "_dmarc.a.test TXT v=DMARC1; rua=mailto:d@a.test!10x", &[]),
        ("named twice", "_dmarc.a.test TXT v=DMARC1; rua=mailto:d@a.test,mailto:d@a.test", &["d@a.test"]),
        ("by HTTPS", "_dmarc.a.test TXT v=DMARC1; rua=https://a.test/", &[]),
        ("no record", "", &[]),
        ("nobody asked", "_dmarc.a.test TXT v=DMARC1; p=reject", &[]),
        ("a stranger who did not agree", "_dmarc.a.test TXT v=DMARC1; rua=mailto:d@victim.test", &[]),
        (
            "a stranger who agrees",
            "_dmarc.a.test TXT v=DMARC1; rua=mailto:d@b.test\na.test._report._dmarc.b.test TXT v=DMARC1",
            &["d@b.test"],
        ),
        (
            "one who agrees for another domain",
            "_dmarc.a.test TXT v=DMARC1; rua=mailto:d@b.test\nc.test._report._dmarc.b.test TXT v=DMARC1",
            &[],
        ),
        (
            "one whose text is another",
            "_dmarc.a.test TXT v=DMARC1; rua=mailto:d@b.test\na.test._report._dmarc.b.test TXT v=spf1 -all",
            &[],
        ),
        (
            "one who wants them elsewhere at the same host",
            "_dmarc.a.test TXT v=DMARC1; rua=mailto:d@b.test\na.test._report._dmarc.b.test TXT v=DMARC1; rua=mailto:x@b.test",
            &["x@b.test"],
        ),
        (
            "one who sends them on to a third",
            "_dmarc.a.test TXT v=DMARC1; rua=mailto:d@b.test\na.test._report._dmarc.b.test TXT v=DMARC1; rua=mailto:x@victim.test",
            &[],
        ),
    ];
    for (name, zone, expected) in rows {
        assert_eq!(found(zone).unwrap(), *expected, "{name}");
    }
}

#[test]
fn trouble_with_the_dns_is_no_refusal() {
    assert!(found("_dmarc.a.test SERVFAIL").is_err());
    assert!(found("_dmarc.a.test TXT v=DMARC1; rua=mailto:d@b.test\na.test._report._dmarc.b.test SERVFAIL").is_err());
}

#[test]
fn a_record_cannot_make_us_write_to_the_whole_world() {
    let many: Vec<_> = (0..100).map(|number| format!("mailto:a{number}@a.test")).collect();
    assert_eq!(found(&format!("_dmarc.a.test TXT v=DMARC1; rua={}", many.join(","))).unwrap().len(), 8);
}
