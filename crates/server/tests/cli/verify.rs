//! `posthouse verify`: the verdicts from the shell.

use std::path::Path;

use super::run;

/// The example of RFC 8463 §A.3.
const LETTER: &str = "\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
";
const ZONE: &str = r#"
$ORIGIN football.example.com.
@ IN TXT "v=spf1 ip4:192.0.2.1 -all"
brisbane._domainkey IN TXT ( "v=DKIM1; k=ed25519; "
    "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" )
test._domainkey IN TXT "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR" "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
_dmarc IN TXT "v=DMARC1; p=reject"
"#;

fn verify(folder: &Path, ip: &str, zone: &str, more: &[&str]) -> super::Done {
    std::fs::write(folder.join("letter.eml"), LETTER).unwrap();
    std::fs::write(folder.join("case.zone"), zone).unwrap();
    let words = ["verify", "letter.eml", "--zone", "case.zone", "--ip", ip, "--helo", "mx.example.com"];
    run(folder, &[&words[..], &["--mail-from", "joe@football.example.com"], more].concat())
}

#[test]
fn the_example_of_the_standard_passes_and_every_record_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let said = verify(folder.path(), "192.0.2.1", ZONE, &["--json"]).json();
    assert_eq!(said["spf"]["result"], "pass");
    assert_eq!(said["dkim"][0]["result"], "pass", "{}", said["dkim"]);
    assert_eq!(said["dkim"][1]["result"], "pass", "{}", said["dkim"]);
    assert_eq!((&said["dmarc"]["result"], &said["dmarc"]["disposition"]), (&"pass".into(), &"none".into()));
    assert_eq!(said["arc"]["result"], "none");
    assert_eq!(said["spf"]["records"][0]["records"][0], "v=spf1 ip4:192.0.2.1 -all");
    let text = verify(folder.path(), "192.0.2.1", ZONE, &[]).ok();
    assert!(text.contains("dmarc pass: SPF and DKIM passed for football.example.com"), "{text}");
    assert!(text.contains("  _dmarc.football.example.com TXT: v=DMARC1; p=reject"), "{text}");
}

#[test]
fn trouble_marked_in_the_zone_is_trouble_and_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let zone = ZONE
        .replace("@ IN TXT \"v=spf1 ip4:192.0.2.1 -all\"", "@ TIMEOUT")
        .replace("brisbane._domainkey IN TXT (", "brisbane._domainkey SERVFAIL\nx (");
    let zone = zone.replace(
        "x ( \"v=DKIM1; k=ed25519; \"\n    \"p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\" )",
        "test2._domainkey TXT x",
    );
    let zone = zone.replace("test._domainkey IN TXT", "other._domainkey IN TXT");
    let said = verify(folder.path(), "192.0.2.1", &zone, &["--json"]).json();
    assert_eq!(said["spf"]["result"], "temperror");
    assert_eq!(said["dkim"][0]["result"], "temperror");
    assert_eq!(said["dkim"][1]["result"], "permerror");
    assert_eq!((&said["dmarc"]["result"], &said["dmarc"]["disposition"]), (&"temperror".into(), &"none".into()));
}

#[test]
fn a_forgery_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let zone = ZONE.replace("test._domainkey", "gone._domainkey").replace("brisbane._domainkey", "away._domainkey");
    let said = verify(folder.path(), "198.51.100.9", &zone, &["--json"]).json();
    assert_eq!(said["spf"]["result"], "fail");
    assert_eq!((&said["dmarc"]["result"], &said["dmarc"]["disposition"]), (&"fail".into(), &"reject".into()));
}

#[test]
fn a_zone_that_cannot_be_read_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    verify(folder.path(), "192.0.2.1", "a.test A nonsense", &[]).fails(65, "case.zone: not a record: line 1");
}

#[test]
fn what_would_become_of_the_letter_is_said_for_each_policy() {
    let folder = tempfile::tempdir().unwrap();
    let gone = ZONE.replace("test._domainkey", "gone._domainkey").replace("brisbane._domainkey", "away._domainkey");
    for (zone, actions, text) in [
        (ZONE.to_owned(), ["taken", "taken", "taken"], "letter by policy: mark taken, quarantine taken, enforce taken"),
        (
            gone.clone(),
            ["taken", "quarantined", "refused"],
            "letter by policy: mark taken, quarantine quarantined, enforce refused",
        ),
        (
            gone.replace("_dmarc IN TXT \"v=DMARC1; p=reject\"", "_dmarc SERVFAIL"),
            ["taken", "put-off", "put-off"],
            "letter by policy: mark taken, quarantine put off, enforce put off",
        ),
    ] {
        let ip = if zone == ZONE { "192.0.2.1" } else { "198.51.100.9" };
        let said = verify(folder.path(), ip, &zone, &["--json"]).json();
        let [mark, quarantine, enforce] = actions;
        let expected = serde_json::json!({ "mark": mark, "quarantine": quarantine, "enforce": enforce });
        assert_eq!(said["actions"], expected, "{said}");
        assert_eq!(said["warnings"], serde_json::json!([]));
        let shown = verify(folder.path(), ip, &zone, &[]).ok();
        assert!(shown.contains(text), "{shown}");
        assert_eq!(shown.contains("disposition: not known yet"), mark != quarantine && quarantine == "put-off", "{shown}");
    }
}

#[test]
fn a_letter_without_a_signature_has_the_verdict_none() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plain.eml"), "From: a@b.test\n\nx\n").unwrap();
    std::fs::write(folder.path().join("case.zone"), "").unwrap();
    let words = ["verify", "plain.eml", "--zone", "case.zone", "--ip", "192.0.2.1", "--helo", "h", "--mail-from", "<>", "--json"];
    let said = run(folder.path(), &words).json();
    assert_eq!(said["dkim"].as_array().unwrap().len(), 1);
    assert_eq!((&said["dkim"][0]["result"], &said["dkim"][0]["reason"]), (&"none".into(), &"there is no signature".into()));
    assert_eq!((&said["iprev"]["result"], &said["iprev"]["reason"]), (&"permerror".into(), &"192.0.2.1 has no name".into()));
}

#[test]
fn a_letter_out_of_a_mailbox_file_is_read_without_its_from_line() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("case.zone"), ZONE).unwrap();
    for (name, letter) in [("lf", LETTER.to_owned()), ("crlf", LETTER.replace('\n', "\r\n"))] {
        let end = if name == "lf" { "\n" } else { "\r\n" };
        let letter = format!("From joe@football.example.com Fri Jul 11 21:00:37 2003{end}{letter}{end}");
        std::fs::write(folder.path().join(name), letter).unwrap();
        let words = ["verify", name, "--zone", "case.zone", "--ip", "192.0.2.1", "--helo", "h", "--mail-from", "", "--json"];
        let said = run(folder.path(), &words).json();
        assert_eq!(said["dkim"][1]["result"], "pass", "{name}: {said}");
    }
}

#[test]
fn a_reverse_path_that_is_no_address_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("letter.eml"), LETTER).unwrap();
    for path in ["joe", "football.example.com", "joe@", "<joe>"] {
        let words = ["verify", "letter.eml", "--ip", "192.0.2.1", "--helo", "h", "--mail-from", path];
        run(folder.path(), &words).fails(64, &format!("--mail-from: `{path}` is no address: write one, or '' for a bounce"));
    }
}

#[test]
fn a_policy_that_the_zone_cuts_at_a_semicolon_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let zone = ZONE.replace("\"v=DMARC1; p=reject\"", "v=DMARC1; p=reject");
    let done = verify(folder.path(), "192.0.2.1", &zone, &["--json"]).json();
    let warning = "case.zone: line 7: `; p=reject` is a comment, for the text has no quotes: write \"…\" around it";
    assert_eq!(done["warnings"], serde_json::json!([warning]));
    assert_eq!((&done["dmarc"]["result"], &done["dmarc"]["policy"]), (&"none".into(), &serde_json::Value::Null));
    let quoted = verify(folder.path(), "192.0.2.1", &format!("{ZONE}x TXT v=spf1 ; for tests\n"), &["--json"]).json();
    assert_eq!(quoted["warnings"], serde_json::json!([]));
}
