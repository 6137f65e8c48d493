use super::*;
use crate::prepare::prepare_password;

fn pencil() -> ScramKeys {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    ScramKeys::derive(ScramHash::Sha256, &prepare_password("pencil").unwrap(), &salt, 4096).unwrap()
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
    for bad in [
        "",
        "x",
        &line[..line.len() - 4],
        &line.replace("256$", "1$"),
        &line.replace("256$", "512$"),
        &line.replace("256$", "2$"),
        &line.replace(':', ";"),
        &format!("{line}="),
    ] {
        assert_eq!(ScramKeys::decode(bad).map(|_| ()), Err(KeysError::Form), "{bad}");
    }
    assert_eq!(ScramKeys::decode(&line.replace("4096:", "4095:")).map(|_| ()), Err(KeysError::Iterations));
    assert_eq!(ScramKeys::decode(&line.replace("4096:", "1000001:")).map(|_| ()), Err(KeysError::Iterations));
    assert_eq!(ScramKeys::decode(&line.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "")).map(|_| ()), Err(KeysError::Salt));
}

#[test]
fn hmac_is_that_of_rfc_4231() {
    let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
    let text: String = ScramHash::Sha256.hmac(&[0x0b; 20], b"Hi There").iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(text, expected);
}

#[test]
fn unknown_logins_look_like_known_ones() {
    for hash in [ScramHash::Sha1, ScramHash::Sha256] {
        let fake = |login, seed| ScramKeys::fake(hash, login, &[seed; 32]);
        assert!(fake("a", 1) == fake("a", 1) && fake("a", 1).salt != fake("b", 1).salt);
        assert!(fake("a", 2).salt != fake("a", 1).salt);
        let real = ScramKeys::derive(hash, &prepare_password("pencil").unwrap(), &[1; SALT_BYTES], hash.iterations()).unwrap();
        assert_eq!((fake("a", 1).salt.len(), fake("a", 1).iterations), (real.salt.len(), real.iterations));
        assert_eq!(fake("a", 1).stored_key.len(), real.stored_key.len());
        assert_eq!(fake("a", 1).salt, login_salt(hash, "a", &[1; 32]));
    }
    assert_ne!(login_salt(ScramHash::Sha1, "a", &[1; 32]), login_salt(ScramHash::Sha256, "a", &[1; 32]));
}

#[test]
fn an_unknown_login_in_capitals_is_the_same_unknown_login() {
    let salt = |login| login_salt(ScramHash::Sha256, login, &[1; 32]);
    for login in ["Alice@b\u{fc}cher.example", "alice@B\u{dc}CHER.example", "ALICE@xn--bcher-kva.example"] {
        assert_eq!(salt(login), salt("alice@xn--bcher-kva.example"), "{login}");
    }
    assert_eq!(salt("ALICE"), salt("alice"));
}

#[test]
fn keys_are_not_printed() {
    assert_eq!(format!("{:?}", pencil()), "ScramKeys { iterations: 4096, .. }");
}
