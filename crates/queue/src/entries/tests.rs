use super::*;

fn entry(n: u64) -> Entry {
    Entry {
        id: LetterId::new(UnixMillis(n), 0),
        lsn: n,
        letter: Piece { seq: 1, offset: 0, len: 0 },
        progress: None,
        chunks: Box::default(),
        size: 0,
        parts: Parts::One(Part::new(0, UnixMillis(0))),
        arrived: UnixMillis(0),
        begins: UnixMillis(0),
        deliver_by: UnixMillis(u64::MAX),
        by_returns: false,
        flow: 0,
        lane: Lane::Normal,
        held: false,
        derived: false,
        users: 0,
        active: None,
    }
}

#[test]
fn each_letter_is_found_by_its_id_until_it_goes() {
    let mut entries = Entries::default();
    // More than a block, so that the table is made larger with entries in several.
    let count = 3 * BLOCK_SLOTS as u64;
    let slots: Vec<u32> = (1..=count).map(|n| entries.insert(entry(n))).collect();
    assert_eq!((entries.len(), entries.slots()), (slots.len(), slots.len()));
    for (n, &slot) in (1..).zip(&slots).filter(|(n, _)| n % 2 == 0) {
        assert_eq!(entries.remove(Key { slot, lsn: n }).unwrap().id, entry(n).id);
        assert!(entries.remove(Key { slot, lsn: n }).is_none(), "once");
    }
    for (n, &slot) in (1..).zip(&slots) {
        assert_eq!(entries.find(entry(n).id), (n % 2 == 1).then_some(slot), "{n}");
    }
    assert_eq!(entries.iter().count(), slots.len() / 2);
    // What is free is used before there is more.
    for n in count + 1..=count + slots.len() as u64 / 2 {
        let slot = entries.insert(entry(n));
        assert_eq!(entries.find(entry(n).id), Some(slot));
    }
    assert_eq!((entries.len(), entries.slots()), (slots.len(), slots.len()));
    assert!(entries.with_slots().all(|(slot, entry)| entries.find(entry.id) == Some(slot)));
}
