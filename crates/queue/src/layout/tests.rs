use std::net::IpAddr;

use super::*;
use crate::letter::RecipientState;

fn letter() -> Letter {
    let recipient = |address: &str| Recipient::from(address.parse::<Address>().unwrap());
    let mut envelope = Envelope::new(
        "\"odd one\"@xn--mnchen-3ya.example".parse().unwrap(),
        vec![recipient("a@example.org"), recipient("grüße@example.org")],
    );
    envelope.body = BodyKind::BinaryMime;
    envelope.smtputf8 = true;
    envelope.ret = Some(Ret::Headers);
    envelope.envid = Some("QQ314159".to_owned());
    envelope.priority = Priority::new(-4).unwrap();
    envelope.tls = posthouse_mail::TlsWish::Required;
    envelope.release_at = Some(UnixMillis(1_795_494_800_000));
    envelope.deliver_by = Some(DeliverBy { at: UnixMillis(1_795_494_900_000), mode: ByMode::Notify, trace: true });
    envelope.recipients[0].notify = Some(Notify { success: true, failure: false, delay: true });
    envelope.recipients[1].notify = Some(Notify::default());
    envelope.recipients[1].orcpt =
        Some(OriginalRecipient { kind: "utf-8".to_owned(), address: "line\nbreak@example.org".to_owned() });
    let origin = Origin {
        peer: Some("2001:db8::25".parse::<IpAddr>().unwrap()),
        helo: Some("mx.example.net".to_owned()),
        account: Some(String::new()),
        listener: "submission".to_owned(),
    };
    Letter { envelope, arrived: UnixMillis(1_795_494_723_123), origin }
}

fn state() -> LetterState {
    LetterState {
        recipients: states(),
        held: true,
        priority: Priority::new(-3),
        via: Some(NextHop { host: "relay.example.org".parse().unwrap(), port: Some(2525) }),
    }
}

fn states() -> Vec<RecipientState> {
    let recipients = letter().envelope.recipients;
    let reply = Reply::new(451, Status::temporary(4, 1), "first line\nsecond line");
    let mut states: Vec<_> = (0..40).map(|n| RecipientState::new(recipients[n % 2].clone(), UnixMillis(5))).collect();
    states[0].last = Some(reply.clone());
    states[1] =
        RecipientState { state: DeliveryState::Failed, attempts: 9, last: Some(Reply::bare(550, "no")), ..states[1].clone() };
    states[2].state = DeliveryState::Delivered;
    states[4].warned = true;
    states[3].state = DeliveryState::Removed;
    states[39] =
        RecipientState { state: DeliveryState::Pending { next: UnixMillis(77) }, last: Some(reply), ..states[39].clone() };
    states
}

fn record() -> RecordHeader {
    RecordHeader {
        kind: Kind::Chunk,
        derived: true,
        lsn: 7,
        id: LetterId::new(UnixMillis(1), 2),
        len: 100,
        number: 3,
        word: 4,
        body_crc: 5,
    }
}

#[test]
fn a_letter_comes_back_as_it_went() {
    let mut body = encode_letter(&letter(), 3, "");
    body.extend_from_slice(b"end");
    let back = decode_letter(&body.into()).unwrap();
    assert_eq!((back.letter, back.size, back.tail), (letter(), 3, Bytes::from_static(b"end")));
}

#[test]
fn progress_comes_back_as_it_went() {
    let octets = encode_progress(&state());
    let mut back = LetterState::new(&Letter {
        envelope: Envelope::new(ReversePath::NULL, states().into_iter().map(|state| state.recipient).collect()),
        ..letter()
    });
    decode_progress(&octets).unwrap().apply(&mut back).unwrap();
    assert_eq!(back, state());
    back.recipients.pop();
    assert_eq!(decode_progress(&octets).unwrap().apply(&mut back), Err(LayoutError::Value), "another letter's");
}

#[test]
fn a_reply_that_many_share_is_written_once() {
    let mut state = state();
    let one = encode_progress(&state).len();
    for recipient in &mut state.recipients {
        recipient.last = Some(Reply::new(451, Status::temporary(4, 1), &"long ".repeat(90)));
    }
    assert!(encode_progress(&state).len() < one + 500);
}

#[test]
fn cut_octets_are_an_error_at_every_length() {
    let letter = encode_letter(&letter(), 3, "");
    let progress = encode_progress(&state());
    for len in 0..letter.len() {
        assert!(decode_letter(&Bytes::copy_from_slice(&letter[..len])).is_err(), "a letter of {len} octets");
    }
    for len in 0..progress.len() {
        assert!(decode_progress(&progress[..len]).is_err(), "a progress of {len} octets");
    }
}

#[test]
fn a_length_that_lies_allocates_nothing() {
    let mut octets = vec![0, 0, 0xff, 0xff, 0xff, 0xff];
    octets.extend_from_slice(&u32::MAX.to_le_bytes());
    octets.extend_from_slice(&[0; 8]);
    assert_eq!(decode_progress(&octets), Err(LayoutError::Short));
}

#[test]
fn a_record_header_is_known_by_its_salt_and_checksum() {
    let mut octets = Vec::new();
    record().encode(0x5a17, &mut octets);
    assert_eq!(octets.len(), usize_of(RECORD_HEADER));
    assert_eq!(RecordHeader::decode(&octets, 0x5a17), Ok(record()));
    assert_eq!(RecordHeader::decode_any(&octets), Ok(record()));
    assert_eq!(RecordHeader::decode(&octets, 0x5a18), Err(LayoutError::Foreign));
    for bit in 0..octets.len() * 8 {
        let mut rotten = octets.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        assert!(RecordHeader::decode(&rotten, 0x5a17).is_err(), "bit {bit}");
    }
}

#[test]
fn a_segment_header_survives_the_loss_of_either_copy() {
    let header = SegmentHeader { log: LogKind::Cold, seq: 9, salt: 1, first_lsn: 2, capacity: 3 };
    let region = header.encode();
    assert_eq!(SegmentHeader::decode(&region), Ok(Some(header)));
    for at in [0, HEADER_COPY_AT] {
        let mut torn = region.clone();
        torn[at..at + HEADER_COPY_AT].fill(0xee);
        assert_eq!(SegmentHeader::decode(&torn), Ok(Some(header)), "the copy at {at} is lost");
    }
}

#[test]
fn a_blank_segment_and_a_strange_one_are_told_apart() {
    let mut region = vec![0; usize_of(SEGMENT_HEADER)];
    assert_eq!(SegmentHeader::decode(&region), Ok(None));
    region[700] = 1;
    assert_eq!(SegmentHeader::decode(&region), Err(LayoutError::Foreign));
    assert_eq!(SegmentHeader::decode(&region[..1000]), Err(LayoutError::Short));
}

#[test]
fn a_later_format_is_named() {
    let mut one = SegmentHeader { log: LogKind::Hot, seq: 1, salt: 1, first_lsn: 1, capacity: 1 }.encode();
    one[8..10].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let crc = crc32fast::hash(&one[..HEADER_BYTES - 4]);
    one[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    one.copy_within(..HEADER_COPY_AT, HEADER_COPY_AT);
    for (lost, what) in
        [(usize_of(SEGMENT_HEADER)..usize_of(SEGMENT_HEADER), "none"), (0..40, "the first"), (512..552, "the copy")]
    {
        let mut torn = one.clone();
        torn[lost].fill(0);
        assert_eq!(SegmentHeader::decode(&torn), Err(LayoutError::Version(VERSION + 1)), "{what} is lost");
    }
}

#[test]
fn strides_are_aligned_and_do_not_wrap() {
    assert_eq!((stride(0), stride(1), stride(64), stride(65)), (64, 128, 128, 192));
    assert_eq!(stride(u32::MAX), u32::MAX);
}

#[test]
fn a_front_survives_and_a_letter_without_one_has_none() {
    for front in ["", "Authentication-Results: mx.test; none\r\n"] {
        let body = encode_letter(&letter(), 3, front);
        assert_eq!(decode_letter(&body.into()).unwrap().front, front);
    }
    let letter = encode_letter(&letter(), 3, "X: y\r\n");
    assert!(decode_letter(&Bytes::copy_from_slice(&letter[..letter.len() - 1])).is_err());
}
