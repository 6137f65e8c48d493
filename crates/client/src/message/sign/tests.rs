use posthouse_dns::Zone;
use posthouse_mail::Domain;
use posthouse_mailauth::dkim::{Keys, Verification, key_record};
use posthouse_runtime::block_on;

use super::*;

fn signer(algorithm: Algorithm) -> Signer {
    let domain: Domain = "x.example".parse().unwrap();
    Signer { domain, selector: algorithm.to_string(), key: SigningKey::generate(algorithm).unwrap().into() }
}

/// What a receiver finds of each signature.
fn verified(letter: &[u8], signers: &[Signer]) -> Vec<String> {
    let record = |signer: &Signer| {
        let record = key_record(&signer.key).unwrap();
        let (one, two) = record.split_at(record.len() / 2);
        format!("{}._domainkey.{}. TXT \"{one}\" \"{two}\"", signer.selector, signer.domain)
    };
    let zone = Zone::master(&signers.iter().map(record).collect::<Vec<_>>().join("\n")).unwrap();
    let (end, behind) = end_of_header(letter).unwrap();
    let now = clock::unix_millis() / 1000;
    let mut verification = Verification::new(Header::parse(&letter[..end]).unwrap(), now);
    verification.body(&letter[behind..]);
    let keys = block_on(Keys::fetch(&zone, verification.key_names())).unwrap();
    verification.finish(&keys).iter().map(|found| format!("{:?}", found.result)).collect()
}

#[test]
fn signatures_of_both_kinds_cover_the_letter_with_its_files() {
    let signers = [signer(Algorithm::Rsa), signer(Algorithm::Ed25519)];
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.bin"), vec![7; 300_000]).unwrap();
    let message = Message::builder()
        .from("a@x.example")
        .to("b@y.example")
        .subject("Grüße")
        .html("<p>Look</p>")
        .attach_file(folder.path().join("x.bin"))
        .unsubscribe("https://x.example/off")
        .build()
        .unwrap();
    let signed = message.signed(&signers).unwrap();
    let letter = signed.to_bytes().unwrap().to_vec();
    assert_eq!(u64::try_from(letter.len()).unwrap(), signed.size());
    assert_eq!(verified(&letter, &signers), ["Pass", "Pass"]);
    for (from, to) in
        [("\r\nSubject: ", "\r\nSubject: x"), ("\r\nList-Unsubscribe: ", "\r\nList-Unsubscribe: x"), ("BwcH", "BwcI")]
    {
        let changed = String::from_utf8(letter.clone()).unwrap().replacen(from, to, 1);
        assert!(!verified(changed.as_bytes(), &signers).contains(&"Pass".to_owned()), "{from}");
    }
}

#[test]
fn keys_are_read_as_openssl_writes_them() {
    for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
        use base64::Engine;
        let der = SigningKey::generate(algorithm).unwrap().to_pkcs8().unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let pem = format!("comment\n-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        assert_eq!(dkim_key(&pem).unwrap().algorithm(), algorithm);
    }
    for bad in [
        "",
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----",
        "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----",
    ] {
        assert!(dkim_key(bad).is_err(), "{bad}");
    }
}
