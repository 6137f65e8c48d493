use posthouse_config::{Period, Secret};
use posthouse_runtime::block_on;

use super::*;

const NOW: u64 = 1_700_000_000;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn key(algorithm: TsigAlgorithm) -> Key {
    Key { name: name("posthouse.key"), algorithm, secret: b"a secret of some length".to_vec().into() }
}

fn add() -> Change {
    Change::Add { name: name("_acme-challenge.example.org"), data: Data::Text("proof".to_owned()) }
}

/// What a server answers to a request: signed by `key`, for the request with that MAC.
fn answered(request: &[u8], code: u16, key: &Key, mac: &[u8], time: u64) -> Vec<u8> {
    // The zone, as most servers repeat it.
    let zone_end = wire::skip_name(request, 12).unwrap() + 4;
    let mut answer = request[..zone_end].to_vec();
    answer[2..4].copy_from_slice(&(1 << 15 | 5 << 11 | code).to_be_bytes());
    answer[6..12].fill(0);
    // RFC 8945 §5.3: what is signed of an answer begins with the MAC of the question.
    let before = [&u16::try_from(mac.len()).unwrap().to_be_bytes(), mac].concat();
    key.sign_after(&before, &mut answer, time);
    answer
}

#[test]
fn an_update_is_what_the_standard_draws() {
    let octets = wire::request(0x1234, &name("Example.org"), &[add()], 60);
    let expected = b"\x12\x34\x28\x00\0\x01\0\0\0\x01\0\0\x07example\x03org\0\0\x06\0\x01\
        \x0f_acme-challenge\x07example\x03org\0\0\x10\0\x01\0\0\0\x3c\0\x06\x05proof";
    assert_eq!(octets, expected);
    let gone = Change::Remove { name: name("a.example.org"), data: Data::Text("x".repeat(256)) };
    let octets = wire::request(1, &name("example.org"), &[gone], 60);
    let tail = [b"\x01a\x07example\x03org\0\0\x10\0\xfe\0\0\0\0\x01\x02\xff".as_slice(), &[b'x'; 255], b"\x01x"].concat();
    assert!(octets.ends_with(&tail), "{octets:?}");
    let tlsa = Data::Tlsa(crate::record::Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] });
    let octets = wire::request(1, &name("example.org"), &[Change::Add { name: name("a.example.org"), data: tlsa }], 60);
    let tail = [b"\x01a\x07example\x03org\0\0\x34\0\x01\0\0\0\x3c\0\x23\x03\x01\x01".as_slice(), &[7; 32]].concat();
    assert!(octets.ends_with(&tail), "{octets:?}");
}

#[test]
fn only_what_is_signed_for_this_question_counts() {
    for algorithm in [TsigAlgorithm::HmacSha256, TsigAlgorithm::HmacSha384, TsigAlgorithm::HmacSha512] {
        let key = key(algorithm);
        let mut request = wire::request(7, &name("example.org"), &[add()], 60);
        let mac = key.sign(&mut request, NOW);
        let judged = |octets: &[u8]| judge(octets, 7, &key, &mac, NOW);
        let right = answered(&request, 0, &key, &mac, NOW);
        assert_eq!(judged(&right), Ok(()));
        assert!(judged(&answered(&request, 5, &key, &mac, NOW)).unwrap_err().contains("REFUSED"));
        // One octet changed anywhere: never a success. The names of the key and of the algorithm, the class and the TTL are signed as we know them, whatever
        // stands there.
        let start = wire::answer(&right, 7).unwrap().unsigned.len();
        let fixed = wire::skip_name(&right, start).unwrap();
        let data = fixed + 10..wire::skip_name(&right, fixed + 10).unwrap();
        let known = |at: usize| (start..fixed).contains(&at) || (fixed + 2..fixed + 8).contains(&at) || data.contains(&at);
        for at in 0..right.len() {
            let mut octets = right.clone();
            octets[at] ^= 1;
            assert!(known(at) || judged(&octets).is_err(), "octet {at}");
            assert!(judged(&right[..at]).is_err(), "cut at {at}");
        }
        let said = |octets: &[u8]| judged(octets).unwrap_err();
        assert!(said(&answered(&request, 0, &key, b"another question", NOW)).contains("is wrong"));
        assert!(said(&answered(&request, 0, &key, &mac, NOW - 301)).contains("another time"));
        let other = Key { secret: b"another".to_vec().into(), ..key.clone() };
        assert!(said(&answered(&request, 0, &other, &mac, NOW)).contains("is wrong"));
        let unsigned = wire::answer(&right, 7).unwrap().unsigned;
        assert!(said(&unsigned).contains("not signed"));
    }
}

#[test]
fn no_octets_are_too_strange() {
    let key = key(TsigAlgorithm::HmacSha256);
    let mut request = wire::request(7, &name("example.org"), &[add()], 60);
    let mac = key.sign(&mut request, NOW);
    let right = answered(&request, 0, &key, &mac, NOW);
    for seed in 0..2000_usize {
        let mut octets = right.clone();
        for step in 0..4 {
            let at = seed.wrapping_mul(31 + step * 17) % octets.len();
            octets[at] = octets[at].wrapping_add(u8::try_from(seed % 251).unwrap());
        }
        let _ = judge(&octets, 7, &key, &mac, NOW);
        let _ = Signature::read(&octets[seed % octets.len()..]);
    }
    // Pointers in a circle, and more records than anybody sends.
    assert_eq!(wire::answer(&[b"\0\x07\xa8\0\0\0\0\0\0\0\xff\xff".as_slice(), &[0; 40]].concat(), 7), None);
}

#[test]
fn a_name_is_changed_in_the_longest_zone_that_holds_it() {
    let settings = |zones: &[&str], port| UpdateSettings {
        zones: zones.iter().map(|&zone| zone.to_owned()).collect(),
        server: ([127, 0, 0, 1], port).into(),
        key_name: "k".to_owned(),
        secret: Secret::new("c2VjcmV0"),
        algorithm: TsigAlgorithm::default(),
        ttl: Period(Duration::from_secs(60)),
        settle: Period(Duration::ZERO),
    };
    let updates = Updates::new(&[settings(&["example.org", "other.test"], 1), settings(&["acme.example.org"], 2)]).unwrap();
    let port = |text: &str| updates.find(&name(text)).map(|(server, _)| server.address.port());
    assert_eq!(port("x.example.org"), Some(1));
    assert_eq!(port("x.acme.example.org"), Some(2));
    assert_eq!(port("acme.example.org"), Some(2));
    assert_eq!(port("notexample.org"), None);
    for (wrong, at) in [
        (settings(&[], 1), "zones"),
        (settings(&["a..b"], 1), "zones"),
        (UpdateSettings { secret: Secret::new("not base64!"), ..settings(&["a.test"], 1) }, "secret"),
        (UpdateSettings { key_name: String::new(), ..settings(&["a.test"], 1) }, "key-name"),
    ] {
        assert_eq!(Updates::new(&[wrong]).unwrap_err().1, at);
    }
    block_on(async {
        let gone = updates.change(Change::Add { name: name("elsewhere.net"), data: Data::Text(String::new()) }).await;
        assert!(matches!(gone, Err(UpdateError::NoZone(_))), "{gone:?}");
        let closed = updates.change(Change::Add { name: name("x.other.test"), data: Data::Text(String::new()) }).await;
        assert!(matches!(closed, Err(UpdateError::Unreachable { .. })), "{closed:?}");
    })
    .unwrap();
}
