use super::*;

#[test]
fn a_password_keeps_its_spaces() {
    assert_eq!(parse(b"PASS  two words "), Command::Pass(" two words "));
    assert_eq!(parse(b"pass p"), Command::Pass("p"));
    assert_eq!(parse(b"PASS "), Command::BadArguments);
    assert_eq!(parse(b"PASS"), Command::BadArguments);
}

#[test]
fn a_number_that_is_none_is_refused() {
    for bad in ["RETR", "RETR ", "RETR x", "RETR -1", "RETR +1", "RETR 1 2", "RETR 0x1", "RETR 99999999999999999999", "DELE 1.5"]
    {
        assert_eq!(parse(bad.as_bytes()), Command::BadArguments, "{bad}");
    }
    assert_eq!(parse(b"RETR 1"), Command::Retr(1));
    assert_eq!(parse(b"RETR 9999999999999999999"), Command::Retr(9_999_999_999_999_999_999_u64 as usize));
    for bad in ["TOP", "TOP 1", "TOP 1 ", "TOP 1 -1", "TOP 1 2 3", "LIST x", "UIDL 1 2", "STAT 1", "QUIT now"] {
        assert_eq!(parse(bad.as_bytes()), Command::BadArguments, "{bad}");
    }
    assert_eq!(parse(b"top 2 0"), Command::Top(2, 0));
    assert_eq!(parse(b"LIST "), Command::List(None));
    assert_eq!(parse(b"uidl 3 "), Command::Uidl(Some(3)));
}

#[test]
fn another_protocol_is_known_by_its_first_word() {
    for line in ["GET / HTTP/1.1", "POST / HTTP/1.0", "EHLO x", "OPTIONS * HTTP/1.1", "PRI * HTTP/2.0", "delete /1"] {
        assert_eq!(parse(line.as_bytes()), Command::Foreign, "{line}");
    }
    assert_eq!(parse(b"DELE 1"), Command::Dele(1));
    for line in [&b""[..], b" ", b" STAT", b"APOP a b", b"XYZZY", b"\xff\xfe", b"STATX"] {
        assert_eq!(parse(line), Command::Unknown, "{line:?}");
    }
}
