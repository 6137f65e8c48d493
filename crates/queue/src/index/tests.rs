use super::*;

fn entry(n: u64, due: u64) -> Entry {
    Entry {
        id: LetterId::new(UnixMillis(n), 0),
        lsn: n,
        letter: Piece { seq: 1, offset: 0, len: 0 },
        progress: None,
        chunks: Box::default(),
        size: 0,
        due: UnixMillis(due),
        leased: false,
        derived: false,
    }
}

#[test]
fn a_letter_is_leased_once() {
    let mut index = Index::default();
    let key = index.insert(entry(1, 5), true);
    assert_eq!(index.lease_next(UnixMillis(4)), None);
    assert_eq!(index.lease_next(UnixMillis(5)), Some(key));
    assert_eq!(index.lease_next(UnixMillis(u64::MAX)), None);
    assert_eq!(index.lease_one(entry(1, 5).id), None);
}

#[test]
fn a_letter_taken_by_name_is_not_handed_out_again_when_its_time_comes() {
    let mut index = Index::default();
    let key = index.insert(entry(1, 5), true);
    assert_eq!(index.lease_one(entry(1, 5).id), Some(key));
    index.release(key, UnixMillis(9));
    assert_eq!(index.lease_next(UnixMillis(8)), None, "the time it had before");
    assert_eq!(index.lease_next(UnixMillis(9)), Some(key));
    assert_eq!(index.lease_next(UnixMillis(99)), None);
}

#[test]
fn a_slot_used_again_is_another_letter() {
    let mut index = Index::default();
    let first = index.insert(entry(1, 5), true);
    assert!(index.remove(first).is_some());
    let second = index.insert(entry(2, 7), true);
    assert_eq!(first.slot, second.slot);
    assert!(index.entry(first).is_none() && index.remove(first).is_none());
    index.release(first, UnixMillis(0));
    assert_eq!(index.lease_next(UnixMillis(6)), None, "the first letter's time");
    assert_eq!(index.lease_next(UnixMillis(7)), Some(second));
}

#[test]
fn ended_ids_are_remembered_up_to_a_limit() {
    let mut index = Index::default();
    let id = |n: usize| LetterId::new(UnixMillis(n.try_into().unwrap()), 0);
    for n in 0..=DERIVED_DONE_MAX {
        index.remember_done(id(n));
    }
    assert!(!index.knows(id(0)) && index.knows(id(1)) && index.knows(id(DERIVED_DONE_MAX)));
}

#[test]
fn an_entry_is_small() {
    // With its place in the map of ids (24 octets at a load of 7/8 and more), in the line of due letters (24) and among its segment's
    // residents (4): under 200 octets for a simple letter.
    assert!(size_of::<Option<Entry>>() <= 112, "{}", size_of::<Option<Entry>>());
}
