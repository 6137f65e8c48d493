use super::*;

#[test]
fn every_line_end_becomes_crlf_once() {
    let rows: [(&str, &str); 9] = [
        ("", ""),
        ("a", "a"),
        ("a\n", "a\r\n"),
        ("a\r\n", "a\r\n"),
        ("a\r", "a\r\n"),
        ("a\n\nb\n", "a\r\n\r\nb\r\n"),
        ("\r\r\n\n", "\r\n\r\n\r\n"),
        ("a\n\r\nb", "a\r\n\r\nb"),
        ("a\r\n.\r\nb", "a\r\n.\r\nb"),
    ];
    for (given, expected) in rows {
        let once = to_crlf(given.as_bytes());
        assert_eq!(String::from_utf8_lossy(&once), expected, "{given:?}");
        assert_eq!(to_crlf(&once), once);
    }
}
