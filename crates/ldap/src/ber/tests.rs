use super::*;

#[test]
fn what_is_written_is_read_back() {
    for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
        let written = element(OCTETS, &vec![7; length]);
        let mut reader = Reader::new(&written);
        assert_eq!(reader.take(OCTETS).map(<[u8]>::len), Some(length));
        assert!(reader.next().is_none());
        assert_eq!(message_length(&element(SEQUENCE, &vec![7; length]), 100_000), Ok(Some(written.len())));
    }
    for value in [0, 1, 127, 128, 255, 256, 65_535, u32::MAX] {
        assert_eq!(Reader::new(&number(INTEGER, value)).number(INTEGER), Some(value));
    }
    assert_eq!(number(INTEGER, 128), [2, 2, 0, 128]);
}

#[test]
fn what_does_not_fit_is_nothing() {
    // Cut off, indefinite, a length of five octets, longer than what is there, negative, too large.
    for bad in [&[4][..], &[4, 0x80, 0, 0], &[4, 0x85, 0, 0, 0, 0, 1, 7], &[4, 3, 1, 2], &[4, 0x84, 0xff, 0xff, 0xff, 0xff, 1]] {
        assert!(Reader::new(bad).next().is_none(), "{bad:?}");
    }
    for bad in [&[2, 0][..], &[2, 1, 0xff], &[2, 5, 1, 0, 0, 0, 0], &[2, 6, 0, 0, 0, 0, 0, 1], &[4, 1, 1]] {
        assert!(Reader::new(bad).number(INTEGER).is_none(), "{bad:?}");
    }
}

#[test]
fn a_message_is_waited_for_and_not_without_end() {
    for part in [&[][..], &[0x30], &[0x30, 0x82], &[0x30, 0x82, 1], &[0x30, 0x84, 0, 0]] {
        assert_eq!(message_length(part, 1000), Ok(None), "{part:?}");
    }
    for bad in
        [&[0x31][..], b"HTTP/1.1", &[0x30, 0x80], &[0x30, 0x85], &[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff], &[0x30, 0x82, 4, 0]]
    {
        assert_eq!(message_length(bad, 1000), Err(()), "{bad:?}");
    }
    assert_eq!(message_length(&[0x30, 5, 1], 1000), Ok(Some(7)));
}
