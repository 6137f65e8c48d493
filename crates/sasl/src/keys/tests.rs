use super::*;
use crate::prepare::prepare_password;

fn pencil() -> ScramKeys {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    ScramKeys::derive(&prepare_password("pencil").unwrap(), &salt, 4096).unwrap()
}

#[test]
fn the_text_form_is_read_back() {
    let keys = pencil();
    let line = keys.encode();
    // The line PostgreSQL itself would store for the example of RFC 7677.
    assert_eq!(
        line,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    );
    assert!(ScramKeys::decode(&line).unwrap() == keys);
}

#[test]
fn a_damaged_line_is_refused() {
    let line = pencil().encode();
    for bad in ["", "x", &line[..line.len() - 4], &line.replace("256$", "1$"), &line.replace(':', ";"), &format!("{line}=")] {
        assert_eq!(ScramKeys::decode(bad).map(|_| ()), Err(KeysError::Form), "{bad}");
    }
    assert_eq!(ScramKeys::decode(&line.replace("4096:", "4095:")).map(|_| ()), Err(KeysError::Iterations));
    assert_eq!(ScramKeys::decode(&line.replace("4096:", "1000001:")).map(|_| ()), Err(KeysError::Iterations));
    assert_eq!(ScramKeys::decode(&line.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "")).map(|_| ()), Err(KeysError::Salt));
}

#[test]
fn hmac_is_that_of_rfc_4231() {
    // Test case 1 has a key of 20 octets; zero padding up to 32 is the same key (RFC 2104 §2).
    let mut key = [0; 32];
    key[..20].fill(0x0b);
    let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
    let text: String = hmac(&key, b"Hi There").iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(text, expected);
}

#[test]
fn unknown_logins_look_like_known_ones() {
    let (one, again, other) = (ScramKeys::fake("a", &[1; 32]), ScramKeys::fake("a", &[1; 32]), ScramKeys::fake("b", &[1; 32]));
    assert!(one == again && one.salt != other.salt);
    assert!(ScramKeys::fake("a", &[2; 32]).salt != one.salt);
    assert_eq!((one.salt.len(), one.iterations), (SALT_BYTES, DEFAULT_ITERATIONS));
}

#[test]
fn keys_are_not_printed() {
    assert_eq!(format!("{:?}", pencil()), "ScramKeys { iterations: 4096, .. }");
}
