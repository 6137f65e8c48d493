use super::*;
use crate::packed;

fn row() -> Row {
    Row {
        source: "192.0.2.7".parse().unwrap(),
        disposition: Policy::Quarantine,
        dkim_aligned: false,
        spf_aligned: true,
        reasons: vec![Override { kind: "policy_test_mode".to_owned(), comment: Some("a <b> & c".to_owned()) }],
        header_from: "news.a.test".to_owned(),
        envelope_from: Some("a.test".to_owned()),
        signatures: vec![SignatureResult { domain: "esp.test".to_owned(), selector: "s1".to_owned(), result: "pass".to_owned() }],
        spf: Some(SpfOutcome { domain: "a.test".to_owned(), result: "pass".to_owned() }),
    }
}

fn report() -> Report {
    let null =
        Row { source: "2001:db8::1".parse().unwrap(), envelope_from: Some(String::new()), signatures: Vec::new(), ..row() };
    Report {
        organization: "Firma <Größe> & Co".to_owned(),
        email: "postmaster@b.test".to_owned(),
        report_id: "1@b.test".to_owned(),
        begins: 1_790_000_000,
        ends: 1_790_086_399,
        published: Published {
            domain: "a.test".to_owned(),
            policy: Policy::Reject,
            subdomains: Some(Policy::Quarantine),
            nonexistent: Some(Policy::Reject),
            strict_dkim: true,
            strict_spf: false,
            testing: true,
            failure_options: Some("1:d".to_owned()),
            wants_aggregate: true,
            wants_failures: false,
        },
        rows: vec![(row(), 12), (null, 1)],
    }
}

#[test]
fn what_is_written_is_read_again() {
    assert_eq!(Report::read(report().to_xml().as_bytes()), Ok(report()));
    assert_eq!(Report::read(&packed::pack(report().to_xml().as_bytes())), Ok(report()));
}

#[test]
fn no_text_of_a_stranger_breaks_out_of_its_element() {
    let mut evil = report();
    evil.rows[0].0.header_from = "</header_from><x>\u{1b}[2J\r\n]]>".to_owned();
    let read = Report::read(evil.to_xml().as_bytes()).unwrap();
    assert_eq!(read.rows[0].0.header_from, "</header_from><x>[2j]]>");
    assert_eq!(read.rows.len(), 2);
}

/// A report in the manner of the first drafts: no namespace, no version, an element nobody knows, fields in another order, and in lower case what
/// should not be.
const OLD: &str = r#"<?xml version="1.0" encoding="windows-1252"?>
<!-- made by hand -->
<feedback xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="x y">
 <policy_published><domain>Example.ORG</domain><adkim>r</adkim><p>none</p><pct>100</pct></policy_published>
 <report_metadata>
  <date_range><end>1790086399</end><begin>1790000000</begin></date_range>
  <org_name><![CDATA[Big & Mail]]></org_name><email>noreply@big.test</email><extra_contact_info/>
  <report_id> big&#45;1 </report_id>
 </report_metadata>
 <record>
  <row><source_ip>192.0.2.1</source_ip><count>3</count>
   <policy_evaluated><disposition>None</disposition><dkim>fail</dkim><spf>PASS</spf></policy_evaluated></row>
  <identities><header_from>example.org</header_from></identities>
  <auth_results><spf><domain>example.org</domain><result>pass</result></spf><x:more xmlns:x="urn:x"><x:deep/></x:more></auth_results>
 </record>
</feedback>
"#;

#[test]
fn reports_of_older_programs_are_read() {
    let read = Report::read(OLD.as_bytes()).unwrap();
    assert_eq!((read.organization.as_str(), read.report_id.as_str()), ("Big & Mail", "big-1"));
    assert_eq!((read.published.domain.as_str(), read.begins), ("example.org", 1_790_000_000));
    let (row, count) = &read.rows[0];
    assert_eq!((*count, row.spf_aligned, row.dkim_aligned, row.disposition), (3, true, false, Policy::None));
    assert_eq!((row.header_from.as_str(), row.envelope_from.as_deref()), ("example.org", None));
    assert_eq!(Report::read(format!("\u{feff}\r\n{OLD}").as_bytes()), Ok(read));
}

#[test]
fn what_could_do_harm_is_refused() {
    let laughs = r#"<?xml version="1.0"?><!DOCTYPE feedback [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><feedback>&b;</feedback>"#;
    let outside = r#"<!DOCTYPE feedback SYSTEM "http://192.0.2.1/x.dtd"><feedback/>"#;
    let deep = format!("<feedback>{}", "<a>".repeat(100_000));
    let entity = OLD.replace("big&#45;1", "&lol;");
    let record = OLD.split_once(" <record>").unwrap().1.replace("</feedback>\n", "");
    let many = OLD.replace("</feedback>", &format!(" <record>{record}").repeat(60_000));
    let wide = OLD.replace("<extra_contact_info/>", &"<x/>".repeat(4_000_000));
    for (name, text, error) in [
        ("entities within entities", laughs, ReportError::Forbidden("a document type")),
        ("a document type elsewhere", outside, ReportError::Forbidden("a document type")),
        ("an entity without one", &entity, ReportError::Forbidden("an entity of its own")),
        ("depth", &deep, ReportError::TooMany("elements within each other")),
        ("rows", &many, ReportError::TooMany("rows")),
        ("elements", &wide, ReportError::TooMany("elements")),
    ] {
        assert_eq!(Report::read(text.as_bytes()).unwrap_err(), error, "{name}");
    }
    let bomb = packed::pack(&vec![b' '; 40 << 20]);
    assert!(bomb.len() < 100_000 && matches!(Report::read(&bomb), Err(ReportError::Packed(_))));
}

#[test]
fn what_is_no_report_says_why() {
    for (name, text) in [
        ("nothing", String::new()),
        ("no XML", "hello".to_owned()),
        ("another document", "<html><feedback/></html>".to_owned()),
        ("two documents", format!("{OLD}{OLD}")),
        ("cut off", OLD[..OLD.len() / 2].to_owned()),
        ("closed in another order", OLD.replace("</row>", "</raw>")),
        ("no date", OLD.replace("1790000000", "x")),
        ("ends before it begins", OLD.replace("1790000000", "1800000000")),
        ("no domain", OLD.replace("Example.ORG", "")),
        ("no name", OLD.replace("big&#45;1", "")),
        ("no address", OLD.replace("192.0.2.1", "192.0.2.999")),
    ] {
        assert!(Report::read(text.as_bytes()).is_err(), "{name}");
    }
}

#[test]
fn a_text_is_cut_and_a_number_has_an_end() {
    let long = OLD.replace("Big & Mail", &"x".repeat(1_000_000)).replace("<count>3<", "<count>99999999999999999<");
    let read = Report::read(long.as_bytes()).unwrap();
    assert_eq!((read.organization.len(), read.rows[0].1), (500, 1_000_000_000_000));
}

/// No octets, whole or cut, make the reader do anything but answer.
#[test]
fn damaged_reports_are_answered() {
    let whole = report().to_xml();
    for end in 0..whole.trim_end().len() {
        let Some(text) = whole.get(..end) else { continue };
        assert!(Report::read(text.as_bytes()).is_err(), "{end}");
        let mut bent = whole.clone().into_bytes();
        bent[end] ^= 0x15;
        let _ = Report::read(&bent);
    }
}
