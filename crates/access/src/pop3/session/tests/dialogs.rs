//! Dialogues: `C:` is said, `S:` is expected, `L:` is what the world was told, and nothing else may come.

use super::*;

/// Two letters; the second has dots and no last CRLF.
const LETTERS: [&[u8]; 2] = [b"Subject: one\r\n\r\nHello\r\n", b"Subject: two\r\n\r\n.dot\r\nmore\r\nend"];

const DIALOGS: &[(&str, &str)] = &[
    (
        "the classic session",
        "C: USER alice@a.test
         S: +OK and the password?
         C: PASS secret
         L: open alice@a.test USER
         S: +OK 2 messages, 54 octets
         C: STAT
         S: +OK 2 54
         C: LIST
         S: +OK 2 messages, 54 octets
         S: 1 23
         S: 2 31
         S: .
         C: UIDL
         S: +OK the unique-ids
         S: 1 77.10
         S: 2 77.20
         S: .
         C: RETR 1
         L: fetched 10
         S: +OK 23 octets
         S: Subject: one
         S:
         S: Hello
         S: .
         C: DELE 1
         S: +OK marked as deleted
         C: QUIT
         L: update [Uid(10)] []
         S: +OK goodbye
         END",
    ),
    (
        "a letter with dots and without a last CRLF",
        "LOGIN
         C: RETR 2
         L: fetched 20
         S: +OK 31 octets
         S: Subject: two
         S:
         S: ..dot
         S: more
         S: end
         S: .
         C: TOP 2 1
         S: +OK the top follows
         S: Subject: two
         S:
         S: ..dot
         S: .
         C: QUIT
         L: update [] [Uid(20)]
         S: +OK goodbye
         END",
    ),
    (
        "what is marked is gone from every list until RSET",
        "LOGIN
         C: DELE 1
         S: +OK marked as deleted
         C: DELE 1
         S: -ERR there is no such message
         C: RETR 1
         S: -ERR there is no such message
         C: TOP 1 0
         S: -ERR there is no such message
         C: LIST 1
         S: -ERR there is no such message
         C: UIDL 1
         S: -ERR there is no such message
         C: STAT
         S: +OK 1 31
         C: LIST
         S: +OK 1 messages, 31 octets
         S: 2 31
         S: .
         C: UIDL 2
         S: +OK 2 77.20
         C: RSET
         S: +OK 2 messages, 54 octets
         C: LIST 1
         S: +OK 1 23
         C: QUIT
         L: update [] []
         S: +OK goodbye
         END",
    ),
    (
        "numbers that no message has",
        "LOGIN
         C: RETR 0
         S: -ERR there is no such message
         C: RETR 3
         S: -ERR there is no such message
         C: DELE 9999999999999999999
         S: -ERR there is no such message
         C: LIST 0
         S: -ERR there is no such message
         C: RETR
         S: -ERR wrong arguments
         C: RETR one
         S: -ERR wrong arguments",
    ),
    (
        "nothing before the login, and no login twice",
        "C: STAT
         S: -ERR log in first
         C: RETR 1
         S: -ERR log in first
         C: DELE 1
         S: -ERR log in first
         C: NOOP
         S: -ERR log in first
         C: PASS secret
         S: -ERR USER comes first
         C: USER alice@a.test
         S: +OK and the password?
         C: PASS secret
         L: open alice@a.test USER
         S: +OK 2 messages, 54 octets
         C: USER bob@a.test
         S: -ERR you are logged in already
         C: AUTH PLAIN
         S: -ERR you are logged in already
         C: STLS
         S: -ERR you are logged in already
         C: NOOP
         S: +OK nothing done",
    ),
    (
        "QUIT before the login removes nothing",
        "C: USER alice@a.test
         S: +OK and the password?
         C: QUIT
         S: +OK goodbye
         END",
    ),
    (
        "a wrong password and an unknown login look the same",
        "C: USER alice@a.test
         S: +OK and the password?
         C: PASS guess
         L: failed alice@a.test USER
         S: -ERR [AUTH] wrong login or password
         C: USER nobody@a.test
         S: +OK and the password?
         C: PASS guess
         L: failed nobody@a.test USER
         S: -ERR [AUTH] wrong login or password
         C: PASS secret
         S: -ERR USER comes first
         C: USER alice@a.test
         S: +OK and the password?
         C: PASS guess
         L: failed alice@a.test USER
         S: -ERR [AUTH] wrong login or password
         END",
    ),
    (
        "AUTH PLAIN with and without an initial response",
        "C: AUTH PLAIN AGFsaWNlQGEudGVzdABndWVzcw==
         L: failed alice@a.test PLAIN
         S: -ERR [AUTH] wrong login or password
         C: auth plain
         S: + 
         C: AGFsaWNlQGEudGVzdABzZWNyZXQ=
         L: open alice@a.test PLAIN
         S: +OK 2 messages, 54 octets",
    ),
    (
        "AUTH LOGIN",
        "C: AUTH LOGIN
         S: + VXNlcm5hbWU6
         C: YWxpY2VAYS50ZXN0
         S: + UGFzc3dvcmQ6
         C: c2VjcmV0
         L: open alice@a.test LOGIN
         S: +OK 2 messages, 54 octets",
    ),
    (
        "an exchange that is given up or makes no sense",
        "C: AUTH PLAIN
         S: + 
         C: *
         S: -ERR given up, as you wish
         C: AUTH PLAIN
         S: + 
         C: STAT%
         S: -ERR that is not a message of this mechanism
         C: AUTH PLAIN =
         S: -ERR that is not a message of this mechanism
         C: AUTH CRAM-MD5
         S: -ERR that mechanism is not offered
         C: AUTH
         S: -ERR wrong arguments
         C: STAT
         S: -ERR log in first",
    ),
    (
        "what can be done is told",
        "C: CAPA
         S: +OK this is what I can
         S: TOP
         S: UIDL
         S: RESP-CODES
         S: AUTH-RESP-CODE
         S: PIPELINING
         S: EXPIRE NEVER
         S: UTF8 USER
         S: USER
         S: SASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN
         S: IMPLEMENTATION Posthouse
         S: .
         C: UTF8
         S: +OK UTF-8 is welcome
         C: STLS
         S: -ERR this is under TLS already",
    ),
    (
        "no password before TLS, by no way",
        "PLAIN
         C: USER alice@a.test
         S: -ERR this server takes no password before STLS
         C: PASS secret
         S: -ERR this server takes no password before STLS
         C: AUTH PLAIN AGFsaWNlQGEudGVzdABzZWNyZXQ=
         S: -ERR this server takes no password before STLS
         C: AUTH SCRAM-SHA-256
         S: -ERR this server takes no password before STLS
         C: CAPA
         S: +OK this is what I can
         S: TOP
         S: UIDL
         S: RESP-CODES
         S: AUTH-RESP-CODE
         S: PIPELINING
         S: EXPIRE NEVER
         S: UTF8 USER
         S: STLS
         S: IMPLEMENTATION Posthouse
         S: .
         C: STLS
         L: tls
         S: +OK begin TLS
         C: USER alice@a.test
         S: +OK and the password?
         C: PASS secret
         L: open alice@a.test USER
         S: +OK 2 messages, 54 octets",
    ),
    (
        "a program that speaks HTTP is shut out at its first word",
        "C: POST / HTTP/1.1
         S: -ERR this is POP3
         END",
    ),
];

enum Cut {
    Lines,
    Octets,
    /// Everything at once.
    Pipelined,
}

fn run(name: &str, dialog: &str, cut: &Cut) {
    let now = clock::now();
    let mut world = World::new(&LETTERS);
    let lines: Vec<_> = dialog.lines().map(|line| line.strip_prefix("         ").unwrap_or(line)).collect();
    let mut session = match lines[0] {
        "LOGIN" => logged_in(&mut world, now),
        "PLAIN" => {
            let mut session = Session::new(config(), now, None);
            world.drive(&mut session, now);
            session
        }
        _ => secure(&mut world, now),
    };
    let said: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("C: ")).map(|line| format!("{line}\r\n")).collect();
    let expected: String = lines
        .iter()
        .filter_map(|line| line.strip_prefix("S:"))
        .map(|line| format!("{}\r\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    let log: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("L: ")).collect();
    let pieces: Vec<Vec<u8>> = match cut {
        Cut::Lines => said.iter().map(|line| line.clone().into_bytes()).collect(),
        Cut::Octets => said.concat().bytes().map(|octet| vec![octet]).collect(),
        Cut::Pipelined => vec![said.concat().into_bytes()],
    };
    let (mut sent, mut ended) = (Vec::new(), false);
    for piece in pieces {
        assert!(!ended, "{name}: something was said after the end");
        session.receive(now, &piece);
        let (more, end) = world.drive(&mut session, now);
        sent.extend(more);
        ended = end;
    }
    assert_eq!(String::from_utf8(sent).unwrap(), expected, "{name}");
    assert_eq!(world.log, log, "{name}");
    assert_eq!(ended, lines.contains(&"END"), "{name}");
}

#[test]
fn dialogs_go_as_written() {
    for (name, dialog) in DIALOGS {
        run(name, dialog, &Cut::Lines);
    }
}

#[test]
fn dialogs_that_come_octet_by_octet_go_the_same() {
    for (name, dialog) in DIALOGS {
        run(name, dialog, &Cut::Octets);
    }
}

#[test]
fn dialogs_that_come_all_at_once_go_the_same() {
    for (name, dialog) in DIALOGS.iter().filter(|(_, dialog)| !dialog.contains("C: STLS\n         L: tls")) {
        run(name, dialog, &Cut::Pipelined);
    }
}

#[test]
fn a_command_slipped_in_before_the_handshake_is_thrown_away() {
    let now = clock::now();
    let mut world = World::new(&LETTERS);
    let mut session = Session::new(config(), now, None);
    world.drive(&mut session, now);
    let (sent, _) = say(&mut world, &mut session, now, "STLS\r\nUSER mallory@a.test\r\nPASS x\r\nCAPA\r\nQU");
    assert_eq!(sent, "+OK begin TLS\r\n");
    let (sent, _) = say(&mut world, &mut session, now, "PASS secret\r\n");
    assert_eq!(sent, "-ERR USER comes first\r\n", "neither the user nor half a line is left of what came in the clear");
}

#[test]
fn a_server_without_certificates_offers_no_tls_and_takes_no_password() {
    let now = clock::now();
    let mut world = World::new(&LETTERS);
    let mut session = Session::new(Config { tls: false, ..config() }, now, None);
    world.drive(&mut session, now);
    let (sent, _) = say(&mut world, &mut session, now, "CAPA\r\nSTLS\r\nUSER alice@a.test\r\n");
    assert!(!sent.contains("STLS\r\nIMPL") && !sent.contains("SASL"), "{sent}");
    assert!(sent.ends_with("-ERR there is no TLS here\r\n-ERR this server takes no password before STLS\r\n"), "{sent}");
}
