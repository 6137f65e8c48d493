use super::*;

#[test]
fn a_letter_cannot_speak_to_the_terminal() {
    assert_eq!(harmless(b"a\x1b[31mb\x07\x7f\r\n\tc"), b"a.[31mb..\r\n\tc");
    // U+009B is one octet's worth of ESC [ in two; Ü shares its second octet's range with it.
    let shown = harmless("\u{9b}31m \u{dc}\u{9b}".as_bytes());
    assert!(!String::from_utf8_lossy(&shown).chars().any(|c| c.is_control()), "{shown:?}");
    assert_eq!(harmless("Grüße Ü".as_bytes()), "Grüße Ü".as_bytes());
}

#[test]
fn a_row_is_one_line_whatever_the_subject_is() {
    let info = MailInfo {
        uid: 7,
        size: 12,
        at: "2026-11-24T03:12:09.120Z".to_owned(),
        seen: false,
        letter: String::new(),
        from: None,
        subject: Some("a\r\nb".to_owned()),
    };
    assert_eq!(row(&info), "    7 *  2026-11-24 03:12         12  -  a\\r\\nb");
}
