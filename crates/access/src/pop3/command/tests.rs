use super::*;

fn n(value: u32) -> Number {
    Number::new(value).unwrap()
}

#[test]
fn each_command_is_read_whatever_its_case() {
    for (line, command) in [
        ("capa", Command::Capa),
        ("STLS", Command::Stls),
        ("User bob", Command::User("bob")),
        ("PASS  two spaces ", Command::Pass(" two spaces ")),
        ("AUTH", Command::Auth(None)),
        ("AUTH PLAIN", Command::Auth(Some(("PLAIN", None)))),
        ("AUTH PLAIN AGEAYg==", Command::Auth(Some(("PLAIN", Some("AGEAYg=="))))),
        ("LIST", Command::List(None)),
        ("LIST 7", Command::List(Some(n(7)))),
        ("UIDL 1", Command::Uidl(Some(n(1)))),
        ("TOP 1 0", Command::Top(n(1), 0)),
        ("RETR 4294967295", Command::Retr(n(u32::MAX))),
        ("DELE 2", Command::Dele(n(2))),
    ] {
        assert_eq!(parse(line), Ok(command), "{line}");
    }
}

#[test]
fn wrong_arguments_are_named() {
    for line in [
        "STAT 1",
        "USER",
        "USER ",
        "PASS",
        "PASS ",
        "RETR",
        "RETR 0",
        "RETR -1",
        "RETR +1",
        "RETR 4294967296",
        "RETR 1 2",
        "TOP 1",
        "TOP 1 -1",
        "TOP 1 2 3",
        "LIST x",
        "LIST ",
        "AUTH ",
        "AUTH PLAIN ",
        "AUTH PLAIN a b",
        "QUIT now",
    ] {
        assert!(matches!(parse(line), Err(Malformed::Arguments(_))), "{line}: {:?}", parse(line));
    }
}

#[test]
fn another_protocol_is_told_apart_from_a_typing_error() {
    assert_eq!(parse("GET / HTTP/1.1"), Err(Malformed::OtherProtocol));
    assert_eq!(parse("EHLO x"), Err(Malformed::OtherProtocol));
    assert_eq!(parse("RETRIEVE 1"), Err(Malformed::Unknown));
    assert_eq!(parse(""), Err(Malformed::Unknown));
}
