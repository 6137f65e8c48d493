use posthouse_dns::Zone;
use posthouse_mail::header::end_of_header;
use posthouse_runtime::block_on;

use super::*;
use crate::dkim::{Algorithm, BodyDigest, Signer, SigningKey, key_record};

const NOW: u64 = 1_795_489_929;
const LETTER: &str = "From: Alice <alice@a.test>\r\nTo: bob@b.test\r\nSubject: Hello\r\nDate: Tue, 24 Nov 2026 03:12:09 +0000\r\n\
    Message-ID: <1@a.test>\r\n\r\nHello Bob,\r\n\r\n  this is  a letter.\r\n\r\n";

fn signer(algorithm: Algorithm, selector: &str) -> Signer {
    Signer {
        domain: "a.test".parse().unwrap(),
        selector: selector.to_owned(),
        key: std::sync::Arc::new(SigningKey::generate(algorithm).unwrap()),
    }
}

fn zone(signers: &[&Signer]) -> Zone {
    let lines: Vec<String> = signers
        .iter()
        .map(|signer| {
            let record = key_record(&signer.key).unwrap();
            let (one, two) = record.split_at(record.len() / 2);
            format!("{}._domainkey.{}. TXT \"{one}\" \"{two}\"", signer.selector, signer.domain)
        })
        .collect();
    Zone::master(&lines.join("\n")).unwrap()
}

fn signed(signer: &Signer, letter: &str) -> String {
    let (fields, whole) = end_of_header(letter.as_bytes()).unwrap();
    let mut body = BodyDigest::new();
    body.update(&letter.as_bytes()[whole..]);
    signer.sign(Header::parse(&letter.as_bytes()[..fields]).unwrap(), &body.finish(), NOW).unwrap() + letter
}

fn verified_at(zone: &Zone, letter: &str, now: u64) -> Vec<Dkim> {
    let (fields, whole) = end_of_header(letter.as_bytes()).unwrap();
    let mut verification = Verification::new(Header::parse(&letter.as_bytes()[..fields]).unwrap(), now);
    letter.as_bytes()[whole..].chunks(3).for_each(|piece| verification.body(piece));
    let keys = block_on(Keys::fetch(zone, verification.key_names())).unwrap();
    verification.finish(&keys)
}

fn verified(zone: &Zone, letter: &str) -> Vec<Dkim> {
    verified_at(zone, letter, NOW)
}

fn results(verdicts: &[Dkim]) -> Vec<DkimResult> {
    verdicts.iter().map(|verdict| verdict.result).collect()
}

/// A letter signed with a hand-made field: `{b}` stands for the signature.
fn signed_as(signer: &Signer, tags: &str, letter: &str) -> String {
    let (fields, _) = end_of_header(letter.as_bytes()).unwrap();
    let field = format!("DKIM-Signature: {tags}; b=\r\n");
    let value = field.trim_start_matches("DKIM-Signature:").replace("b=\r\n", "b=AAAA");
    let parsed = Signature::dkim(&Tags::parse(&value).unwrap()).unwrap();
    let header = Header::parse(&letter.as_bytes()[..fields]).unwrap();
    let hash = Fields::new(header).hash(&parsed.names, parsed.header, field.as_bytes());
    let b = crate::dkim::signature::encode(&signer.key.sign(&hash).unwrap());
    format!("DKIM-Signature: {tags}; b={b}\r\n{letter}")
}

fn body_hash(canon: crate::dkim::Canon, limit: Option<u64>, letter: &str) -> String {
    let (_, whole) = end_of_header(letter.as_bytes()).unwrap();
    let mut body = BodyHash::new(canon, limit);
    body.update(&letter.as_bytes()[whole..]);
    crate::dkim::signature::encode(&body.finish().0)
}

#[test]
fn both_kinds_of_keys_verify_what_they_signed_side_by_side() {
    let (rsa, ed) = (signer(Algorithm::Rsa, "r1"), signer(Algorithm::Ed25519, "e1"));
    let letter = signed(&ed, &signed(&rsa, LETTER));
    let verdicts = verified(&zone(&[&rsa, &ed]), &letter);
    assert_eq!(results(&verdicts), [DkimResult::Pass, DkimResult::Pass], "{verdicts:?}");
    assert_eq!((verdicts[1].selector.as_str(), verdicts[1].key_bits), ("r1", Some(2048)));
    assert_eq!(verdicts[0].records[0].name, "e1._domainkey.a.test");
    assert!(letter.split("\r\n").all(|line| line.len() <= 78), "{letter}");
}

#[test]
fn a_changed_letter_fails_and_a_reflowed_one_does_not() {
    let rsa = signer(Algorithm::Rsa, "r");
    let zone = zone(&[&rsa]);
    let letter = signed(&rsa, LETTER);
    for (from, to, result) in [
        ("this is  a letter", "this is \t a letter", DkimResult::Pass),
        ("Subject: Hello", "subject :  Hello ", DkimResult::Pass),
        ("this is", "this was", DkimResult::Fail),
        ("Subject: Hello", "Subject: Hullo", DkimResult::Fail),
        ("  this", "this", DkimResult::Fail),
        ("From: Alice", "From: Mallory <m@m.test>\r\nFrom: Alice", DkimResult::Fail),
        ("Subject: Hello", "Subject: Hello\r\nSubject: Hello", DkimResult::Fail),
        ("To: bob@b.test\r\n", "To: bob@b.test\r\nReply-To: m@m.test\r\n", DkimResult::Fail),
        ("To: bob@b.test\r\n", "To: bob@b.test\r\nX-Seen: yes\r\n", DkimResult::Pass),
        ("letter.\r\n\r\n", "letter.\r\n\r\n\r\n\r\n", DkimResult::Pass),
        ("letter.\r\n\r\n", "letter.\r\n\r\nbuy\r\n", DkimResult::Fail),
        ("Bob,\r\n", "Bob,\n", DkimResult::Fail),
    ] {
        let changed = letter.replacen(from, to, 1);
        assert_ne!(changed, letter);
        assert_eq!(results(&verified(&zone, &changed)), [result], "{from:?} → {to:?}");
    }
}

#[test]
fn what_a_limited_length_leaves_out_is_not_vouched_for() {
    let rsa = signer(Algorithm::Rsa, "r");
    let zone = zone(&[&rsa]);
    let whole = body_hash(crate::dkim::Canon::Simple, Some(39), LETTER);
    let letter = signed_as(&rsa, &format!("v=1; a=rsa-sha256; d=a.test; s=r; h=from; l=39; bh={whole}"), LETTER);
    // The canonical body: one empty line at the end is not of it.
    let length = {
        let mut body = BodyHash::new(crate::dkim::Canon::Simple, None);
        body.update(LETTER.split_once("\r\n\r\n").unwrap().1.as_bytes());
        body.finish().1
    };
    let exact = body_hash(crate::dkim::Canon::Simple, Some(length), LETTER);
    let exact = signed_as(&rsa, &format!("v=1; a=rsa-sha256; d=a.test; s=r; h=from; l={length}; bh={exact}"), LETTER);
    assert_eq!(results(&verified(&zone, &exact)), [DkimResult::Pass]);
    assert_eq!(results(&verified(&zone, &(exact + "<b>buy</b>\r\n"))), [DkimResult::Policy]);
    let (cut, _) = letter.split_once("this is").unwrap();
    assert_eq!(results(&verified(&zone, cut)), [DkimResult::Fail]);
}

#[test]
fn times_are_looked_at() {
    let ed = signer(Algorithm::Ed25519, "e");
    let zone = zone(&[&ed]);
    let bh = body_hash(crate::dkim::Canon::Relaxed, None, LETTER);
    let with = |times: &str| {
        signed_as(&ed, &format!("v=1; a=ed25519-sha256; c=relaxed/relaxed; d=a.test; s=e; h=From:To; {times}; bh={bh}"), LETTER)
    };
    assert_eq!(results(&verified(&zone, &with(&format!("t={NOW}; x={}", NOW + 10)))), [DkimResult::Pass]);
    assert_eq!(results(&verified_at(&zone, &with(&format!("t={NOW}; x={}", NOW + 10)), NOW + 11)), [DkimResult::Fail]);
    assert_eq!(results(&verified_at(&zone, &with(&format!("t={NOW}")), NOW - 3601)), [DkimResult::Fail]);
    assert_eq!(results(&verified_at(&zone, &with(&format!("t={NOW}")), NOW - 60)), [DkimResult::Pass]);
}

#[test]
fn a_wrong_field_is_a_permanent_error_that_says_why() {
    let zone = Zone::new();
    let right = "v=1; a=rsa-sha256; d=a.test; s=r; h=from; bh=AAAA; b=AAAA";
    for (from, to, why) in [
        ("v=1", "v=2", "its version is not 1"),
        ("v=1; ", "", "its version is not 1"),
        ("rsa-sha256", "rsa-sha1", "SHA-1 proves nothing any more"),
        ("rsa-sha256", "rsa-md5", "the algorithm `rsa-md5` is not known"),
        ("d=a.test", "d=a..test", "`d=` is not a domain name"),
        ("s=r", "i=x@b.test; s=r", "`i=` is not within `d=`"),
        ("s=r", "i=x@evila.test; s=r", "`i=` is not within `d=`"),
        ("h=from", "h=to", "it does not cover From"),
        ("b=AAAA; ", "", ""),
        ("bh=AAAA", "bh=AA*A", "`bh=` is not base64"),
        ("s=r", "s=r; s=q", "the tag `s` comes twice"),
        ("s=r", "s=r; t=9; x=8", "it ends before it begins"),
        ("s=r", "s=r; l=-1", "`l=` is not a number"),
        ("s=r", "s=r; c=nofws", "the canonicalization `nofws` is not known"),
        ("s=r", "s=r; q=http", "its key is not in the DNS"),
    ] {
        let letter = format!("DKIM-Signature: {}\r\n{LETTER}", right.replacen(from, to, 1));
        let verdicts = verified(&zone, &letter);
        assert_eq!(results(&verdicts), [DkimResult::Permerror], "{to}");
        assert!(why.is_empty() || verdicts[0].reason == why, "{to}: {}", verdicts[0].reason);
    }
}

#[test]
fn keys_that_may_not_be_used_are_not_and_trouble_is_no_denial() {
    let rsa = signer(Algorithm::Rsa, "r");
    let letter = signed(&rsa, LETTER);
    let good = key_record(&rsa.key).unwrap();
    // 512 bits.
    let weak = "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBANmBe10IgY+u7h3enWTukkqtUD5PR52Tb/mPfjC0QJTocVBq6Za/PlzfV+Py92VaCak19F4WrbVTK5Gg5tW220MCAwEAAQ==";
    for (record, result) in [
        (format!("TXT \"{}\"", good.replace("v=DKIM1", "v=DKIM1; t=s; s=email; h=sha1:sha256")), DkimResult::Pass),
        (format!("TXT \"{}\"", good.replace("v=DKIM1; k=rsa; ", "")), DkimResult::Pass),
        (format!("TXT \"{good}\"\nr._domainkey.a.test. TXT nonsense"), DkimResult::Pass),
        (format!("TXT \"{}\"", good.replace("k=rsa", "k=ed25519")), DkimResult::Permerror),
        (format!("TXT \"{}\"", good.replace("v=DKIM1", "v=DKIM2")), DkimResult::Permerror),
        (format!("TXT \"{}\"", good.replace("v=DKIM1", "v=DKIM1; s=tlsrpt")), DkimResult::Permerror),
        (format!("TXT \"{}\"", good.replace("v=DKIM1", "v=DKIM1; h=sha1")), DkimResult::Permerror),
        ("TXT \"v=DKIM1; p=\"".to_owned(), DkimResult::Permerror),
        ("TXT \"v=DKIM1; p=AAAA\"".to_owned(), DkimResult::Permerror),
        (format!("TXT \"{weak}\""), DkimResult::Policy),
        ("A 192.0.2.1".to_owned(), DkimResult::Permerror),
        ("SERVFAIL".to_owned(), DkimResult::Temperror),
        ("TIMEOUT".to_owned(), DkimResult::Temperror),
    ] {
        let zone = Zone::master(&format!("r._domainkey.a.test. {record}")).unwrap();
        assert_eq!(results(&verified(&zone, &letter)), [result], "{record}");
    }
    assert_eq!(
        results(
            &Verification::new(Header::parse(letter.split_once("\r\n\r\n").unwrap().0.as_bytes()).unwrap(), NOW)
                .finish(&Keys::default())
        ),
        [DkimResult::Temperror]
    );
}

#[test]
fn what_is_of_absurd_size_is_refused_with_a_reason() {
    let signer = signer(Algorithm::Ed25519, "s");
    let bh = body_hash(crate::dkim::Canon::Simple, None, LETTER);
    let tags = format!("v=1; a=rsa-sha256; d=a.test; s=s; bh={bh}");
    let zone_of_key = |bits: usize| {
        // RSAPublicKey (RFC 8017 §A.1.1) of an odd number with so many bits.
        let modulus = [&[0][..], &vec![0xff; bits / 8]].concat();
        let number = |octets: &[u8]| [&[2, 0x82][..], &u16::try_from(octets.len()).unwrap().to_be_bytes(), octets].concat();
        let numbers = [number(&modulus), vec![2, 3, 1, 0, 1]].concat();
        let key = [&[0x30, 0x82][..], &u16::try_from(numbers.len()).unwrap().to_be_bytes(), &numbers].concat();
        let record = format!("v=DKIM1; k=rsa; p={}", crate::dkim::signature::encode(&key));
        let texts: Vec<String> =
            record.as_bytes().chunks(200).map(|text| format!("\"{}\"", str::from_utf8(text).unwrap())).collect();
        Zone::master(&format!("s._domainkey.a.test. TXT {}", texts.join(" "))).unwrap()
    };
    let b = |octets: usize| crate::dkim::signature::encode(&vec![7; octets]);
    let names = |count: usize| format!("from{}", ":x".repeat(count - 1));
    for (name, bits, field, result, reason) in [
        ("a key of 8,192 bits", 8192, format!("{tags}; h=from; b={}", b(1024)), DkimResult::Fail, "not by this key"),
        ("a key of 16,384 bits", 16384, format!("{tags}; h=from; b={}", b(1024)), DkimResult::Policy, "more than 8192 bits"),
        (
            "a signature of 16,384 bits",
            16384,
            format!("{tags}; h=from; b={}", b(2048)),
            DkimResult::Permerror,
            "`b=` has a wrong length",
        ),
        (
            "a hash of 60 KB",
            2048,
            format!("v=1; a=rsa-sha256; d=a.test; s=s; h=from; b=AAAA; bh={}", b(60_000)),
            DkimResult::Permerror,
            "`bh=` has a wrong length",
        ),
        ("a thousand names", 2048, format!("{tags}; h={}; b=AAAA", names(1000)), DkimResult::Fail, "not by this key"),
        (
            "five thousand names",
            2048,
            format!("{tags}; h={}; b=AAAA", names(5000)),
            DkimResult::Permerror,
            "more than 1000 fields",
        ),
        (
            "a domain of 60 KB",
            2048,
            format!("v=1; a=rsa-sha256; d={}; s=s; h=from; bh={bh}; b=AAAA", "a".repeat(60_000)),
            DkimResult::Permerror,
            "`d=` is not a domain name",
        ),
        (
            "a tag of 60 KB",
            2048,
            format!("{tags}; h=from; b=AAAA; y={}", "a".repeat(60_000)),
            DkimResult::Fail,
            "not by this key",
        ),
        (
            "ten thousand tags",
            2048,
            format!("{tags}; h=from; b=AAAA{}", (0..10_000).map(|n| format!("; y{n}=1")).collect::<String>()),
            DkimResult::Permerror,
            "more than 100 tags",
        ),
    ] {
        let letter = format!("DKIM-Signature: {field}\r\n{LETTER}");
        let verdict = verified(&zone_of_key(bits), &letter).remove(0);
        assert_eq!(verdict.result, result, "{name}: {}", verdict.reason);
        assert!(verdict.reason.contains(reason), "{name}: {}", verdict.reason);
        assert!(verdict.domain.len() <= SHOWN_CHARS_MAX && verdict.reason.len() < 200, "{name}");
    }
    // A body that is large is hashed as it comes.
    let big = format!("{LETTER}{}", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(100_000));
    assert_eq!(results(&verified(&zone(&[&signer]), &signed(&signer, &big))), [DkimResult::Pass]);
}

#[test]
fn a_signature_that_cannot_be_read_is_named_all_the_same() {
    let doubled = "v=1; a=rsa-sha256; d=a.test; s=s1; s=s2; h=from; bh=AAAA; b=AAAA; i=@m.a.test";
    let verdict = verified(&Zone::new(), &format!("DKIM-Signature: {doubled}\r\n{LETTER}")).remove(0);
    assert_eq!((verdict.result, verdict.reason.as_str()), (DkimResult::Permerror, "the tag `s` comes twice"));
    assert_eq!(
        (verdict.domain.as_str(), verdict.selector.as_str(), verdict.identity.as_deref()),
        ("a.test", "s1", Some("@m.a.test"))
    );
}

#[test]
fn a_flood_of_signatures_costs_ten() {
    let letter = "DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=r; h=from; bh=AAAA; b=AAAA\r\n".repeat(500) + LETTER;
    let zone = Zone::new();
    let verdicts = verified(&zone, &letter);
    assert_eq!((verdicts.len(), zone.questions()), (11, 1));
    assert_eq!(verdicts[10].reason, "490 more signatures were not looked at");
}
