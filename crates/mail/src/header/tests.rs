use super::*;

const BLOCK: &[u8] =
    b"Received: a\r\n\tb\r\nReceived: c\r\nFrom : x@y.test\r\nBCC: secret@y.test,\r\n more@y.test\r\nSubject: \r\n folded\r\n";

#[test]
fn the_end_of_the_header_is_the_first_empty_line() {
    assert_eq!(end_of_header(b"A: b\r\n\r\nbody\r\n\r\n"), Some((6, 8)));
    assert_eq!(end_of_header(b"\r\nbody"), Some((0, 2)));
    assert_eq!(end_of_header(b"A: b\r\n"), None);
    assert_eq!(end_of_header(b"A: b\r\n\n\nbody\r\n"), None, "only CRLF ends a line");
}

#[test]
fn folded_fields_are_one_field() {
    let header = Header::parse(BLOCK).unwrap();
    let names: Vec<_> = header.fields().map(|field| field.name()).collect();
    assert_eq!(names, ["Received", "Received", "From", "BCC", "Subject"]);
    assert_eq!(header.received_count(), 2);
    assert_eq!(header.first("received").unwrap().value(), "a\tb");
    assert_eq!(header.first("subject").unwrap().value(), "folded");
    assert_eq!(header.first("from").unwrap().value(), "x@y.test");
}

#[test]
fn a_field_is_removed_with_all_its_lines_and_the_rest_is_as_it_was() {
    let header = Header::parse(BLOCK).unwrap();
    let kept = header.without(&["Bcc"]);
    assert_eq!(kept, String::from_utf8_lossy(BLOCK).replace("BCC: secret@y.test,\r\n more@y.test\r\n", "").into_bytes());
    assert_eq!(header.without(&[]), BLOCK);
}

#[test]
fn a_line_that_is_no_field_is_named() {
    for (block, line) in [
        (&b"A: b\r\nnot a field\r\n"[..], 2),
        (b" continued from nothing\r\n", 1),
        (b": empty\r\n", 1),
        (b"A: b\r\nna\x00me: x\r\n", 2),
        (b"A: b\r\n\xff: x\r\n", 2),
    ] {
        assert_eq!(Header::parse(block).unwrap_err(), HeaderError::NotAField { line });
    }
}

#[test]
fn odd_names_are_names_and_nothing_more() {
    for name in ["__proto__", "constructor", "X-\u{7e}"] {
        let block = format!("{name}: x\r\n");
        assert_eq!(Header::parse(block.as_bytes()).unwrap().fields().next().unwrap().name(), name);
    }
}

#[test]
fn a_flood_of_fields_or_octets_is_refused() {
    assert_eq!(Header::parse("A: b\r\n".repeat(FIELDS_MAX + 1).as_bytes()).unwrap_err(), HeaderError::TooManyFields);
    assert_eq!(Header::parse(&vec![b'x'; HEADER_BYTES_MAX + 1]).unwrap_err(), HeaderError::TooLong);
    assert!(Header::parse("A: b\r\n".repeat(FIELDS_MAX).as_bytes()).is_ok());
}
