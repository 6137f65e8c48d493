use posthouse_mail::UnixMillis;

use super::*;
use crate::layout::Kind;

const SALT: u64 = 0x0123_4567_89ab_cdef;

fn put(data: &mut Vec<u8>, lsn: u64, body: &[u8], salt: u64) -> usize {
    let at = data.len();
    let header = RecordHeader {
        kind: Kind::Letter,
        derived: false,
        lsn,
        id: LetterId::new(UnixMillis(lsn), 0),
        len: layout::u32_of(body.len()),
        number: 0,
        word: 0,
        body_crc: crc32fast::hash(body),
    };
    header.encode(salt, data);
    data.extend_from_slice(body);
    data.resize(at + usize_of(header.stride()), 0);
    at
}

/// The LSNs found; `None` for damage.
fn found(data: &[u8]) -> Vec<Option<u64>> {
    Scan::new(data, SALT)
        .map(|find| match find {
            Find::Record { header, .. } => Some(header.lsn),
            Find::Damage { .. } => None,
        })
        .collect()
}

fn three() -> (Vec<u8>, [usize; 3]) {
    let mut data = vec![0; usize_of(SEGMENT_HEADER)];
    let places = [1, 2, 3].map(|lsn| put(&mut data, lsn, &[7; 200], SALT));
    data.resize(data.len() + 4096, 0);
    (data, places)
}

#[test]
fn rot_in_a_body_hides_that_record_alone() {
    let (mut data, places) = three();
    data[places[1] + 100] ^= 1;
    assert_eq!(found(&data), [Some(1), None, Some(3)]);
}

#[test]
fn rot_in_a_header_hides_that_record_alone() {
    for at in 0..64 {
        let (mut data, places) = three();
        data[places[1] + at] ^= 1;
        assert_eq!(found(&data), [Some(1), None, Some(3)], "octet {at} of the header");
    }
}

#[test]
fn a_torn_tail_ends_the_walk() {
    let (mut data, places) = three();
    data[places[2] + 64..places[2] + 264].fill(0);
    assert_eq!(found(&data), [Some(1), Some(2), None]);
    data[places[2]..places[2] + 64].fill(0);
    assert_eq!(found(&data), [Some(1), Some(2)]);
}

#[test]
fn an_earlier_use_of_the_segment_is_not_seen() {
    let (mut data, _) = three();
    put(&mut data, 4, b"stale", SALT ^ 1);
    assert_eq!(found(&data), [Some(1), Some(2), Some(3)]);
}

#[test]
fn a_body_that_looks_like_a_record_is_not_one() {
    // Its author would have to know the salt, which is drawn when the segment is opened; even then only damage lets it be seen.
    let mut forged = Vec::new();
    put(&mut forged, 99, b"", SALT ^ 1);
    let mut data = vec![0; usize_of(SEGMENT_HEADER)];
    let at = put(&mut data, 1, &forged, SALT);
    data[at] ^= 1;
    put(&mut data, 2, b"x", SALT);
    assert_eq!(found(&data), [None, Some(2)]);
}

#[test]
fn a_record_longer_than_the_segment_ends_the_walk() {
    let (data, places) = three();
    assert_eq!(found(&data[..places[2] + 100]), [Some(1), Some(2), None]);
}
