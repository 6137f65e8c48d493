use std::time::Duration;

use super::*;

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// What the records lead to: `id`, `none`, or `broken`.
fn record(all: &[&str]) -> String {
    match Record::read(&texts(all)) {
        Ok(Some(record)) => record.id().to_owned(),
        Ok(None) => "none".to_owned(),
        Err(_) => "broken".to_owned(),
    }
}

#[test]
fn records_that_announce_a_policy_and_those_that_do_not() {
    let rows: &[(&str, &[&str], &str)] = &[
        ("as the standard shows it", &["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        ("no end", &["v=STSv1;id=1"], "1"),
        ("white space around the delimiter", &["v=STSv1 \t;\tid=a1 ; "], "a1"),
        ("an unknown field", &["v=STSv1; foo=b:ar; id=1; x.y-z_9=!"], "1"),
        ("the first of two ids", &["v=STSv1; id=1; id=2;"], "1"),
        ("other texts beside it", &["v=spf1 -all", "v=STSv1; id=1;", "hello"], "1"),
        ("no text", &[], "none"),
        ("another version", &["v=STSv2; id=1;"], "none"),
        ("a version that only begins so", &["v=STSv10; id=1;"], "none"),
        ("the version in other letters", &["v=stsv1; id=1;"], "none"),
        ("the version does not stand first", &["id=1; v=STSv1;"], "none"),
        ("white space in front", &[" v=STSv1; id=1;"], "none"),
        ("nothing but the version", &["v=STSv1"], "none"),
        ("two records", &["v=STSv1; id=1;", "v=STSv1; id=1;"], "broken"),
        ("one record and a broken one", &["v=STSv1; id=1;", "v=STSv1;"], "broken"),
        ("no id", &["v=STSv1;"], "broken"),
        ("an empty id", &["v=STSv1; id=;"], "broken"),
        ("an id of other characters", &["v=STSv1; id=2016-08-31;"], "broken"),
        ("an id that is too long", &["v=STSv1; id=123456789012345678901234567890123;"], "broken"),
        ("a field without a value", &["v=STSv1; id"], "broken"),
        ("an empty field", &["v=STSv1;; id=1"], "broken"),
    ];
    for (name, all, expected) in rows {
        assert_eq!(record(all), *expected, "{name}");
    }
    assert!(Record::read(&[b"v=STSv1; id=\xff;".to_vec()]).is_err());
    assert_eq!(Record::new("20261126").map(|record| record.to_string()).as_deref(), Ok("v=STSv1; id=20261126;"));
    assert!(Record::new("a; id=b").is_err());
}

/// What a body leads to, in short: `mode hosts seconds`, or the error.
fn policy(body: &str) -> String {
    match Policy::parse(body.as_bytes()) {
        Ok(policy) => {
            let hosts: Vec<_> = policy.mx.iter().map(ToString::to_string).collect();
            format!("{} {} {}", policy.mode, hosts.join(","), policy.max_age.as_secs())
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn policies_are_read_as_the_grammar_has_them() {
    let rows: &[(&str, &str, &str)] = &[
        (
            "as the standard shows it",
            "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n",
            "enforce mail.example.com,*.example.net,backupmx.example.com 604800",
        ),
        ("CRLF", "version: STSv1\r\nmode: testing\r\nmx: a.test\r\nmax_age: 1\r\n", "testing a.test 1"),
        ("both, and no end", "version: STSv1\nmode: testing\r\nmx: a.test\nmax_age: 1", "testing a.test 1"),
        ("white space behind, none in front", "version:STSv1 \nmode:\tenforce\t\nmx:a.test  \nmax_age:7 \n", "enforce a.test 7"),
        ("any order", "max_age: 5\nmx: a.test\nmode: enforce\nversion: STSv1\n", "enforce a.test 5"),
        ("empty lines", "version: STSv1\n\nmode: enforce\nmx: a.test\nmax_age: 5\n\n\n", "enforce a.test 5"),
        ("unknown fields", "version: STSv1\nfoo: b: a r\nmode: enforce\nmx: a.test\nmax_age: 5\n", "enforce a.test 5"),
        (
            "the first of those that come twice",
            "version: STSv1\nmode: enforce\nmode: none\nmx: a.test\nmax_age: 5\nmax_age: 6\nversion: STSv2\n",
            "enforce a.test 5",
        ),
        ("none needs no hosts", "version: STSv1\nmode: none\nmax_age: 5\n", "none  5"),
        (
            "hosts in the form of the DNS",
            "version: STSv1\nmode: enforce\nmx: MX.Bücher.test\nmax_age: 5\n",
            "enforce mx.xn--bcher-kva.test 5",
        ),
        ("a dot at the end", "version: STSv1\nmode: enforce\nmx: *.a.test.\nmax_age: 5\n", "enforce *.a.test 5"),
        ("more than a year", "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 9999999999\n", "enforce a.test 31557600"),
        ("zero", "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 0\n", "enforce a.test 0"),
    ];
    for (name, body, expected) in rows {
        assert_eq!(policy(body), *expected, "{name}");
    }
}

#[test]
fn what_is_no_policy_says_why() {
    let rows: &[(&str, &str, &str)] = &[
        ("nothing", "", "the policy has no `version`"),
        ("no mode", "version: STSv1\nmx: a.test\nmax_age: 5\n", "the policy has no `mode`"),
        ("no age", "version: STSv1\nmode: enforce\nmx: a.test\n", "the policy has no `max_age`"),
        ("no hosts", "version: STSv1\nmode: testing\nmax_age: 5\n", "the policy has no `mx`"),
        (
            "another version",
            "version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 5\n",
            "`STSv2` is no value of `version` in a policy",
        ),
        (
            "a mode in other letters",
            "version: STSv1\nmode: Enforce\nmx: a.test\nmax_age: 5\n",
            "`Enforce` is no value of `mode` in a policy",
        ),
        (
            "a negative age",
            "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: -1\n",
            "`-1` is no value of `max_age` in a policy",
        ),
        (
            "an age with a sign",
            "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: +1\n",
            "`+1` is no value of `max_age` in a policy",
        ),
        (
            "an age of eleven digits",
            "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 10000000000\n",
            "`10000000000` is no value of `max_age` in a policy",
        ),
        (
            "a wildcard inside",
            "version: STSv1\nmode: enforce\nmx: mx*.a.test\nmax_age: 5\n",
            "`mx*.a.test` is no value of `mx` in a policy",
        ),
        (
            "two wildcards",
            "version: STSv1\nmode: enforce\nmx: *.*.a.test\nmax_age: 5\n",
            "`*.*.a.test` is no value of `mx` in a policy",
        ),
        ("a bare wildcard", "version: STSv1\nmode: enforce\nmx: *\nmax_age: 5\n", "`*` is no value of `mx` in a policy"),
        (
            "an address",
            "version: STSv1\nmode: enforce\nmx: [192.0.2.1]\nmax_age: 5\n",
            "`[192.0.2.1]` is no value of `mx` in a policy",
        ),
        ("a page", "<!DOCTYPE html>\n<html>", "line 1 of the policy is no field: `<!DOCTYPE html>`"),
        ("no value", "version: STSv1\nmode:\n", "line 2 of the policy is no field: `mode:`"),
        ("white space before the colon", "version : STSv1\n", "line 1 of the policy is no field: `version : STSv1`"),
        ("a bare CR", "version: STSv1\rmode: enforce\n", "line 1 of the policy is no field: `version: STSv1mode: enforce`"),
    ];
    for (name, body, expected) in rows {
        assert_eq!(policy(body), *expected, "{name}");
    }
    assert_eq!(Policy::parse(b"version: STSv1\xff"), Err(PolicyError::NotText));
}

#[test]
fn a_policy_without_end_is_not_read() {
    let head = "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 5\n";
    let filled = |octets: usize| format!("{head}x: {}\n", "y".repeat(octets - head.len() - 4));
    assert!(Policy::parse(filled(64 * 1024).as_bytes()).is_ok());
    assert_eq!(Policy::parse(filled(64 * 1024 + 1).as_bytes()), Err(PolicyError::TooLong));
    assert!(matches!(Policy::parse("\n".repeat(5000).as_bytes()), Err(PolicyError::TooMany(_))));
    assert!(matches!(Policy::parse(format!("{head}{}", "mx: b.test\n".repeat(1000)).as_bytes()), Err(PolicyError::TooMany(_))));
}

#[test]
fn a_wildcard_stands_for_one_label_and_never_for_none() {
    let rows = [
        ("mail.example.com", "mail.example.com", true),
        ("mail.example.com", "MAIL.Example.COM", true),
        ("mail.example.com", "other.example.com", false),
        ("mail.example.com", "a.mail.example.com", false),
        ("*.example.com", "mail.example.com", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", "a.mail.example.com", false),
        ("*.example.com", "mailexample.com", false),
        ("*.example.com", "[192.0.2.1]", false),
        ("*.bücher.test", "mx.xn--bcher-kva.test", true),
    ];
    for (pattern, host, expected) in rows {
        let pattern: Pattern = pattern.parse().expect("a pattern");
        assert_eq!(pattern.matches(&host.parse().expect("a host")), expected, "{pattern} {host}");
    }
}

#[test]
fn a_policy_taken_back_allows_every_host() {
    let none = Policy::parse(b"version: STSv1\nmode: none\nmx: a.test\nmax_age: 5\n").expect("a policy");
    assert!(none.allows(&"b.test".parse().expect("a host")));
    let testing = Policy { mode: Mode::Testing, ..none };
    assert!(!testing.allows(&"b.test".parse().expect("a host")));
}

#[test]
fn what_is_served_is_read_again_and_its_name_changes_with_it() {
    let mx = vec!["mx.a.test".parse().expect("a host"), "*.b.test".parse().expect("a host")];
    let one = Policy { mode: Mode::Enforce, mx, max_age: Duration::from_hours(24) };
    assert_eq!(one.to_string(), "version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmx: *.b.test\r\nmax_age: 86400\r\n");
    assert_eq!(Policy::parse(one.to_string().as_bytes()).as_ref(), Ok(&one));
    let other = Policy { mode: Mode::Testing, ..one.clone() };
    assert_eq!(one.id(), one.clone().id());
    assert_ne!(one.id(), other.id());
    assert!(Record::new(&one.id()).is_ok(), "{}", one.id());
}
