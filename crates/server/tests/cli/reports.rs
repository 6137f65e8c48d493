//! `posthouse reports`: what others say, for people and for programs; and the records that ask for it.

use posthouse_mail::{LetterId, UnixMillis};
use posthouse_reports::{Filed, Received, Sent};

use super::run;

/// Who fails has the controls of a terminal in its name.
const REPORT: &str = "From: noreply@big.test\r\nContent-Type: text/xml\r\nContent-Disposition: attachment; filename=r.xml\r\n\r\n\
<feedback><report_metadata><org_name>Big &#27;[2J Mail</org_name><report_id>1</report_id><date_range><begin>1790000000</begin><end>1790086399</end></date_range></report_metadata>\
<policy_published><domain>example.org</domain></policy_published>\
<record><row><source_ip>203.0.113.9</source_ip><count>12</count><policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>\
<identifiers><header_from>example.org</header_from></identifiers></record>\
<record><row><source_ip>192.0.2.25</source_ip><count>100</count><policy_evaluated><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>\
<identifiers><header_from>example.org</header_from></identifiers></record></feedback>\r\n";

#[test]
fn who_sends_in_our_name_and_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let none = run(data, &["reports", "--data", "."]);
    assert!(none.exit == 66 && none.err.contains("there are no reports yet"), "{}", none.err);
    let received = Received::open(&data.join("reports.sqlite")).unwrap();
    let now = UnixMillis(posthouse_runtime::clock::unix_millis());
    let ours = vec!["example.org".parse().unwrap()];
    let hostname = "mail.example.org".parse().unwrap();
    let filing = received.file(REPORT.into(), LetterId::new(now, 1), &hostname, ours, now);
    assert!(matches!(posthouse_runtime::block_on(filing).unwrap().unwrap(), Filed::Kept(_)));
    let summary = run(data, &["reports", "--data", "."]);
    assert_eq!(summary.exit, 0, "{}", summary.err);
    for line in [
        "letters in your name: 112, of which 12 failed",
        "  203.0.113.9 sends as example.org and fails: 12 of 12 letters (SPF 0, DKIM 0), 12 stopped",
        "  192.0.2.25 sends as example.org: 100 letters (SPF 0, DKIM 100)",
        "2026-09-21  112 letters, 12 failed",
    ] {
        assert!(summary.out.contains(line), "{line}\n{}", summary.out);
    }
    let list = run(data, &["reports", "list", "--data", "."]);
    assert!(list.out.contains("    1  2026-09-21  dmarc     example.org  by Big "), "{}", list.out);
    assert!(list.out.contains("(its author is not verified)") && !list.out.contains('\u{1b}'), "{}", list.out);
    let json: serde_json::Value = serde_json::from_str(&run(data, &["reports", "--data", ".", "--json"]).out).unwrap();
    assert_eq!((&json["letters"], &json["sources"][0]["address"]), (&112.into(), &"203.0.113.9".into()));
    assert!(run(data, &["reports", "show", "1", "--data", "."]).out.contains("\"header_from\": \"example.org\""));
    assert_eq!(run(data, &["reports", "show", "7", "--data", "."]).exit, 67);
    assert_eq!(run(data, &["reports", "sent", "--data", "."]).out, "no reports were sent\n");
    let (kind, domain, receiver) = ("failure-report".to_owned(), "a.test".to_owned(), "f@a.test".to_owned());
    let sent = Sent { kind, domain, receiver, host: "a.test".to_owned(), letter: "LETTER".to_owned(), at: now.0 };
    posthouse_runtime::block_on(received.sent(sent)).unwrap().unwrap();
    let told = run(data, &["reports", "sent", "--data", "."]).out;
    assert!(told.ends_with("  failure-report  on a.test to f@a.test  (LETTER)\n"), "{told}");
    let other = run(data, &["reports", "--domain", "other.example", "--data", "."]);
    assert!(other.out.starts_with("0 reports in 30 days"), "{}", other.out);
}

#[test]
fn the_records_ask_for_reports_at_an_address_that_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["domain", "add", "example.org", "--data", "."]).exit, 0);
    let records = run(folder.path(), &["domain", "dns", "example.org", "--data", "."]).out;
    for record in ["v=DMARC1; p=none; rua=mailto:reports@example.org", "v=TLSRPTv1; rua=mailto:reports@example.org"] {
        assert!(records.contains(record), "{records}");
    }
}
