use posthouse_dns::Zone;
use posthouse_mail::header::end_of_header;
use posthouse_runtime::block_on;

use super::*;
use crate::dkim::{Algorithm, BodyDigest, SigningKey, key_record};

const LETTER: &str = "From: alice@a.test\r\nTo: list@l.test\r\nSubject: Hello\r\n\r\nHello,\r\n\r\na letter.\r\n";

fn encode(octets: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(octets)
}

/// Seals a letter as the server `number` of its way, which found `cv`.
fn sealed(key: &SigningKey, number: usize, cv: &str, letter: &str) -> String {
    let (fields, whole) = end_of_header(letter.as_bytes()).unwrap();
    let header = Header::parse(&letter.as_bytes()[..fields]).unwrap();
    let mut body = BodyDigest::new();
    body.update(&letter.as_bytes()[whole..]);
    let results = format!("ARC-Authentication-Results: i={number}; l{number}.test; spf=pass\r\n");
    let tags = format!(
        "i={number}; a=ed25519-sha256; c=relaxed/relaxed; d=l{number}.test; s=k; h=from:to:subject; bh={}",
        encode(&body.finish())
    );
    let unsigned = format!("ARC-Message-Signature: {tags}; b=\r\n");
    let names = ["from", "to", "subject"].map(str::to_owned);
    let hash_of = Fields::new(header).hash(&names, Canon::Relaxed, unsigned.as_bytes());
    let message = unsigned.replace("b=\r\n", &format!("b={}\r\n", encode(&key.sign(&hash_of).unwrap())));
    let seal = format!("ARC-Seal: i={number}; a=ed25519-sha256; cv={cv}; d=l{number}.test; s=k; b=\r\n");
    let mut signed = Vec::new();
    for before in 1..number {
        for name in [RESULTS, MESSAGE, SEAL] {
            let field = header.named(name).find(|field| instance(field) == Some(before)).unwrap();
            Canon::Relaxed.field(field.raw(), true, &mut signed);
        }
    }
    Canon::Relaxed.field(results.as_bytes(), true, &mut signed);
    Canon::Relaxed.field(message.as_bytes(), true, &mut signed);
    Canon::Relaxed.field(seal.as_bytes(), false, &mut signed);
    let seal = seal.replace("b=\r\n", &format!("b={}\r\n", encode(&key.sign(&hash(&signed)).unwrap())));
    format!("{seal}{message}{results}{letter}")
}

fn verdict(zone: &Zone, letter: &str) -> Arc {
    let (fields, whole) = end_of_header(letter.as_bytes()).unwrap();
    let mut verification = ArcVerification::new(Header::parse(&letter.as_bytes()[..fields]).unwrap());
    verification.body(&letter.as_bytes()[whole..]);
    let keys = block_on(Keys::fetch(zone, verification.key_names())).unwrap();
    verification.finish(&keys)
}

#[test]
fn a_chain_holds_until_somebody_touches_it() {
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let record = key_record(&key).unwrap();
    let zone = Zone::master(&(1..=2).map(|n| format!("k._domainkey.l{n}.test. TXT \"{record}\"\n")).collect::<String>()).unwrap();
    assert_eq!(verdict(&zone, LETTER).result, ArcResult::None);
    let one = sealed(&key, 1, "none", LETTER);
    let listed = one.replace("Subject: Hello", "Subject: [list] Hello");
    assert_eq!(verdict(&zone, &one).result, ArcResult::Pass, "{}", verdict(&zone, &one).reason);
    assert_eq!(verdict(&zone, &listed).result, ArcResult::Fail, "changed and not sealed again");
    let two = sealed(&key, 2, "pass", &listed);
    let found = verdict(&zone, &two);
    assert_eq!((found.result, found.sets, found.domain.as_deref()), (ArcResult::Pass, 2, Some("l2.test")), "{}", found.reason);
    for (what, letter) in [
        ("the body", two.replace("a letter", "b letter")),
        ("the first results", two.replace("i=1; l1.test; spf=pass", "i=1; l1.test; spf=fail")),
        ("a second field of a kind", two.replacen("ARC-Seal: i=1", "ARC-Seal: i=2", 1)),
        ("a missing field", two.replacen("ARC-Authentication-Results: i=1", "X-Results: i=1", 1)),
        ("a number left out", two.replace("i=1", "i=3")),
        ("a chain said to be broken", sealed(&key, 2, "fail", &listed)),
    ] {
        assert_eq!(verdict(&zone, &letter).result, ArcResult::Fail, "{what}");
    }
    let broken = Zone::master(&format!("k._domainkey.l2.test. TXT \"{record}\"\nk._domainkey.l1.test. SERVFAIL")).unwrap();
    assert_eq!(verdict(&broken, &two).result, ArcResult::Temperror);
}
