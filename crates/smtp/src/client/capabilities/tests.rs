use posthouse_mail::UnixMillis;
use posthouse_sasl::Mechanism;

use super::*;

fn parse(lines: &[&str]) -> Capabilities {
    let all = ["mx.example"].iter().chain(lines);
    Capabilities::parse(&Reply::bare(250, "").with_lines(all))
}

#[test]
fn every_keyword_is_read_in_any_case() {
    let found = parse(&[
        "size 1000",
        "8bitmime",
        "BINARYMIME",
        "Chunking",
        "SMTPUTF8",
        "DSN",
        "PIPELINING",
        "ENHANCEDSTATUSCODES",
        "STARTTLS",
        "AUTH PLAIN LOGIN GSSAPI",
        "AUTH=PLAIN SCRAM-SHA-256",
        "LIMITS RCPTMAX=20 MAILMAX=5 rcptdomainmax=2",
        "mt-priority MIXER",
        "DELIVERBY 60,X-OTHER",
        "FUTURERELEASE 86400 2026-11-25T03:12:03Z",
        "requiretls",
        "X-OTHER 1 2 3",
    ]);
    let expected = Capabilities {
        name: "mx.example".to_owned(),
        size: true,
        size_max: Some(1000),
        eight_bit_mime: true,
        binary_mime: true,
        chunking: true,
        smtputf8: true,
        dsn: true,
        pipelining: true,
        enhanced_status_codes: true,
        start_tls: true,
        auth: vec![Mechanism::Plain.into(), Mechanism::Login.into(), Mechanism::ScramSha256.into()],
        auth_text: "PLAIN LOGIN GSSAPI PLAIN SCRAM-SHA-256".to_owned(),
        limits: Limits { letters_max: Some(5), recipients_max: Some(20), recipient_domains_max: Some(2) },
        mt_priority: true,
        deliver_by: true,
        deliver_by_seconds_min: Some(60),
        require_tls: true,
        future_release: Some(FutureRelease { seconds_max: 86_400, until_max: UnixMillis(1_795_576_323_000) }),
    };
    assert_eq!(found, expected);
}

#[test]
fn the_servers_name_is_no_keyword() {
    let named = Capabilities { name: "PIPELINING".to_owned(), ..Capabilities::default() };
    assert_eq!(Capabilities::parse(&Reply::bare(250, "PIPELINING")), named);
}

#[test]
fn broken_parameters_count_as_absent() {
    let found = parse(&["SIZE lots", "LIMITS RCPTMAX=0 MAILMAX=-1 x", "BINARYMIME", "", "DELIVERBY soon", "FUTURERELEASE 86400"]);
    let name = "mx.example".to_owned();
    let expected = Capabilities { name, size: true, deliver_by: true, ..Capabilities::default() };
    assert_eq!(found, expected);
    assert_eq!(parse(&["SIZE 0"]).size_max, None);
    assert_eq!(parse(&["SIZE 99999999999999999999999"]).size_max, None);
}
