use super::*;

fn read(command: u8, data: &[u8]) -> Result<Answer, PacketError> {
    let mut input = BytesMut::from(&packet(command, &[data])[..]);
    let answer = next(&mut input).map(Option::unwrap);
    assert!(input.is_empty());
    answer
}

fn refused(command: u8, data: &[u8]) -> String {
    let Ok(Answer::Refuse(verdict)) = read(command, data) else { panic!("{command}") };
    verdict.reply(|| unreachable!()).to_string()
}

#[test]
fn what_a_milter_answers_is_understood() {
    assert_eq!(read(b'c', b""), Ok(Answer::Continue));
    assert_eq!(
        read(b'h', b"X-Spam\0yes\0"),
        Ok(Answer::Change(Change::AddHeader { name: b"X-Spam".to_vec(), value: b"yes".to_vec() }))
    );
    let inserted = Change::InsertHeader { place: 1, name: b"X".to_vec(), value: b"y".to_vec() };
    assert_eq!(read(b'i', b"\0\0\0\x01X\0y\0"), Ok(Answer::Change(inserted)));
    let removed = Change::SetHeader { nth: 1, name: b"X".to_vec(), value: Vec::new() };
    assert_eq!(read(b'm', b"\0\0\0\0X\0\0"), Ok(Answer::Change(removed)));
    assert_eq!(
        read(b'2', b"<a@b.example>\0NOTIFY=NEVER\0"),
        Ok(Answer::Change(Change::AddRecipient("<a@b.example>".to_owned())))
    );
}

#[test]
fn a_reply_keeps_its_words_and_cannot_break_a_line() {
    for (data, reply) in [
        (&b"550 5.7.1 no, thank you\0"[..], "550 5.7.1 no, thank you"),
        (b"451 4.7.1 later\0", "451 4.7.1 later"),
        (b"554 no status\0", "554 5.7.1 no status"),
        (b"421 4.3.2 go away\0", "421 4.3.2 go away"),
        (b"550-5.7.1 one\r\n550 5.7.1 two 100%%\0", "550 5.7.1 one two 100%"),
        (b"550 5.7.1 a\n250 b\r\0", "550 5.7.1 a 250 b"),
    ] {
        assert_eq!(refused(b'y', data).trim_end(), reply);
    }
    for data in [&b"250 2.0.0 fine\0"[..], b"55\0", b"", b"abc 5.7.1 x\0", b"999 x\0"] {
        assert_eq!(read(b'y', data), Err(PacketError::Malformed(b'y')), "{data:?}");
    }
}

#[test]
fn a_packet_that_is_none_is_an_error() {
    for (command, data) in [
        (b'h', &b"X-Spam\0yes"[..]),
        (b'h', b"X-Spam"),
        (b'h', b"\0yes\0"),
        (b'h', b"a b\0yes\0"),
        (b'h', b"a:\0yes\0"),
        (b'h', b"X\nY\0yes\0"),
        (b'i', b"\0\0\x01X\0y\0"),
        (b'e', b"\xff\0"),
        (b'O', b"\0\0\0\x06\0\0\0\x01"),
    ] {
        assert_eq!(read(command, data), Err(PacketError::Malformed(command)), "{data:?}");
    }
    assert_eq!(read(b'Z', b""), Err(PacketError::Unknown(b'Z')));
    assert_eq!(read(b'O', b"\0\0\0\x01\0\0\0\0\0\0\0\0"), Err(PacketError::Version(1)));
    assert_eq!(next(&mut BytesMut::from(&[0, 0, 0, 0][..])), Err(PacketError::Empty));
    assert_eq!(next(&mut BytesMut::from(&[0xff, 0xff, 0xff, 0xff, b'c'][..])), Err(PacketError::TooLong(0xffff_ffff)));
    for cut in 0..5 {
        assert_eq!(next(&mut BytesMut::from(&packet(b'c', &[])[..cut.min(4)])), Ok(None));
    }
}

#[test]
fn a_milter_gets_no_more_than_was_offered() {
    let options = read(b'O', &[0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(options, Ok(Answer::Options { actions: ACTIONS, protocol: PROTOCOL }));
}

#[test]
fn a_zero_in_a_text_does_not_end_it() {
    assert_eq!(texts([&b"a\0b"[..], b"c"]), b"ab\0c\0");
}
