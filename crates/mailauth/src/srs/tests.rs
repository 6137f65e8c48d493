use super::*;

const NOW: UnixMillis = UnixMillis(1_795_500_000_000);
const KEY: &[u8] = b"a key of some length";

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn forwarded(sender: &str) -> Address {
    forward(KEY, &address(sender), &"ours.test".parse().unwrap(), NOW).unwrap()
}

#[test]
fn a_sender_leads_back_in_whatever_letters_it_comes() {
    let to = forwarded("Alice.B=c@a.test");
    assert!(to.to_string().starts_with("SRS0=") && to.to_string().ends_with("=a.test=Alice.B=c@ours.test"), "{to}");
    let keys = [b"another".to_vec(), KEY.to_vec()];
    assert_eq!(back(&keys, to.local().as_str(), NOW), Ok(address("Alice.B=c@a.test")));
    let small = to.local().as_str().to_ascii_lowercase();
    assert_eq!(back(&keys, &small, NOW), Ok(address("alice.b=c@a.test")));
}

#[test]
fn a_sender_that_needs_quotes_leads_back_too() {
    for sender in ["\"a b\"@a.test", "\"a@b\"@a.test", "\"..\"@a.test", "\"a\\\"b\"@[192.0.2.1]"] {
        let to: Address = forwarded(sender).to_string().parse().unwrap();
        assert_eq!(back(&[KEY.to_vec()], to.local().as_str(), NOW), Ok(address(sender)), "{to}");
    }
}

#[test]
fn what_another_forwarder_wrote_leads_back_to_it_and_grows_no_more() {
    let first = "SRS0=abcd=XY=a.test=alice@f.test";
    let second = forwarded(first);
    assert!(second.to_string().contains("=f.test==abcd=XY=a.test=alice@ours.test"), "{second}");
    assert_eq!(back(&[KEY.to_vec()], second.local().as_str(), NOW), Ok(address(first)));
    let foreign = second.to_string().replace("ours.test", "g.test");
    let third = forwarded(&foreign);
    assert_eq!(third, second, "the second forwarder is left out");
}

#[test]
fn what_only_looks_like_a_chain_is_a_sender_like_any_other() {
    for sender in ["SRS1=h==SRS0=x@f.test", "SRS1=h=f.test=alice@f.test", "SRS1=hf.test@f.test", "SRS1===@f.test"] {
        let to = forwarded(sender);
        assert!(to.local().as_str().starts_with("SRS0="), "{to}");
        assert_eq!(back(&[KEY.to_vec()], to.local().as_str(), NOW), Ok(address(sender)), "{to}");
    }
}

#[test]
fn nobody_else_makes_an_address_that_leads_through_us_and_none_leads_for_ever() {
    let to = forwarded("alice@a.test").local().as_str().to_owned();
    let keys = [KEY.to_vec()];
    for (name, local) in [
        ("another user", to.replace("alice", "victim")),
        ("another host", to.replace("a.test", "b.test")),
        ("another hash", to.replacen("SRS0=", "SRS0=A", 1)),
        ("no hash", to.replace(to.split('=').nth(1).unwrap(), "")),
        ("a chain of it", to.replacen("SRS0", "SRS1", 1)),
        ("cut off", to[..to.len() - 10].to_owned()),
        ("nothing in it", "SRS0=".to_owned()),
        ("nothing in a chain", "SRS1=".to_owned()),
    ] {
        assert_eq!(back(&keys, &local, NOW), Err(SrsError::Forged), "{name}: {local}");
    }
    assert_eq!(back(&[], &to, NOW), Err(SrsError::Forged));
    let later = |days: u64| UnixMillis(NOW.0 + days * DAY_MILLIS);
    assert!(back(&keys, &to, later(21)).is_ok());
    assert_eq!(back(&keys, &to, later(22)), Err(SrsError::Expired));
    assert_eq!(back(&keys, &to, UnixMillis(NOW.0 - 2 * DAY_MILLIS)), Err(SrsError::Expired), "made tomorrow");
}

#[test]
fn a_sender_that_is_too_long_is_left_as_it_is() {
    let long = format!("{}@a.test", "x".repeat(60));
    assert_eq!(forward(KEY, &address(&long), &"ours.test".parse().unwrap(), NOW), None);
    assert!(!is_srs("srs0") && !is_srs("srs0alice") && is_srs("srs0+x"));
}

/// What libsrs2 computes for this key, stamp, host and user: HMAC-SHA1 over `uya.testalice`.
#[test]
fn the_hash_is_that_of_a_known_computation() {
    use hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
    let tag = sign(&Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, KEY), b"uya.testalice");
    assert_eq!(hash(KEY, &["UY", "a.test", "Alice"]), BASE64_STANDARD.encode(tag.as_ref())[..6]);
}
