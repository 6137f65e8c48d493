use posthouse_dns::Zone;
use posthouse_mail::header::Header;
use posthouse_runtime::block_on;

use super::*;

/// What one row of the table is about.
struct Row {
    name: &'static str,
    zone: &'static str,
    from: &'static str,
    /// Domain for which SPF passed; empty if none did.
    spf: &'static str,
    /// Domain whose signature holds.
    dkim: &'static str,
    result: DmarcResult,
    disposition: Policy,
}

use DmarcResult::{Fail, None as Nothing, Pass, Permerror, Temperror};
use Policy::{None as Keep, Quarantine, Reject};

/// RFC 9989 §4.7, §4.10, §5.3.
const TABLE: &[Row] = &[
    row("no record", "", "a@a.test", "", "", Nothing, Keep),
    row("the author's own record", "_dmarc.a.test. TXT v=DMARC1\\;p=reject", "a@a.test", "", "", Fail, Reject),
    row("spf of the same domain", "_dmarc.a.test. TXT v=DMARC1\\;p=reject", "a@a.test", "a.test", "", Pass, Keep),
    row("dkim of the same domain", "_dmarc.a.test. TXT v=DMARC1\\;p=reject", "a@a.test", "", "a.test", Pass, Keep),
    row("spf of another domain", "_dmarc.a.test. TXT v=DMARC1\\;p=quarantine", "a@a.test", "b.test", "", Fail, Quarantine),
    row("relaxed: a domain below", "_dmarc.a.test. TXT v=DMARC1\\;p=reject", "a@a.test", "m.a.test", "", Pass, Keep),
    row("relaxed: a domain above", "_dmarc.a.test. TXT v=DMARC1\\;p=reject", "x@m.a.test", "", "a.test", Pass, Keep),
    row("relaxed: a sister", "_dmarc.a.test. TXT v=DMARC1\\;p=reject", "x@m.a.test", "n.a.test", "", Pass, Keep),
    row(
        "strict spf: a domain below",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\\;aspf=s",
        "a@a.test",
        "m.a.test",
        "",
        Fail,
        Reject,
    ),
    row(
        "strict spf does not bind dkim",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\\;aspf=s",
        "a@a.test",
        "",
        "m.a.test",
        Pass,
        Keep,
    ),
    row(
        "strict dkim: a domain below",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\\;adkim=s",
        "a@a.test",
        "",
        "m.a.test",
        Fail,
        Reject,
    ),
    row("the name is no suffix of labels", "_dmarc.a.test. TXT v=DMARC1\\;p=reject", "a@a.test", "evila.test", "", Fail, Reject),
    row(
        "p of above for a domain below",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\nm.a.test. A 192.0.2.1",
        "x@m.a.test",
        "",
        "",
        Fail,
        Reject,
    ),
    row(
        "sp for a domain below",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\\;sp=none\nm.a.test. A 192.0.2.1",
        "x@m.a.test",
        "",
        "",
        Fail,
        Keep,
    ),
    row("sp is not for the domain itself", "_dmarc.a.test. TXT v=DMARC1\\;p=reject\\;sp=none", "a@a.test", "", "", Fail, Reject),
    row(
        "np for what does not exist",
        "_dmarc.a.test. TXT v=DMARC1\\;p=none\\;sp=none\\;np=reject",
        "x@m.a.test",
        "",
        "",
        Fail,
        Reject,
    ),
    row(
        "np is not for what has mail",
        "_dmarc.a.test. TXT v=DMARC1\\;p=none\\;np=reject\nm.a.test. MX 1 a.test.",
        "x@m.a.test",
        "",
        "",
        Fail,
        Keep,
    ),
    row(
        "np, and a name with text alone",
        "_dmarc.a.test. TXT v=DMARC1\\;p=none\\;np=reject\nm.a.test. TXT x",
        "x@m.a.test",
        "",
        "",
        Fail,
        Reject,
    ),
    row(
        "np, and nobody can tell",
        "_dmarc.a.test. TXT v=DMARC1\\;p=none\\;np=reject\nm.a.test. SERVFAIL",
        "x@m.a.test",
        "",
        "",
        Temperror,
        Keep,
    ),
    row("a test of reject", "_dmarc.a.test. TXT v=DMARC1\\;p=reject\\;t=y", "a@a.test", "", "", Fail, Quarantine),
    row("a test of quarantine", "_dmarc.a.test. TXT v=DMARC1\\;p=quarantine\\;t=y", "a@a.test", "", "", Fail, Keep),
    row(
        "the fewest labels, not the nearest",
        "_dmarc.a.test. TXT v=DMARC1\\;p=none\n_dmarc.m.a.test. TXT v=DMARC1\\;p=reject\nx.m.a.test. A 192.0.2.1",
        "x@x.m.a.test",
        "",
        "",
        Fail,
        Keep,
    ),
    row(
        "psd=n makes an organization",
        "_dmarc.a.test. TXT v=DMARC1\\;p=none\n_dmarc.m.a.test. TXT v=DMARC1\\;p=reject\\;psd=n",
        "x@x.m.a.test",
        "a.test",
        "",
        Fail,
        Reject,
    ),
    row(
        "psd=y: one label below",
        "_dmarc.gov.test. TXT v=DMARC1\\;p=reject\\;psd=y",
        "x@a.gov.test",
        "m.a.gov.test",
        "",
        Pass,
        Keep,
    ),
    row(
        "psd=y: neighbours are strangers",
        "_dmarc.gov.test. TXT v=DMARC1\\;p=reject\\;psd=y",
        "x@a.gov.test",
        "b.gov.test",
        "",
        Fail,
        Reject,
    ),
    row(
        "psd=y: np of the suffix",
        "_dmarc.gov.test. TXT v=DMARC1\\;p=none\\;np=reject\\;psd=y",
        "x@no.gov.test",
        "",
        "",
        Fail,
        Reject,
    ),
    row(
        "psd=y: the organization's own comes first",
        "_dmarc.gov.test. TXT v=DMARC1\\;p=reject\\;psd=y\n_dmarc.a.gov.test. TXT v=DMARC1\\;p=none\nm.a.gov.test. A 192.0.2.1",
        "x@m.a.gov.test",
        "",
        "",
        Fail,
        Keep,
    ),
    row(
        "two records are none",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\n_dmarc.a.test. TXT v=DMARC1\\;p=none",
        "a@a.test",
        "",
        "",
        Nothing,
        Keep,
    ),
    row(
        "another text beside it",
        "_dmarc.a.test. TXT v=spf1\n_dmarc.a.test. TXT v=DMARC1\\;p=reject",
        "a@a.test",
        "",
        "",
        Fail,
        Reject,
    ),
    row("the version is letter for letter", "_dmarc.a.test. TXT v=dmarc1\\;p=reject", "a@a.test", "", "", Nothing, Keep),
    row("the version stands first", "_dmarc.a.test. TXT p=reject\\;v=DMARC1", "a@a.test", "", "", Nothing, Keep),
    row("without p nothing is asked for", "_dmarc.a.test. TXT v=DMARC1\\;rua=mailto:r@a.test", "a@a.test", "", "", Fail, Keep),
    row(
        "any order behind the version",
        "_dmarc.a.test. TXT \"v=DMARC1; pct=0; foo=bar; fo=1 ; p = reject ;\"",
        "a@a.test",
        "",
        "",
        Fail,
        Reject,
    ),
    row(
        "an alias is followed",
        "_dmarc.a.test. CNAME d.b.test.\nd.b.test. TXT v=DMARC1\\;p=reject",
        "a@a.test",
        "",
        "",
        Fail,
        Reject,
    ),
    row(
        "an `sp` that is none, of a domain that wants reports",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\\;sp=quarantin\\;rua=mailto:r@a.test",
        "a@a.test",
        "",
        "",
        Fail,
        Keep,
    ),
    row("an `sp` that is none", "_dmarc.a.test. TXT v=DMARC1\\;p=reject\\;sp=quarantin", "a@a.test", "", "", Nothing, Keep),
    row(
        "an `np` that is none, of a domain that wants reports",
        "_dmarc.a.test. TXT v=DMARC1\\;p=none\\;sp=reject\\;np=\\;rua=mailto:r@a.test\nm.a.test. A 192.0.2.1",
        "a@m.a.test",
        "",
        "",
        Fail,
        Keep,
    ),
    row("a `p` that is none", "_dmarc.a.test. TXT v=DMARC1\\;p=rejct", "a@a.test", "", "", Nothing, Keep),
    row(
        "a `p` that is none, and no address for reports that is one",
        "_dmarc.a.test. TXT v=DMARC1\\;p=rejct\\;rua=r@a.test",
        "a@a.test",
        "",
        "",
        Nothing,
        Keep,
    ),
    row("no `p`, no reports", "_dmarc.a.test. TXT v=DMARC1\\;sp=reject", "a@a.test", "", "", Nothing, Keep),
    row(
        "a faulty record is the author's own all the same",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\n_dmarc.m.a.test. TXT v=DMARC1\\;p=rejct",
        "a@m.a.test",
        "",
        "",
        Nothing,
        Keep,
    ),
    row(
        "a faulty record that wants reports can be passed",
        "_dmarc.a.test. TXT v=DMARC1\\;p=rejct\\;rua=mailto:r@a.test",
        "a@a.test",
        "m.a.test",
        "",
        Pass,
        Keep,
    ),
    row(
        "of two policies none counts",
        "_dmarc.a.test. TXT v=DMARC1\\;p=none\\;p=reject\\;rua=mailto:r@a.test",
        "a@a.test",
        "",
        "",
        Fail,
        Keep,
    ),
    row(
        "of two alignments none counts",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\\;aspf=s\\;aspf=s",
        "a@a.test",
        "m.a.test",
        "",
        Pass,
        Keep,
    ),
    row("nothing stands before the version", "_dmarc.a.test. TXT \" v=DMARC1; p=reject\"", "a@a.test", "", "", Nothing, Keep),
    row("white space within it", "_dmarc.a.test. TXT \"V = DMARC1 ; p=reject\"", "a@a.test", "", "", Fail, Reject),
    row(
        "trouble at a stranger's, for whom SPF passes",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\n_dmarc.evil.test. SERVFAIL",
        "a@a.test",
        "evil.test",
        "",
        Fail,
        Reject,
    ),
    row(
        "trouble at a stranger's, who signs",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\n_dmarc.x.evil.test. TIMEOUT",
        "a@a.test",
        "",
        "x.evil.test",
        Fail,
        Reject,
    ),
    row(
        "two authors, and one cannot be looked up",
        "_dmarc.a.test. SERVFAIL\n_dmarc.b.test. TXT v=DMARC1\\;p=none",
        "b@b.test, a@a.test",
        "",
        "",
        Temperror,
        Keep,
    ),
    row("trouble with the record", "_dmarc.a.test. SERVFAIL", "a@a.test", "", "", Temperror, Keep),
    row(
        "trouble above, but the own record",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\n_dmarc.test. TIMEOUT",
        "a@a.test",
        "b.example",
        "",
        Fail,
        Reject,
    ),
    row(
        "trouble with the walk",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject\n_dmarc.test. TIMEOUT",
        "a@a.test",
        "m.a.test",
        "",
        Temperror,
        Keep,
    ),
    row(
        "U-labels",
        "_dmarc.xn--bcher-kva.test. TXT v=DMARC1\\;p=reject",
        "a@b\u{fc}cher.test",
        "xn--bcher-kva.test",
        "",
        Pass,
        Keep,
    ),
    row(
        "two fields",
        "_dmarc.a.test. TXT v=DMARC1\\;p=none",
        "a@a.test\r\nFrom: b@a.test",
        "a.test",
        "a.test",
        Permerror,
        Reject,
    ),
    row(
        "two authors, the stricter counts",
        "_dmarc.b.test. TXT v=DMARC1\\;p=reject",
        "a@a.test, b@b.test",
        "a.test",
        "",
        Fail,
        Reject,
    ),
    row("many authors", "", "a@a.test, a@b.test, a@c.test, a@d.test, a@e.test", "a.test", "", Permerror, Reject),
    row("no address", "", "Alice", "a.test", "", Permerror, Quarantine),
    row("a trailing dot", "_dmarc.a.test. TXT v=DMARC1\\;p=reject", "a@a.test.", "", "", Permerror, Quarantine),
    row("an encoded address", "_dmarc.a.test. TXT v=DMARC1\\;p=reject", "=?utf-8?q?a=40a.test?=", "", "", Permerror, Quarantine),
    row("a NUL", "_dmarc.a.test. TXT v=DMARC1\\;p=reject", "a@a.test\0", "", "", Permerror, Quarantine),
    row("a group of nobody", "_dmarc.a.test. TXT v=DMARC1\\;p=reject", "undisclosed:;", "", "", Permerror, Quarantine),
    row(
        "an address in the display name",
        "_dmarc.a.test. TXT v=DMARC1\\;p=reject",
        "\"b@b.test\" <a@a.test>",
        "b.test",
        "",
        Fail,
        Reject,
    ),
];

const fn row(
    name: &'static str,
    zone: &'static str,
    from: &'static str,
    spf: &'static str,
    dkim: &'static str,
    result: DmarcResult,
    disposition: Policy,
) -> Row {
    Row { name, zone, from, spf, dkim, result, disposition }
}

fn spf(result: SpfResult, domain: &str) -> Spf {
    Spf {
        result,
        reason: String::new(),
        domain: domain.to_owned(),
        identity: "mailfrom",
        mechanism: None,
        policy_domain: None,
        explanation: None,
        records: Vec::new(),
    }
}

fn dkim(result: DkimResult, domain: &str) -> Dkim {
    Dkim {
        result,
        reason: String::new(),
        domain: domain.to_owned(),
        selector: "s".to_owned(),
        identity: None,
        algorithm: "rsa-sha256".to_owned(),
        signature: String::new(),
        key_bits: None,
        body_changed: false,
        testing: false,
        records: Vec::new(),
    }
}

fn verdict_on(zone: &Zone, from: &str, spf: &Spf, dkim: &[Dkim]) -> Dmarc {
    let block = format!("Subject: x\r\nFrom: {from}\r\n");
    let author = Author::of(Header::parse(block.as_bytes()).unwrap());
    block_on(check(zone, &author, spf, dkim)).unwrap()
}

#[test]
fn every_row_of_the_table() {
    let mut wrong = Vec::new();
    for Row { name, zone, from, spf: spf_domain, dkim: dkim_domain, result, disposition } in TABLE {
        let zone = Zone::master(zone).unwrap();
        let spf = spf(if spf_domain.is_empty() { SpfResult::Fail } else { SpfResult::Pass }, spf_domain);
        let signatures = if dkim_domain.is_empty() { Vec::new() } else { vec![dkim(DkimResult::Pass, dkim_domain)] };
        let found = verdict_on(&zone, from, &spf, &signatures);
        if (found.result, found.disposition) != (*result, *disposition) {
            wrong.push(format!("{name}: {:?} {:?}: {}", found.result, found.disposition, found.reason));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), TABLE.len(), wrong.join("\n"));
}

#[test]
fn a_deep_domain_costs_eight_questions() {
    let zone = Zone::new();
    let found = verdict_on(&zone, "x@a.b.c.d.e.f.g.h.i.j.k.mail.example.test", &spf(SpfResult::None, ""), &[]);
    let names: Vec<&str> = found.records.iter().map(|looked| looked.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "_dmarc.a.b.c.d.e.f.g.h.i.j.k.mail.example.test",
            "_dmarc.h.i.j.k.mail.example.test",
            "_dmarc.i.j.k.mail.example.test",
            "_dmarc.j.k.mail.example.test",
            "_dmarc.k.mail.example.test",
            "_dmarc.mail.example.test",
            "_dmarc.example.test",
            "_dmarc.test",
        ]
    );
}

#[test]
fn what_could_not_be_checked_is_no_failure() {
    let zone = Zone::master("_dmarc.a.test. TXT \"v=DMARC1; p=reject\"").unwrap();
    let none = spf(SpfResult::Fail, "b.test");
    for (spf, dkim, result) in [
        (spf(SpfResult::Temperror, "a.test"), vec![], Temperror),
        (spf(SpfResult::Temperror, "b.test"), vec![], Fail),
        (none.clone(), vec![dkim(DkimResult::Temperror, "m.a.test")], Temperror),
        (none.clone(), vec![dkim(DkimResult::Temperror, "b.test")], Fail),
        (none.clone(), vec![dkim(DkimResult::Temperror, "a.test"), dkim(DkimResult::Pass, "a.test")], Pass),
        (none.clone(), vec![dkim(DkimResult::Policy, "a.test")], Fail),
        (spf(SpfResult::Permerror, "a.test"), vec![dkim(DkimResult::Permerror, "a.test")], Fail),
        (spf(SpfResult::Softfail, "a.test"), vec![], Fail),
    ] {
        let found = verdict_on(&zone, "a@a.test", &spf, &dkim);
        assert_eq!(found.result, result, "{spf:?} {dkim:?}: {}", found.reason);
    }
}

#[test]
fn a_letter_is_open_only_while_an_answer_could_matter() {
    let spf = spf(SpfResult::Temperror, "a.test");
    for (zone, is_open) in [
        ("_dmarc.a.test. SERVFAIL", true),
        ("_dmarc.a.test. TXT v=DMARC1\\;p=quarantine", true),
        ("_dmarc.a.test. TXT v=DMARC1\\;p=reject\\;t=y", true),
        ("_dmarc.a.test. TXT v=DMARC1\\;p=quarantine\\;t=y", false),
        ("_dmarc.a.test. TXT v=DMARC1\\;p=none", false),
        ("", false),
    ] {
        let found = verdict_on(&Zone::master(zone).unwrap(), "a@a.test", &spf, &[]);
        assert_eq!(found.is_open(), is_open, "{zone}: {found:?}");
    }
    assert!(Dmarc::too_slow(&Author::of(Header::parse(b"From: a@a.test\r\n").unwrap())).is_open());
}

#[test]
fn who_is_not_of_the_authors_organization_is_not_asked() {
    let zone = Zone::master("_dmarc.a.test. TXT v=DMARC1\\;p=reject").unwrap();
    let strangers = [dkim(DkimResult::Pass, "1.2.3.evil.test"), dkim(DkimResult::Temperror, "4.5.6.evil.test")];
    let found = verdict_on(&zone, "a@a.test", &spf(SpfResult::Pass, "7.8.9.evil.test"), &strangers);
    let names: Vec<&str> = found.records.iter().map(|looked| looked.name.as_str()).collect();
    assert_eq!((found.result, names), (Fail, vec!["_dmarc.a.test", "_dmarc.test"]));
}

#[test]
fn the_verdict_names_the_record() {
    let zone = Zone::master("_dmarc.a.test. TXT \"v=DMARC1; p=reject\"\nm.a.test. A 192.0.2.1").unwrap();
    let found = verdict_on(&zone, "x@m.a.test", &spf(SpfResult::None, ""), &[]);
    assert_eq!((found.policy_domain.as_deref(), found.policy), (Some("a.test"), Some(Reject)));
    assert!(found.records.iter().any(|looked| looked.records == ["v=DMARC1; p=reject"]));
}
