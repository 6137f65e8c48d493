use super::*;

#[test]
fn what_is_sent_in_one_write_is_one_step() {
    let dialog =
        Dialog::parse("d", "# why\n= listener mx\n\nC: MAIL FROM:<>\nC! .\\r\\n\\x41\\0\nS: 250 *\nC*2 NOOP {n}\nS+ 250\nT\nX\n");
    assert_eq!(dialog.setting("listener"), Some("mx"));
    assert_eq!(
        dialog.steps,
        [
            Step::Send(b"MAIL FROM:<>\r\n.\r\nA\0".to_vec()),
            Step::Line("250 *".to_owned()),
            Step::Send(b"NOOP 1\r\nNOOP 2\r\n".to_vec()),
            Step::Reply("250".to_owned()),
            Step::Tls,
            Step::Close,
        ]
    );
}

#[test]
fn a_pattern_takes_no_line_that_is_shorter_or_longer() {
    for (pattern, line, right) in [
        ("250 ok", "250 ok", true),
        ("250 ok", "250 oks", false),
        ("250 *", "250 anything", true),
        ("250 *", "250", false),
        ("250 2.6.0 * stored", "250 2.6.0 01ABC stored", true),
        ("250 2.6.0 * stored", "250 2.6.0 01ABC restored", false),
        ("250 * a * b", "250 x a y b", true),
        ("250 * a * b", "250 x b y a", false),
        ("*", "", true),
    ] {
        assert_eq!(matches(pattern, line), right, "{pattern} and {line}");
    }
}

#[test]
#[should_panic(expected = "d:2: `Q: x` is no line of a dialog")]
fn a_line_that_is_none_is_named() {
    let _dialog = Dialog::parse("d", "C: a\nQ: x\n");
}
