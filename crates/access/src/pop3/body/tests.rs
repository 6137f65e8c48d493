use super::*;

const LETTER: &[u8] = b"Subject: x\r\n.head: y\r\n\r\none\r\n.two\r\n..\r\nlast";

fn written(letter: &[u8], lines: Option<u32>, chunk: usize) -> String {
    let mut writer = BodyWriter::new(lines);
    let mut out = Vec::new();
    for piece in letter.chunks(chunk) {
        writer.write(piece, &mut out);
    }
    writer.end(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_chunk_border_anywhere_changes_nothing() {
    for chunk in 1..LETTER.len() {
        assert_eq!(
            written(LETTER, None, chunk),
            "Subject: x\r\n..head: y\r\n\r\none\r\n..two\r\n...\r\nlast\r\n.\r\n",
            "{chunk}"
        );
        assert_eq!(written(LETTER, Some(0), chunk), "Subject: x\r\n..head: y\r\n\r\n.\r\n", "{chunk}");
        assert_eq!(written(LETTER, Some(2), chunk), "Subject: x\r\n..head: y\r\n\r\none\r\n..two\r\n.\r\n", "{chunk}");
        assert_eq!(written(LETTER, Some(99), chunk), written(LETTER, None, chunk), "{chunk}");
    }
}

#[test]
fn a_letter_of_nothing_is_a_dot() {
    assert_eq!(written(b"", None, 1), ".\r\n");
    assert_eq!(written(b"\r\n", Some(0), 1), "\r\n.\r\n");
}

#[test]
fn a_lone_dot_cannot_end_the_reply() {
    assert_eq!(written(b"\r\n.\r\nhidden\r\n", None, 3), "\r\n..\r\nhidden\r\n.\r\n");
}
