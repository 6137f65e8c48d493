use super::*;

#[test]
fn the_examples_of_rfc_4013() {
    let rows = [
        ("I\u{AD}X", Ok("IX")),
        ("user", Ok("user")),
        ("USER", Ok("USER")),
        ("\u{AA}", Ok("a")),
        ("\u{2168}", Ok("IX")),
        ("\u{7}", Err(PrepareError::Prohibited)),
        ("\u{627}\u{31}", Err(PrepareError::Prohibited)),
    ];
    for (given, expected) in rows {
        let prepared = prepare_login(given);
        assert_eq!(prepared.as_deref().map_err(|&e| e), expected, "{given:?}");
        assert_eq!(prepare_password(given).map(|p| p.reveal().to_owned()), prepared);
    }
}

#[test]
fn nothing_left_or_too_much_is_refused() {
    assert_eq!(prepare_login(""), Err(PrepareError::Empty));
    assert_eq!(prepare_login("\u{AD}"), Err(PrepareError::Empty));
    assert_eq!(prepare_login(&"a".repeat(LOGIN_BYTES_MAX)).map(|l| l.len()), Ok(LOGIN_BYTES_MAX));
    assert_eq!(prepare_login(&"a".repeat(LOGIN_BYTES_MAX + 1)), Err(PrepareError::TooLong));
    // U+FDFA becomes 33 octets: what fitted before the mapping need not fit after it.
    assert_eq!(prepare_password(&"\u{FDFA}".repeat(PASSWORD_BYTES_MAX / 3)).map(|_| ()), Err(PrepareError::TooLong));
}

#[test]
fn line_breaks_and_nul_never_pass() {
    for bad in ["a\0b", "a\rb", "a\nb", "a\u{2028}b"] {
        assert_eq!(prepare_login(bad), Err(PrepareError::Prohibited), "{bad:?}");
    }
}

#[test]
fn a_password_is_not_printed() {
    assert_eq!(format!("{:?}", prepare_password("pencil").unwrap()), "***");
}
