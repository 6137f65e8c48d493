use posthouse_dns::{Tlsa, Zone};
use posthouse_runtime::block_on;

use super::*;

pub(crate) fn tlsa(text: &str) -> Tlsa {
    let words: Vec<&str> = text.split(' ').collect();
    let hex = words[3].as_bytes().chunks(2);
    let data = hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
    let number = |place: usize| words[place].parse().unwrap();
    Tlsa { usage: number(0), selector: number(1), matching: number(2), data }
}

/// One record of `mx.a.test`.
pub(crate) fn records(text: &str) -> Records {
    let name = |text: &str| text.parse().unwrap();
    Records::new(name("mx.a.test"), name("_25._tcp.mx.a.test"), &[tlsa(text)]).unwrap()
}

/// OpenSSL's own cases, in its format: `crates/mailauth/testdata/danetest.in` (Apache-2.0, the notice is at its head).
///
/// All are decided as OpenSSL decides, with these exceptions. Cases whose every record is of usage 0 or 1 are no cases between mail servers
/// (RFC 7672 §3.1.3): here they must be "unusable". In case 54 OpenSSL is told to look at the name although the record is of usage 3; between mail
/// servers it is never looked at (§3.1.1), which is what the same chain with the flag of case 51 means.
#[test]
fn openssls_chains_are_taken_and_refused_as_openssl_does() {
    let (mut taken, mut refused, mut unusable) = (0, 0, 0);
    for case in cases(include_str!("../../testdata/danetest.in")) {
        let name = |text: &str| text.parse().unwrap();
        let records = Records::new(name("example.com"), name("_25._tcp.example.com"), &case.tlsa);
        let Some(records) = records else {
            assert!(case.tlsa.iter().all(|record| record.usage < 2), "case {}", case.number);
            unusable += 1;
            continue;
        };
        let certificates: Vec<&[u8]> = case.certificates.iter().map(Vec::as_slice).collect();
        let result = records.check(&certificates, &[], NOW);
        let expected = case.expected == 0 || case.number == 54;
        assert_eq!(result.is_ok(), expected, "case {}: {result:?}, expected {}", case.number, case.expected);
        if result.is_ok() { taken += 1 } else { refused += 1 }
    }
    assert_eq!((taken, refused, unusable), TALLY);
}

/// 2026-11-26.
const NOW: u64 = 1_795_651_200;
/// Of the cases of `danetest.in`.
const TALLY: (usize, usize, usize) = (28, 6, 20);

struct Case {
    number: usize,
    tlsa: Vec<Tlsa>,
    certificates: Vec<Vec<u8>>,
    expected: u32,
}

fn cases(text: &str) -> Vec<Case> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut found = Vec::new();
    while let Some(head) = lines.next() {
        let counts: Vec<i64> = head.split(' ').map(|word| word.parse().unwrap()).collect();
        let [tlsa_count, certificate_count, _no_name_checks, expected, _depth] = counts[..] else { panic!("{head}") };
        let tlsa = (0..tlsa_count).map(|_| tlsa(lines.next().unwrap())).collect();
        let certificate = |_| {
            assert!(lines.any(|line| line == "-----BEGIN CERTIFICATE-----"));
            let text: String = lines.by_ref().take_while(|line| !line.starts_with('-')).collect();
            base64::Engine::decode(&base64::prelude::BASE64_STANDARD, text).unwrap()
        };
        let certificates = (0..certificate_count).map(certificate).collect();
        found.push(Case { number: found.len() + 1, tlsa, certificates, expected: u32::try_from(expected).unwrap() });
    }
    found
}

const HASH: &str = "0707070707070707070707070707070707070707070707070707070707070707";

#[test]
fn only_what_dnssec_vouches_for_counts() {
    let zone = format!(
        "mx.signed.test A 192.0.2.1\n_25._tcp.mx.signed.test TLSA 3 1 1 {HASH}
         mx.unsigned.test A 192.0.2.1\nmx.unsigned.test INSECURE\n_25._tcp.mx.unsigned.test TLSA 3 1 1 {HASH}
         mx.none.test A 192.0.2.1
         mx.half.test A 192.0.2.1\n_25._tcp.mx.half.test TLSA 3 1 1 {HASH}\n_25._tcp.mx.half.test INSECURE
         mx.bogus.test A 192.0.2.1\n_25._tcp.mx.bogus.test SERVFAIL
         lost.test SERVFAIL
         mx.old.test A 192.0.2.1\n_25._tcp.mx.old.test TLSA 0 0 1 {HASH}\n_25._tcp.mx.old.test TLSA 3 1 1 0707\n_25._tcp.mx.old.test TLSA 3 2 1 {HASH}\n_25._tcp.mx.old.test TLSA 3 1 3 {HASH}
         alias.test CNAME mx.signed.test
         own.test CNAME mx.none.test\n_25._tcp.own.test TLSA 3 1 1 {HASH}
         away.test CNAME mx.unsigned.test\n_25._tcp.away.test TLSA 3 1 1 {HASH}
         tainted.test CNAME mx.signed.test\ntainted.test INSECURE
         tlsa-alias.test A 192.0.2.1\n_25._tcp.tlsa-alias.test CNAME _25._tcp.mx.signed.test
         far-alias.test A 192.0.2.1\n_25._tcp.far-alias.test CNAME _25._tcp.mx.unsigned.test\n_25._tcp.mx.unsigned.test INSECURE"
    );
    let zone = Zone::of(&zone).unwrap().authenticated();
    let said = |host: &str| match block_on(find(&zone, &host.parse().unwrap(), 25)).unwrap().dane {
        Dane::Nothing(why) => format!("{why:?}"),
        Dane::Records(records) => format!("by {}", records.base()),
        Dane::Unusable => "unusable".to_owned(),
        Dane::Trouble(why) => why,
    };
    for (host, expected) in [
        ("mx.signed.test", "by mx.signed.test"),
        ("mx.unsigned.test", "Unsigned"),
        ("mx.none.test", "NoRecords"),
        ("mx.half.test", "UnsignedRecords"),
        (
            "mx.bogus.test",
            "the TLSA records at _25._tcp.mx.bogus.test cannot be read now: the name server answers Server Failure",
        ),
        ("lost.test", "the address of lost.test cannot be read now: the name server answers Server Failure"),
        ("gone.test", "Unsigned"),
        ("mx.old.test", "unusable"),
        ("alias.test", "by mx.signed.test"),
        ("own.test", "by own.test"),
        ("away.test", "by away.test"),
        ("tainted.test", "Unsigned"),
        ("tlsa-alias.test", "by tlsa-alias.test"),
        ("far-alias.test", "UnsignedRecords"),
        ("[192.0.2.1]", "Literal"),
    ] {
        assert_eq!(said(host), expected, "{host}");
    }
}

#[test]
fn without_a_resolver_that_is_trusted_no_record_is_asked_for() {
    let zone = Zone::of(&format!("mx.a.test A 192.0.2.1\n_25._tcp.mx.a.test TLSA 3 1 1 {HASH}")).unwrap();
    let found = block_on(find(&zone, &"mx.a.test".parse().unwrap(), 25)).unwrap();
    assert_eq!(found.dane, Dane::Nothing(Nothing::Unsigned));
    assert_eq!(found.records.len(), 1, "{found:?}");
}

#[test]
fn of_two_hashes_the_stronger_counts() {
    let name = |text: &str| text.parse().unwrap();
    let (weak, strong) = (tlsa(&format!("3 1 1 {HASH}")), tlsa(&format!("3 1 2 {HASH}{HASH}")));
    let other = tlsa(&format!("2 1 1 {HASH}"));
    let records =
        Records::new(name("mx.a.test"), name("_25._tcp.mx.a.test"), &[weak.clone(), other.clone(), strong.clone()]).unwrap();
    assert_eq!(records.usable(), [other, strong], "of each usage and selector by itself");
    assert!(unusable_words(&tlsa(&format!("3 0 0 {HASH}"))).contains("data"));
    assert!(unusable_words(&tlsa(&format!("1 1 1 {HASH}"))).contains("usage"));
}

fn unusable_words(record: &Tlsa) -> String {
    super::records::unusable(record).unwrap().to_string()
}

#[test]
fn a_wildcard_is_one_label_below_a_domain_and_nothing_else() {
    let covers = super::name::covers;
    for (shown, name) in [("mx.a.test", "MX.a.test"), ("*.a.test", "mx.a.test"), ("*.A.test.", "mx.a.test")] {
        assert!(covers(shown, name), "{shown} {name}");
    }
    for (shown, name) in [
        ("*.a.test", "a.test"),
        ("*.a.test", "x.mx.a.test"),
        ("m*.a.test", "mx.a.test"),
        ("*.test", "a.test"),
        ("*", "test"),
        ("mx.a.test\0.evil.test", "mx.a.test"),
    ] {
        assert!(!covers(shown, name), "{shown} {name}");
    }
}

#[test]
fn octets_that_are_no_certificate_fit_nothing_and_harm_nobody() {
    let own = records(&format!("3 1 1 {HASH}"));
    let authority = records(&format!("2 0 1 {HASH}"));
    let junk: [&[u8]; 4] = [b"", b"0", &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0xff; 5000]];
    for octets in junk {
        assert!(own.check(&[octets], &[], NOW).is_err());
        assert!(authority.check(&[octets, octets], &[], NOW).is_err());
    }
    assert!(own.check(&[], &[], NOW).is_err());
}
