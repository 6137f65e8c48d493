use bytes::BytesMut;
use posthouse_mail::{BodyKind, Notify, OriginalRecipient, Ret};

use super::*;

fn mail(arguments: &str) -> Result<Mail, ArgumentError> {
    Mail::parse(arguments)
}

#[test]
fn a_line_ends_with_crlf_and_nothing_else() {
    for (octets, expected) in [
        ("NOOP\r\nrest", Ok(Some("NOOP"))),
        ("\r\n", Ok(Some(""))),
        ("NOOP", Ok(None)),
        ("NOOP\r", Ok(None)),
        ("NOOP\n", Err(LineError::BareLf)),
        ("NO\rOP\r\n", Err(LineError::BareCr)),
        ("NO\0OP\r\n", Err(LineError::Nul)),
        ("12345678\r\n", Ok(Some("12345678"))),
        ("123456789\r\n", Err(LineError::TooLong)),
        ("12345678901", Err(LineError::TooLong)),
    ] {
        let mut input = BytesMut::from(octets);
        let line = LineScanner::default().next_line(&mut input, 10);
        let line = line.map(|line| line.map(|line| String::from_utf8(line.to_vec()).unwrap()));
        assert_eq!(line, expected.map(|line| line.map(str::to_owned)), "{octets:?}");
        // Octet by octet, the same comes out.
        let (mut input, mut scanner) = (BytesMut::new(), LineScanner::default());
        let mut last = Ok(None);
        for octet in octets.bytes() {
            input.extend_from_slice(&[octet]);
            last = scanner.next_line(&mut input, 10);
            if last != Ok(None) {
                break;
            }
        }
        let last = last.map(|line| line.map(|line| String::from_utf8(line.to_vec()).unwrap()));
        assert_eq!(last, expected.map(|line| line.map(str::to_owned)), "{octets:?} by octets");
    }
}

#[test]
fn parameters_come_back_as_they_were() {
    let text = "FROM:<a@b.example> SIZE=10 BODY=BINARYMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb AUTH=<>";
    let parsed = mail(text).unwrap();
    assert_eq!(
        (parsed.size, parsed.body, parsed.smtputf8, parsed.ret, parsed.envid.as_deref(), parsed.auth.as_deref()),
        (Some(10), Some(BodyKind::BinaryMime), true, Some(Ret::Headers), Some("a+b"), Some("<>"))
    );
    assert_eq!(parsed.to_string(), format!("MAIL {text}"));
    let rcpt = Rcpt::parse("to: <\"a b\"@c.example> notify=delay,success orcpt=RFC822;x+3Dy", false).unwrap();
    assert_eq!(rcpt.notify, Some(Notify { success: true, failure: false, delay: true }));
    assert_eq!(rcpt.orcpt, Some(OriginalRecipient { kind: "RFC822".to_owned(), address: "x=y".to_owned() }));
    assert_eq!(rcpt.to_string(), "RCPT TO:<\"a b\"@c.example> NOTIFY=SUCCESS,DELAY ORCPT=RFC822;x+3Dy");
    let never = Rcpt::parse("TO:<Postmaster> NOTIFY=NEVER", false).unwrap();
    assert_eq!((never.path.address(), never.to_string().as_str()), (None, "RCPT TO:<Postmaster> NOTIFY=NEVER"));
}

#[test]
fn wishes_come_back_as_they_were() {
    for (given, written) in [
        ("MT-PRIORITY=-9", "MT-PRIORITY=-9"),
        ("mt-priority=0", "MT-PRIORITY=0"),
        ("HOLDFOR=999999999", "HOLDFOR=999999999"),
        ("holduntil=2026-11-24T03:12:03Z", "HOLDUNTIL=2026-11-24T03:12:03Z"),
        ("HOLDUNTIL=2026-11-24T03:12:03.5Z", "HOLDUNTIL=2026-11-24T03:12:03.500Z"),
        ("BY=120;R", "BY=120;R"),
        ("by=+120;rt", "BY=120;RT"),
        ("BY=-000000001;nT", "BY=-1;NT"),
        ("BY=0;N", "BY=0;N"),
    ] {
        let parsed = mail(&format!("FROM:<> {given}")).unwrap();
        assert!(parsed.has_parameters());
        assert_eq!(parsed.to_string(), format!("MAIL FROM:<> {written}"));
        assert_eq!(mail(&format!("FROM:<> {written}")), Ok(parsed));
    }
}

#[test]
fn a_wish_that_means_nothing_is_an_error() {
    for wrong in [
        "MT-PRIORITY",
        "MT-PRIORITY=10",
        "MT-PRIORITY=+1",
        "MT-PRIORITY=-0",
        "MT-PRIORITY=01",
        "MT-PRIORITY=-",
        "MT-PRIORITY=high",
        "MT-PRIORITY=1 MT-PRIORITY=1",
        "HOLDFOR=",
        "HOLDFOR=0",
        "HOLDFOR=01",
        "HOLDFOR=-1",
        "HOLDFOR=1000000000",
        "HOLDFOR=1h",
        "HOLDUNTIL=1795489923",
        "HOLDUNTIL=2026-11-24T03:12:03+00:00",
        "HOLDUNTIL=2026-11-31T03:12:03Z",
        "HOLDFOR=1 HOLDUNTIL=2026-11-24T03:12:03Z",
        "HOLDUNTIL=2026-11-24T03:12:03Z HOLDFOR=1",
        "BY",
        "BY=120",
        "BY=;R",
        "BY=R;120",
        "BY=0;R",
        "BY=-1;R",
        "BY=--1;N",
        "BY=1000000000;N",
        "BY=120;",
        "BY=120;T",
        "BY=120;NN",
        "BY=120;NTT",
        "BY=120;N;T",
        "BY=1;N BY=1;N",
    ] {
        let error = mail(&format!("FROM:<> {wrong}")).unwrap_err();
        assert!(matches!(error, ArgumentError::Parameter(_) | ArgumentError::Form(_)), "{wrong}: {error}");
    }
}

#[test]
fn quoted_brackets_do_not_end_a_path() {
    assert_eq!(take_path("<\"a>b\"@c> X"), Ok(("\"a>b\"@c", " X")));
    assert_eq!(take_path("<\"a\\\">b\"@c>"), Ok(("\"a\\\">b\"@c", "")));
    assert_eq!(take_path("<\"a>"), Err(PathError::Brackets));
    assert_eq!(take_path("<a@b>>"), Err(PathError::Behind));
    assert_eq!(take_path("a@b"), Err(PathError::Brackets));
}

#[test]
fn a_source_route_is_read_and_thrown_away() {
    for (path, mailbox) in [
        ("@a.example:x@y.example", Some("x@y.example")),
        ("@a.example,@b.example:x@y.example", Some("x@y.example")),
        ("@[IPv6:::1],@[192.0.2.1]:x@y.example", Some("x@y.example")),
        ("@a.example", None),
        ("@a.example:", None),
        ("@a.example,b.example:x@y.example", None),
        ("@a.example,:x@y.example", None),
        ("@:x@y.example", None),
        ("@a.example:@b.example:x@y.example", None),
        ("@[IPv6:::1:x@y.example", None),
    ] {
        let parsed = ForwardPath::parse(path).ok().map(|path| path.to_string());
        assert_eq!(parsed.as_deref(), mailbox, "{path}");
    }
}

#[test]
fn shell_words_in_a_local_part_are_nothing_but_a_local_part() {
    // OpenSMTPD CVE-2020-7247, and the expansions of Exim's CVE-2019-10149.
    for local in ["`id`", "$HOME", "|id", "${run{id}}", "%id"] {
        assert_eq!(mail(&format!("FROM:<{local}@b.example>")).unwrap().path.to_string(), format!("{local}@b.example"));
    }
    for local in [";id", "$(id)", "a;b", "a\tb", "a\u{7f}b", "a\u{2028}b"] {
        assert!(mail(&format!("FROM:<{local}@b.example> SMTPUTF8")).is_err(), "{local:?}");
    }
}

#[test]
fn encoded_controls_do_not_come_out_of_xtext() {
    for (text, decoded) in [
        ("a+2Bb", Some("a+b")),
        ("+20", Some(" ")),
        ("a+0A", None),
        ("a+0D+0A", None),
        ("+00", None),
        ("+1B", None),
        ("+7F", None),
        ("+FF", None),
        ("+2", None),
        ("+", None),
        ("+GG", None),
        ("a=b", None),
        ("a b", None),
        ("é", None),
    ] {
        assert_eq!(xtext::decode(text).as_deref(), decoded, "{text}");
    }
    assert_eq!(xtext::decode(&xtext::encode("a +=~!")).as_deref(), Some("a +=~!"));
}

#[test]
fn addresses_beyond_ascii_survive_orcpt() {
    for (value, smtputf8, address) in [
        ("utf-8;j\\x{F6}rg@example.org", false, Some("jörg@example.org")),
        ("utf-8;jörg@example.org", true, Some("jörg@example.org")),
        ("utf-8;jörg@example.org", false, None),
        ("utf-8;a\\x{5C}b+20c", false, Some("a\\b c")),
        ("utf-8;a\\x{0D}", false, None),
        ("utf-8;a\\x{2028}", false, None),
        ("utf-8;a\\x{D800}", false, None),
        ("utf-8;a\\x{1F600}", false, Some("a\u{1f600}")),
        ("utf-8;a\\x{0000041}", false, None),
        ("utf-8;a\\x41", false, None),
        ("utf-8;+", false, None),
        ("rfc822;jörg@example.org", true, None),
        ("rfc822;j+C3+B6rg@example.org", true, Some("jörg@example.org")),
        ("rfc822;j+F6rg@example.org", true, None),
        ("rfc822;a+C2+85b@example.org", true, None),
        (";a", false, None),
        ("rfc822;", false, None),
        ("rfc 822;a", false, None),
    ] {
        let decoded = xtext::decode_orcpt(value, smtputf8);
        assert_eq!(decoded.as_ref().map(|orcpt| orcpt.address.as_str()), address, "{value}");
        if let Some(orcpt) = decoded {
            let again = xtext::encode_orcpt(&orcpt);
            assert!(again.is_ascii());
            assert_eq!(xtext::decode_orcpt(&again, false), Some(orcpt), "{again}");
        }
    }
}

fn replies(octets: &[u8], size: usize) -> Result<Vec<String>, ReplyError> {
    let (mut parser, mut found) = (ReplyParser::new(), Vec::new());
    for piece in octets.chunks(size) {
        parser.push(piece);
        while let Some(reply) = parser.next_reply()? {
            let mut wire = Vec::new();
            reply.write_to(&mut wire);
            found.push(String::from_utf8(wire).unwrap());
        }
    }
    Ok(found)
}

#[test]
fn replies_are_read_however_the_octets_come() {
    let wire = "220 mx.example.org\r\n250-mx\r\n250-SIZE 10\r\n250 DSN\r\n550-5.1.1 no\r\n550 5.1.1 such user\r\n421\r\n250-\r\n250 \r\n";
    for size in 1..wire.len() {
        let found = replies(wire.as_bytes(), size).unwrap();
        assert_eq!(found.concat(), wire.replace("421\r\n", "421 \r\n"), "by {size}");
        assert_eq!(found.len(), 5);
    }
}

#[test]
fn a_reply_cannot_smuggle_lines_or_grow_without_end() {
    for (wire, error) in [
        (b"250 ok\n".to_vec(), ReplyError::Line(LineError::BareLf)),
        (b"250 a\r250 b\r\n".to_vec(), ReplyError::Line(LineError::BareCr)),
        (b"250 \0\r\n".to_vec(), ReplyError::Line(LineError::Nul)),
        (b"250-a\r\n550 b\r\n".to_vec(), ReplyError::Codes),
        (b"hello\r\n".to_vec(), ReplyError::NotAReply("hello".to_owned())),
        (b"25\r\n".to_vec(), ReplyError::NotAReply("25".to_owned())),
        (b"199 x\r\n".to_vec(), ReplyError::NotAReply("199 x".to_owned())),
        (b"600 x\r\n".to_vec(), ReplyError::NotAReply("600 x".to_owned())),
        (b"250+x\r\n".to_vec(), ReplyError::NotAReply("250+x".to_owned())),
        (b"250-x\r\n".repeat(1025), ReplyError::TooManyLines),
        (b"x".repeat(3000), ReplyError::Line(LineError::TooLong)),
    ] {
        assert_eq!(replies(&wire, wire.len()), Err(error.clone()), "{:?}", String::from_utf8_lossy(&wire));
        assert_eq!(replies(&wire, 1), Err(error));
    }
    let mut parser = ReplyParser::new();
    for _ in 0..100 {
        parser.push(&[b'2'; 64 << 10]);
    }
    assert_eq!(parser.next_reply(), Err(ReplyError::TooMuch));
}

#[test]
fn a_status_is_read_and_a_text_that_is_none_stays_text() {
    let mut parser = ReplyParser::new();
    // Postfix CVE-2026-43964: nothing behind the status.
    parser.push(b"550 5.7.2\r\n550 5.1.1x\r\n550 5.1 x\r\n");
    let mut next = || parser.next_reply().unwrap().unwrap();
    let (bare, glued, short) = (next(), next(), next());
    assert_eq!((bare.status().map(|status| status.to_string()).as_deref(), bare.text().as_str()), (Some("5.7.2"), ""));
    assert_eq!((glued.status(), glued.text().as_str()), (None, "5.1.1x"));
    assert_eq!((short.status(), short.text().as_str()), (None, "5.1 x"));
    assert!(parser.is_empty());
    parser.push(b"2");
    assert!(!parser.is_empty());
}
