//! Reports that others read, and the addresses of forwarded mail beside those of another program.

use crate::world::{World, in_a_world, program, run_with_pypi};
use posthouse_mail::{Address, LetterId, UnixMillis};
use posthouse_mailauth::dmarc::aggregate::{Override, Report, Row, SignatureResult, SpfOutcome};
use posthouse_mailauth::dmarc::{Failure, FailureKind, Policy, Published, ReportLetter};
use posthouse_mailauth::feedback::{FailureLetter, Redaction};
use posthouse_mailauth::{ReportEnvelope, srs, tls_rpt};
use posthouse_runtime::clock;
use posthouse_testkit::guard::Guard;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

/// 2026-11-25T00:00:00Z.
const DAY: UnixMillis = UnixMillis(1_795_564_800_000);

/// As delivery sends them.
fn enclosed(letter: impl FnOnce(ReportEnvelope<'_>) -> Vec<u8>) -> Vec<u8> {
    let (from, to) = ("reports@ours.test".parse().unwrap(), "dmarc@a.test".parse().unwrap());
    let (submitter, domain) = ("mx.ours.test".parse().unwrap(), "a.test".parse().unwrap());
    let id = LetterId::from_bytes([7; 16]);
    letter(ReportEnvelope { from: &from, to: &to, submitter: &submitter, domain: &domain, id, at: DAY, day: DAY })
}

/// What parsedmarc says of a letter.
fn read_by_parsedmarc(world: &World, pypi: &Path, name: &str, letter: &[u8]) -> Value {
    let file = world.folder("reports").join(name);
    fs::write(&file, letter).unwrap();
    let output = program("report.py").arg(&file).env("PYTHONPATH", pypi).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{name}: {why}\n{said}"))
}

fn dmarc_report() -> Report {
    let plain = Row {
        source: "192.0.2.7".parse().unwrap(),
        disposition: Policy::None,
        dkim_aligned: true,
        spf_aligned: false,
        reasons: Vec::new(),
        header_from: "news.a.test".to_owned(),
        envelope_from: Some("bounces.esp.test".to_owned()),
        signatures: vec![SignatureResult { domain: "a.test".to_owned(), selector: "s1".to_owned(), result: "pass".to_owned() }],
        spf: Some(SpfOutcome { domain: "bounces.esp.test".to_owned(), result: "pass".to_owned() }),
    };
    let forged = Row {
        source: "2001:db8::1".parse().unwrap(),
        disposition: Policy::Quarantine,
        dkim_aligned: false,
        reasons: vec![Override { kind: "policy_test_mode".to_owned(), comment: Some("a <b> & c".to_owned()) }],
        header_from: "a.test".to_owned(),
        envelope_from: Some(String::new()),
        signatures: Vec::new(),
        spf: Some(SpfOutcome { domain: "evil.test".to_owned(), result: "softfail".to_owned() }),
        ..plain.clone()
    };
    Report {
        organization: "Firma <Größe> & Co".to_owned(),
        email: "reports@ours.test".to_owned(),
        report_id: "1@mx.ours.test".to_owned(),
        begins: DAY.0 / 1000,
        ends: DAY.0 / 1000 + 86_399,
        published: Published {
            domain: "a.test".to_owned(),
            policy: Policy::Reject,
            subdomains: Some(Policy::Quarantine),
            nonexistent: Some(Policy::Reject),
            strict_dkim: true,
            strict_spf: false,
            testing: true,
            failure_options: Some("1".to_owned()),
            wants_aggregate: true,
            wants_failures: false,
        },
        rows: vec![(plain, 12), (forged, 3)],
    }
}

#[test]
fn parsedmarc_counts_what_our_report_on_letters_counts() {
    run_with_pypi(
        concat!(module_path!(), "::parsedmarc_counts_what_our_report_on_letters_counts"),
        "parsedmarc",
        |world, pypi| {
            let report = dmarc_report();
            let letter = enclosed(|envelope| ReportLetter { envelope, report: &report }.to_message());
            let read = read_by_parsedmarc(world, pypi, "dmarc.eml", &letter);
            assert_eq!(read["report_type"], "aggregate");
            let (read, metadata) = (&read["report"], &read["report"]["report_metadata"]);
            assert_eq!((&metadata["org_name"], &metadata["org_email"]), (&json!(report.organization), &json!(report.email)));
            // It keeps what stands in front of an `@`, which is ours alone too.
            assert_eq!(Some(metadata["report_id"].as_str().unwrap()), report.report_id.split('@').next());
            assert_eq!(
                (&metadata["begin_date"], &metadata["end_date"]),
                (&json!("2026-11-25 00:00:00"), &json!("2026-11-25 23:59:59"))
            );
            assert_eq!(metadata["errors"], json!([]));
            let published = &read["policy_published"];
            for (key, value) in [
                ("domain", "a.test"),
                ("p", "reject"),
                ("sp", "quarantine"),
                ("np", "reject"),
                ("adkim", "s"),
                ("aspf", "r"),
                ("testing", "y"),
                ("fo", "1"),
            ] {
                assert_eq!(published[key], value, "{key}: {published}");
            }
            let rows = read["records"].as_array().unwrap();
            assert_eq!(rows.len(), report.rows.len());
            for (read, (row, count)) in rows.iter().zip(&report.rows) {
                assert_eq!((&read["source"]["ip_address"], &read["count"]), (&json!(row.source.to_string()), &json!(count)));
                let evaluated = &read["policy_evaluated"];
                assert_eq!(evaluated["disposition"], json!(row.disposition.to_string()));
                assert_eq!(
                    (&read["alignment"]["dkim"], &read["alignment"]["spf"]),
                    (&json!(row.dkim_aligned), &json!(row.spf_aligned))
                );
                let reasons: Vec<_> = row.reasons.iter().map(|one| json!({"type": one.kind, "comment": one.comment})).collect();
                assert_eq!(evaluated["policy_override_reasons"], json!(reasons));
                assert_eq!(read["identifiers"]["header_from"], json!(row.header_from));
                let spf = row.spf.as_ref().unwrap();
                assert_eq!(
                    (&read["auth_results"]["spf"][0]["domain"], &read["auth_results"]["spf"][0]["result"]),
                    (&json!(spf.domain), &json!(spf.result))
                );
                let signatures: Vec<_> = read["auth_results"]["dkim"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| (&one["domain"], &one["selector"], &one["result"]))
                    .collect();
                let ours: Vec<_> =
                    row.signatures.iter().map(|one| (json!(one.domain), json!(one.selector), json!(one.result))).collect();
                assert_eq!(
                    signatures,
                    ours.iter().map(|(domain, selector, result)| (domain, selector, result)).collect::<Vec<_>>()
                );
            }
        },
    );
}

#[test]
fn parsedmarc_counts_what_our_report_on_tls_counts() {
    run_with_pypi(concat!(module_path!(), "::parsedmarc_counts_what_our_report_on_tls_counts"), "parsedmarc", |world, pypi| {
        let failure = |result_type: tls_rpt::ResultType, count| tls_rpt::FailureDetail {
            failure: tls_rpt::Failure {
                result_type: result_type.to_string(),
                sending_mta_ip: Some("192.0.2.1".to_owned()),
                receiving_mx_hostname: Some("mx.a.test".to_owned()),
                receiving_ip: Some("2001:db8::9".to_owned()),
                failure_reason_code: Some("it is for other.test".to_owned()),
            },
            failed_session_count: count,
        };
        let report = tls_rpt::Report {
            organization_name: "Firma Größe".to_owned(),
            date_range: tls_rpt::DateRange::day(DAY),
            contact_info: Some("reports@ours.test".to_owned()),
            report_id: "2@mx.ours.test".to_owned(),
            policies: vec![tls_rpt::PolicyResult {
                policy: tls_rpt::AppliedPolicy {
                    policy_type: tls_rpt::PolicyType::Sts,
                    policy_string: vec!["version: STSv1".to_owned(), "mode: enforce".to_owned()],
                    policy_domain: "a.test".to_owned(),
                    mx_host: vec!["*.a.test".to_owned()],
                },
                summary: tls_rpt::Summary { total_successful_session_count: 12, total_failure_session_count: 3 },
                failure_details: vec![
                    failure(tls_rpt::ResultType::CertificateHostMismatch, 2),
                    failure(tls_rpt::ResultType::StarttlsNotSupported, 1),
                ],
            }],
        };
        let letter = enclosed(|envelope| tls_rpt::ReportLetter { envelope, report: &report }.to_message());
        let read = read_by_parsedmarc(world, pypi, "tls.eml", &letter);
        assert_eq!(read["report_type"], "smtp_tls");
        let read = &read["report"];
        assert_eq!((&read["organization_name"], &read["report_id"]), (&json!("Firma Größe"), &json!("2@mx.ours.test")));
        assert_eq!((&read["begin_date"], &read["end_date"]), (&json!("2026-11-25T00:00:00Z"), &json!("2026-11-25T23:59:59Z")));
        let policy = &read["policies"][0];
        assert_eq!((&policy["policy_domain"], &policy["policy_type"]), (&json!("a.test"), &json!("sts")));
        assert_eq!((&policy["successful_session_count"], &policy["failed_session_count"]), (&json!(12), &json!(3)));
        let details = policy["failure_details"].as_array().unwrap();
        let counted: Vec<_> = details.iter().map(|one| (&one["result_type"], &one["failed_session_count"])).collect();
        assert_eq!(counted, [(&json!("certificate-host-mismatch"), &json!(2)), (&json!("starttls-not-supported"), &json!(1))]);
    });
}

/// The report that is sent at once on a letter that failed.
#[test]
fn parsedmarc_reads_what_our_report_on_a_failure_says() {
    run_with_pypi(
        concat!(module_path!(), "::parsedmarc_reads_what_our_report_on_a_failure_says"),
        "parsedmarc",
        |world, pypi| {
            let (from, to) = ("reports@ours.test".parse().unwrap(), "ruf@a.test".parse().unwrap());
            let (submitter, id) = ("mx.ours.test".parse().unwrap(), LetterId::from_bytes([9; 16]));
            let failure = Failure {
            letter: LetterId::from_bytes([7; 16]),
            at: DAY,
            source: "192.0.2.7".parse().unwrap(),
            mail_from: "x@evil.test".to_owned(),
            domain: "news.a.test".to_owned(),
            published: dmarc_report().published,
            kind: FailureKind::Dmarc,
            is_dkim_unaligned: true,
            is_spf_unaligned: true,
            done: Policy::Reject,
            results: "Authentication-Results: mx.ours.test;\r\n\tdmarc=fail header.from=news.a.test\r\n".to_owned(),
            signature: Some(("a.test".to_owned(), Some("@a.test".to_owned()), "s1".to_owned())),
            spf: vec![("a.test".to_owned(), "v=spf1 -all".to_owned())],
            header: b"From: Alice <alice@news.a.test>\r\nTo: bob@ours.test\r\nSubject: Your invoice\r\nDate: Wed, 25 Nov 2026 00:00:00 +0000\r\nMessage-ID: <1@evil.test>\r\n".to_vec(),
        };
            let redaction = Redaction::new(b"key");
            let (failure, redaction) = (&failure, Some(&redaction));
            let letter =
                FailureLetter { from: &from, to: &to, submitter: &submitter, id, at: DAY, incidents: 3, failure, redaction };
            let read = read_by_parsedmarc(world, pypi, "failure.eml", &letter.to_message());
            assert!(["failure", "forensic"].contains(&read["report_type"].as_str().unwrap()), "{read}");
            let read = &read["report"];
            for (key, value) in [
                ("feedback_type", json!("auth-failure")),
                ("reported_domain", json!("news.a.test")),
                ("auth_failure", json!(["dmarc"])),
                // What it calls our Identity-Alignment.
                ("authentication_mechanisms", json!(["dkim", "spf"])),
                ("authentication_results", json!("mx.ours.test; dmarc=fail header.from=news.a.test")),
                ("delivery_result", json!("reject")),
                ("incidents", json!("3")),
                ("dkim_domain", json!("a.test")),
                ("spf_dns", json!("txt : a.test : \"v=spf1 -all\"")),
            ] {
                assert_eq!(read[key], value, "{key}: {read}");
            }
            assert_eq!(read["source"]["ip_address"], "192.0.2.7");
            assert_eq!(read["arrival_date_utc"], "2026-11-25 00:00:00");
            assert_eq!(read["parsed_sample"]["subject"], "Your invoice");
            assert!(!read.to_string().contains("bob@ours") && !read.to_string().contains("x@evil"), "{read}");
        },
    );
}

/// A forwarder for `theirs.test`, with hashes as long as ours.
struct Postsrsd(#[expect(dead_code, reason = "it runs as long as this is held")] Guard);

impl Postsrsd {
    fn start(world: &World, domain: &str, key: &str) -> Self {
        let secret = world.folder("postsrsd").join(domain);
        fs::write(&secret, format!("{key}\n")).unwrap();
        let mut command = Command::new("postsrsd");
        command.arg(format!("-s{}", secret.display())).arg(format!("-d{domain}")).args(["-n6", "-4", "-A"]);
        let running = Self(Guard::spawn(&mut command));
        world.listening("127.0.0.1", 10_001);
        world.listening("127.0.0.1", 10_002);
        running
    }

    fn ask(port: u16, address: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(format!("get {address}\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line.trim_end().strip_prefix("200 ").unwrap_or_else(|| panic!("{address}: {line}")).to_owned()
    }

    fn forward(address: &str) -> String {
        Self::ask(10_001, address)
    }

    fn back(address: &str) -> String {
        Self::ask(10_002, address)
    }
}

fn forward(key: &str, sender: &str, domain: &str) -> String {
    let now = UnixMillis(clock::unix_millis());
    srs::forward(key.as_bytes(), &sender.parse().unwrap(), &domain.parse().unwrap(), now).unwrap().to_string()
}

fn back(key: &str, address: &str) -> Result<String, srs::SrsError> {
    let address: Address = address.parse().unwrap();
    let now = UnixMillis(clock::unix_millis());
    srs::back(&[key.as_bytes().to_vec()], address.local().as_str(), now).map(|address| address.to_string())
}

in_a_world! {
    fn an_address_that_we_write_is_the_one_that_postsrsd_writes(world) {
        const KEY: &str = "a key of some length";
        let _theirs = Postsrsd::start(world, "ours.test", KEY);
        for sender in ["alice@a.test", "Alice.B=c+d@a.test", "SRS0=abcd=XY=a.test=alice@f.test", "SRS1=abcd=f.test==abcd=XY=a.test=alice@g.test"] {
            // Two that are asked around midnight may be of two days.
            let (before, theirs, after) = (forward(KEY, sender, "ours.test"), Postsrsd::forward(sender), forward(KEY, sender, "ours.test"));
            assert!(theirs == before || theirs == after, "{sender}: {theirs}, and not {before}");
            // Each leads the other's back.
            let first = sender.replace("SRS1=abcd=f.test==", "SRS0=").replace("@g.test", "@f.test");
            assert_eq!(Postsrsd::back(&before), first);
            assert_eq!(back(KEY, &theirs), Ok(first));
        }
    }

    fn a_letter_that_is_forwarded_by_postsrsd_and_by_us_finds_its_way_back(world) {
        const OURS: &str = "our key";
        let _theirs = Postsrsd::start(world, "theirs.test", "their key");
        // First by us, then by them, and the bounce back.
        let ours = forward(OURS, "alice@a.test", "ours.test");
        let theirs = Postsrsd::forward(&ours);
        assert!(theirs.starts_with("SRS1=") && theirs.ends_with("@theirs.test"), "{theirs}");
        assert_eq!(Postsrsd::back(&theirs), ours);
        assert_eq!(back(OURS, &ours), Ok("alice@a.test".to_owned()));
        assert_eq!(back(OURS, &theirs), Err(srs::SrsError::Forged), "it is theirs");
        // First by them, then by us.
        let theirs = Postsrsd::forward("alice@a.test");
        let ours = forward(OURS, &theirs, "ours.test");
        assert_eq!(back(OURS, &ours), Ok(theirs.clone()));
        assert_eq!(Postsrsd::back(&theirs), "alice@a.test");
        // Round once more: the chain does not grow, and still leads to the first.
        let again = Postsrsd::forward(&ours);
        assert_eq!(Postsrsd::back(&again), theirs);
    }
}
