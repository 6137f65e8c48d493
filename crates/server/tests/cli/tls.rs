//! `tls check`, and what `domain dns` says of our certificate.

use std::fs;

use posthouse_runtime::tls::{Ca, PublicKey};
use posthouse_testkit::name_server::NameServer;
use tempfile::TempDir;

use super::*;

/// A configuration with one certificate, in a folder that has nothing else.
fn site(names: &NameServer, more: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let listener = "[[listener]]\nkind = \"mx\"\naddress = \"127.0.0.1:0\"\n";
    let text = format!(
        "hostname = \"mail.example.test\"\ndata = \"data\"\n{listener}[dns]\nservers = [\"{}\"]\n[mta-sts]\nobey = false\n{more}",
        names.address()
    );
    fs::write(folder.path().join("posthouse.toml"), text).unwrap();
    folder
}

#[test]
fn what_a_letter_would_meet_is_told_with_its_reasons() {
    let names = NameServer::start("far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\nnomail.test MX 0 .");
    let folder = site(&names, "[[delivery.destination]]\nname = \"far.test\"\ntls = \"require\"\n");
    let check = |words: &[&str]| run(folder.path(), &[&["tls", "check"], words].concat());
    let said = check(&["far.test", "--no-connect"]).ok();
    assert!(said.contains("far.test MX: 10 mx.far.test"), "{said}");
    assert!(said.contains("mx.far.test: encrypted, as the operator asks"), "{said}");
    assert!(said.contains("no DANE: DNSSEC does not vouch for the host's addresses"), "{said}");
    names.sign();
    let json = check(&["far.test", "--no-connect", "--json"]).json();
    assert_eq!(json["hosts"][0]["dane"], "there are no TLSA records", "{json}");
    assert_eq!(json["mx"]["authenticated"], true, "{json}");
    // MX records that nobody vouches for are no way for a letter that requires TLS.
    let refused = check(&["nomail.test"]);
    refused.fails(75, "");
    assert!(refused.out.contains("556 5.1.10"), "{}", refused.out);
}

#[test]
fn a_letter_that_requires_tls_is_told_apart() {
    let names = NameServer::start("far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1");
    let folder = site(&names, "");
    let refused = run(folder.path(), &["tls", "check", "far.test", "--require-tls", "--no-connect"]);
    refused.fails(75, "");
    assert!(refused.out.contains("not used: 550 5.7.30"), "{}", refused.out);
}

#[test]
fn the_records_of_the_key_in_use_and_of_the_next_are_printed() {
    let names = NameServer::start("");
    let folder = site(&names, "[tls]\nnext-key = \"next.key\"\n[[tls.certificate]]\ncert = \"a.pem\"\nkey = \"a.key\"\n");
    let ca = Ca::load_or_create(&folder.path().join("made")).unwrap();
    for (name, of) in [("a", "mail.example.test"), ("next", "mail.example.test")] {
        let (cert, key) = ca.issue(&[of.to_owned()]).unwrap();
        fs::write(folder.path().join(format!("{name}.pem")), cert).unwrap();
        fs::write(folder.path().join(format!("{name}.key")), key).unwrap();
    }
    run(folder.path(), &["domain", "add", "example.test"]).ok();
    let said = run(folder.path(), &["domain", "dns", "example.test"]).ok();
    let records: Vec<&str> = said.lines().filter(|line| line.contains(" IN TLSA 3 1 1 ")).collect();
    assert_eq!(records.len(), 2, "{said}");
    assert!(records.iter().all(|line| line.starts_with("_25._tcp.mail.example.test. ")), "{said}");
    // The same key, by its certificate and by itself.
    let by_certificate = PublicKey::of_certificate(&folder.path().join("next.pem")).unwrap();
    let by_itself = PublicKey::of_private_key(&folder.path().join("next.key")).unwrap();
    assert_eq!(by_certificate.spki, by_itself.spki);
    assert!(by_certificate.is_for("MAIL.example.test") && !by_certificate.is_for("example.test"));
}
