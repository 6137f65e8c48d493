use super::*;

fn wire(reply: &Reply) -> String {
    let mut out = Vec::new();
    reply.write_to(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_reply_is_written_line_by_line() {
    for (case, reply, expected) in [
        ("one line", Reply::new(250, Status::success(0, 0), "ok"), "250 2.0.0 ok\r\n"),
        ("no status", Reply::bare(220, "mail.test ESMTP"), "220 mail.test ESMTP\r\n"),
        ("no text", Reply::bare(250, ""), "250 \r\n"),
        ("two lines", Reply::new(550, Status::permanent(1, 1), "no\nsuch user"), "550-5.1.1 no\r\n550 5.1.1 such user\r\n"),
        ("lines apart", Reply::bare(250, "x").with_lines(["mail.test", "SIZE 1"]), "250-mail.test\r\n250 SIZE 1\r\n"),
        ("no lines", Reply::bare(250, "x").with_lines(Vec::<String>::new()), "250 \r\n"),
        ("a code that is none", Reply::bare(199, "x"), "451 x\r\n"),
        ("a code beyond", Reply::bare(600, "x"), "451 x\r\n"),
    ] {
        assert_eq!(wire(&reply), expected, "{case}");
    }
}

/// THREATS 17 and 19: a text from a peer adds no line and drives no terminal.
#[test]
fn no_text_can_add_a_line() {
    for bad in ["\r", "\r\n", "\n", "\0", "\u{1b}[2J", "\u{85}", "\u{2028}", "\u{2029}", "\u{7f}"] {
        let text = format!("a{bad}250 2.0.0 b");
        for reply in
            [Reply::bare(550, &text), Reply::bare(550, "x").with_lines([&text]), Reply::new(550, Status::permanent(0, 0), &text)]
        {
            let written = wire(&reply);
            assert!(written.split_inclusive("\r\n").all(|line| line.starts_with("550")), "{written:?}");
            assert!(!written.replace("\r\n", "").contains(char::is_control), "{written:?}");
            assert!(!written.contains(['\u{2028}', '\u{2029}']));
            assert!(!reply.to_string().contains(char::is_control));
        }
    }
}

#[test]
fn lines_and_their_number_are_bounded() {
    let reply = Reply::new(550, Status::permanent(999, 999), &"é".repeat(10_000));
    assert!(wire(&reply).len() <= 512, "RFC 5321 §4.5.3.1.5");
    assert!(reply.text().chars().all(|c| c == 'é'), "no character is cut in two");
    assert_eq!(Reply::bare(550, &"x\n".repeat(10_000)).lines().len(), LINES_MAX);
    assert_eq!(Reply::bare(550, "").with_lines(vec!["x"; 10_000]).lines().len(), LINES_MAX);
}

#[test]
fn the_first_digit_decides() {
    for (code, positive, temporary, permanent) in [
        (250, true, false, false),
        (354, true, false, false),
        (421, false, true, false),
        (499, false, true, false),
        (550, false, false, true),
    ] {
        let reply = Reply::bare(code, "x");
        assert_eq!((reply.is_positive(), reply.is_temporary(), reply.is_permanent()), (positive, temporary, permanent), "{code}");
    }
}

#[test]
fn a_status_that_contradicts_its_code_counts_for_nothing() {
    for (code, status, expected) in [
        (550, Some(Status::permanent(1, 1)), Status::permanent(1, 1)),
        (550, Some(Status::temporary(1, 1)), Status::permanent(0, 0)),
        (450, Some(Status::permanent(7, 1)), Status::temporary(0, 0)),
        (250, Some(Status::success(1, 5)), Status::success(1, 5)),
        (354, None, Status::success(0, 0)),
        (451, None, Status::temporary(0, 0)),
    ] {
        let reply = status.map_or_else(|| Reply::bare(code, "x"), |status| Reply::new(code, status, "x"));
        assert_eq!(reply.status_or_default(), expected, "{code} {status:?}");
    }
}

#[test]
fn a_reply_is_shown_in_one_line() {
    assert_eq!(Reply::new(550, Status::permanent(1, 1), "no\nuser").to_string(), "550 5.1.1 no user");
    assert_eq!(Reply::bare(250, "").to_string(), "250");
}
