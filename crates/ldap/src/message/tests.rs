use super::*;

#[test]
fn a_bind_is_that_of_the_standard() {
    // RFC 4511 §4.2, by hand.
    let expected = [&[0x30, 0x12, 2, 1, 1, 0x60, 0x0d, 2, 1, 3, 4, 4][..], b"cn=a", &[0x80, 2], b"pw"].concat();
    assert_eq!(bind(1, "cn=a", "pw"), expected);
}

#[test]
fn answers_are_told_apart_by_kind_and_number() {
    let bound = [0x30, 12, 2, 1, 7, 0x61, 7, 10, 1, 49, 4, 0, 4, 0];
    assert_eq!(answer(&bound, 7), Some(Answer::Bound(Outcome { code: 49, words: String::new() })));
    assert_eq!(answer(&bound, 8), None);
    let entry = [&[0x30, 13, 2, 1, 2, 0x64, 8, 4, 4][..], b"cn=a", &[0x30, 0]].concat();
    assert_eq!(answer(&entry, 2), Some(Answer::Entry("cn=a".to_owned())));
    // A notice of disconnection has the number 0 (RFC 4511 §4.4.1).
    assert_eq!(answer(&[0x30, 12, 2, 1, 0, 0x78, 7, 10, 1, 52, 4, 0, 4, 0], 1), None);
}

#[test]
fn no_answer_makes_it_panic() {
    let whole = [0x30, 12, 2, 1, 7, 0x61, 7, 10, 1, 49, 4, 0, 4, 0];
    for place in 0..whole.len() {
        for octet in 0..=255 {
            let mut changed = whole;
            changed[place] = octet;
            let _ = answer(&changed, 7);
            let _ = answer(&whole[..place], 7);
        }
    }
}
