use posthouse_mailauth::dmarc::aggregate;
use posthouse_mailauth::tls_rpt;

use super::*;

fn entry(reporter: &str, verified: bool) -> Entry {
    let text = str::to_owned;
    let (kind, domain, sender, letter) = (text("dmarc"), text("ours.test"), text("big.test"), text("x"));
    Entry { id: 1, kind, domain, reporter: text(reporter), sender, verified, begins: 0, ends: 0, received: 0, letter }
}

fn dmarc(rows: &str) -> Incoming {
    let xml = format!(
        "<feedback><report_metadata><report_id>1</report_id><date_range><begin>1790000000</begin><end>1790086399</end></date_range></report_metadata><policy_published><domain>ours.test</domain></policy_published>{rows}</feedback>"
    );
    Incoming::Dmarc(aggregate::Report::read(xml.as_bytes()).unwrap())
}

fn row(source: &str, count: u64, dkim: &str, disposition: &str) -> String {
    format!(
        "<record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated><disposition>{disposition}</disposition><dkim>{dkim}</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>ours.test</header_from></identifiers></record>"
    )
}

#[test]
fn who_sends_in_our_name_and_fails_comes_first() {
    let mut summing = Summing::default();
    summing.add(&entry("Big", true), dmarc(&(row("192.0.2.1", 100, "pass", "none") + &row("192.0.2.9", 2, "fail", "reject"))));
    summing.add(&entry("Big", false), dmarc(&row("192.0.2.9", 3, "fail", "none")));
    let summary = summing.finish();
    assert_eq!((summary.reports, summary.letters, summary.passed), (2, 105, 100));
    let sources: Vec<_> =
        summary.sources.iter().map(|one| (one.address.to_string(), one.letters, one.passed, one.dkim, one.stopped)).collect();
    assert_eq!(sources, [("192.0.2.9".to_owned(), 5, 0, 0, 2), ("192.0.2.1".to_owned(), 100, 100, 100, 0)]);
    assert_eq!(summary.days.into_iter().collect::<Vec<_>>(), [("2026-09-21".to_owned(), (105, 100))]);
    assert_eq!(
        summary.reporters,
        [Reporter { name: "Big".to_owned(), reports: 2, letters: 105, verified: false }],
        "one of its reports came from nobody knows whom"
    );
}

#[test]
fn trouble_with_tls_says_what_to_do() {
    let json = r#"{"report-id":"2","date-range":{"start-datetime":"2026-11-24T00:00:00Z","end-datetime":"2026-11-24T23:59:59Z"},"policies":[{"policy":{"policy-type":"sts","policy-domain":"ours.test"},"summary":{"total-successful-session-count":5,"total-failure-session-count":3},"failure-details":[{"result-type":"certificate-expired","receiving-mx-hostname":"mx.ours.test","failed-session-count":2},{"result-type":"new-kind","failed-session-count":1}]}]}"#;
    let mut summing = Summing::default();
    summing.add(&entry("Big", true), Incoming::Tls(tls_rpt::Report::read(json.as_bytes()).unwrap()));
    let summary = summing.finish();
    assert_eq!(summary.tls_sessions, 5);
    let troubles: Vec<_> = summary.tls_troubles.iter().map(|one| (one.kind.as_str(), one.host.as_str(), one.sessions)).collect();
    assert_eq!(troubles, [("certificate-expired", "mx.ours.test", 2), ("new-kind", "", 1)]);
    assert!(summary.tls_troubles[0].advice.contains("posthouse status") && !summary.tls_troubles[1].advice.is_empty());
}

#[test]
fn numbers_without_end_do_not_overflow() {
    let mut summing = Summing::default();
    for _ in 0..3 {
        let Incoming::Dmarc(mut report) = dmarc(&row("192.0.2.1", 1, "pass", "none")) else { return };
        report.rows[0].1 = u64::MAX;
        summing.add(&entry("Big", true), Incoming::Dmarc(report));
    }
    assert_eq!(summing.finish().letters, u64::MAX);
}
