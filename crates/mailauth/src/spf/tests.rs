use posthouse_dns::Zone;
use posthouse_runtime::block_on;

use super::*;

fn verdict(zone: &Zone, ip: &str, mail_from: &str) -> Spf {
    let question =
        Question { ip: ip.parse().unwrap(), helo: "mx.b.test", mail_from, receiver: "mx.here.test", now: 1_795_489_929 };
    block_on(check(zone, question)).unwrap()
}

#[test]
fn a_record_cannot_make_us_ask_without_end() {
    // Each includes two others, each of which includes two others …
    let zone: String = (0..64)
        .map(|n| format!("n{n}.b.test. TXT \"v=spf1 include:n{}.b.test include:n{}.b.test -all\"\n", n * 2 + 1, n * 2 + 2))
        .collect();
    let found = verdict(&Zone::master(&zone).unwrap(), "192.0.2.1", "a@n0.b.test");
    assert_eq!(found.result, SpfResult::Permerror);
    assert!(found.records.len() <= 11, "{} questions", found.records.len());

    // A hundred mail hosts without addresses, a hundred names of one address.
    let hosts: String = (0..100).map(|n| format!("m.b.test. MX {n} h{n}.b.test.\n192.0.2.1 PTR p{n}.b.test.\n")).collect();
    let zone = Zone::master(&format!("{hosts}\nm.b.test. TXT \"v=spf1 ptr:c.test mx -all\"")).unwrap();
    let found = verdict(&zone, "192.0.2.1", "a@m.b.test");
    assert_eq!(found.result, SpfResult::Permerror, "two names that do not exist are enough");
    assert!(found.records.len() <= 1 + 11 + 4, "{} questions", found.records.len());
}

#[test]
fn records_that_lead_to_themselves_end() {
    let zone =
        Zone::master("i.test.x. TXT \"v=spf1 include:i.test.x -all\"\nr.test.x. TXT \"v=spf1 redirect=r.test.x\"").unwrap();
    for domain in ["i.test.x", "r.test.x"] {
        assert_eq!(verdict(&zone, "192.0.2.1", &format!("a@{domain}")).result, SpfResult::Permerror, "{domain}");
    }
}

#[test]
fn the_record_that_decided_is_named_at_the_end_of_includes_and_redirects() {
    let zone = Zone::master(
        "a.test. TXT \"v=spf1 redirect=b.test\"\nb.test. TXT \"v=spf1 include:no.test include:c.test ~all\"\n\
         no.test. TXT \"v=spf1 include:d.test -all\"\nc.test. TXT \"v=spf1 -include:x.test include:d.test -all\"\n\
         x.test. TXT \"v=spf1 ip4:192.0.2.3 -all\"\nd.test. TXT \"v=spf1 ip4:192.0.2.1 -all\"\ne.test. TXT \"v=spf1 ?ip4:192.0.2.9\"",
    )
    .unwrap();
    for (ip, mail_from, result, place, reason) in [
        (
            "192.0.2.1",
            "x@a.test",
            SpfResult::Pass,
            "d.test",
            "`include:no.test` of b.test matches 192.0.2.1, for `include:d.test` of no.test matches 192.0.2.1, for `ip4:192.0.2.1` of d.test matches 192.0.2.1",
        ),
        // What an excluded record matched is of no account for what matches behind it.
        ("192.0.2.3", "x@b.test", SpfResult::Softfail, "b.test", "`~all` of b.test matches 192.0.2.3"),
        ("192.0.2.2", "x@a.test", SpfResult::Softfail, "b.test", "`~all` of b.test matches 192.0.2.2"),
        ("192.0.2.2", "x@e.test", SpfResult::Neutral, "e.test", "nothing in the record of e.test matches 192.0.2.2"),
    ] {
        let found = verdict(&zone, ip, mail_from);
        assert_eq!((found.result, found.policy_domain.as_deref(), found.reason.as_str()), (result, Some(place), reason));
    }
    assert_eq!(verdict(&zone, "192.0.2.1", "x@nothing.test").policy_domain, None);
}

#[test]
fn trouble_is_told_from_denial() {
    let zone = Zone::master(
        "broken.b.test. SERVFAIL\nslow.b.test. TIMEOUT\n\
         in.b.test. TXT \"v=spf1 include:broken.b.test -all\"\n\
         a.b.test. TXT \"v=spf1 a:slow.b.test -all\"\n\
         early.b.test. TXT \"v=spf1 ip4:192.0.2.1 a:slow.b.test -all\"",
    )
    .unwrap();
    for (domain, result) in [
        ("broken.b.test", SpfResult::Temperror),
        ("slow.b.test", SpfResult::Temperror),
        ("in.b.test", SpfResult::Temperror),
        ("a.b.test", SpfResult::Temperror),
        ("early.b.test", SpfResult::Pass),
        ("none.b.test", SpfResult::None),
    ] {
        assert_eq!(verdict(&zone, "192.0.2.1", &format!("a@{domain}")).result, result, "{domain}");
    }
}

#[test]
fn odd_macros_are_read_or_refused_and_never_harm() {
    for (spec, result) in [
        ("%{l256r}.b.test", SpfResult::Fail),
        ("%{l99999999999999999999}.b.test", SpfResult::Fail),
        ("%{d0}.b.test", SpfResult::Permerror),
        ("%{s=+-/,_.}.b.test", SpfResult::Fail),
        ("%{x}.b.test", SpfResult::Permerror),
        ("%{", SpfResult::Permerror),
        ("%", SpfResult::Permerror),
        ("%{d", SpfResult::Permerror),
        ("%{L}%{L}%{L}.b.test", SpfResult::Fail),
    ] {
        let zone = Zone::master(&format!("b.test. TXT \"v=spf1 exists:{spec} -all\"")).unwrap();
        assert_eq!(verdict(&zone, "2001:db8::1", "a.very-long_local/part=x@b.test").result, result, "{spec}");
    }
}

#[test]
fn the_verdict_names_the_directive_and_every_record_it_read() {
    let zone = Zone::master("b.test. TXT \"v=spf1 mx -all\"\nb.test. MX 10 mx.b.test.\nmx.b.test. A 192.0.2.1").unwrap();
    let found = verdict(&zone, "::ffff:192.0.2.1", "a@b.test");
    assert_eq!((found.result, found.mechanism.as_deref(), found.identity), (SpfResult::Pass, Some("mx"), "mailfrom"));
    let read: Vec<String> =
        found.records.iter().map(|looked| format!("{} {} {}", looked.name, looked.kind, looked.records.join(","))).collect();
    assert_eq!(read, ["b.test TXT v=spf1 mx -all", "b.test MX 10 mx.b.test", "mx.b.test A 192.0.2.1"]);
    let helo = verdict(&Zone::master("mx.b.test. TXT \"v=spf1 -all\"").unwrap(), "192.0.2.1", "");
    assert_eq!((helo.result, helo.identity, helo.domain.as_str()), (SpfResult::Fail, "helo", "mx.b.test"));
}
