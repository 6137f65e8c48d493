use std::sync::Arc;

use posthouse_runtime::block_on;

use super::*;
use crate::storage::fault::World;
use crate::tests::story::{TINY, accept, contents, letter};
use crate::{Queue, Settings};

/// A spool with a letter in one record, one in chunks, and one with its state.
fn spool() -> World {
    let world = World::default();
    let (queue, _) = Queue::open_on(Arc::new(world.clone()), TINY, Settings::default()).unwrap();
    for (mark, body) in [(1, vec![b'a'; 300]), (2, vec![b'b'; 1600]), (3, vec![b'c'; 40])] {
        block_on(accept(&queue, letter(1, mark), &body)).unwrap().unwrap();
    }
    drop(queue);
    world
}

/// The records of a segment: place, length, and whose.
fn places(octets: &[u8]) -> Vec<(usize, usize, LetterId)> {
    let Ok(Some(segment)) = SegmentHeader::decode(octets) else { return Vec::new() };
    crate::scan::Scan::new(octets, segment.salt)
        .filter_map(|find| match find {
            crate::scan::Find::Record { offset, header, .. } => {
                Some((usize_of(offset), usize_of(RECORD_HEADER + header.len), header.id))
            }
            crate::scan::Find::Damage { .. } => None,
        })
        .collect()
}

#[test]
fn every_flipped_bit_of_a_record_is_noticed_and_stays_within_its_letter() {
    let world = spool();
    let before = contents(&world);
    let mut flipped = 0;
    for name in world.list().unwrap() {
        for (place, len, owner) in places(&world.octets(&name)) {
            for at in place..place + len {
                for bit in 0..8 {
                    let rotten = World::holding([(name.clone(), world.octets(&name))].into());
                    rotten.flip(&name, at, 1 << bit);
                    let found = inspect::inspect(&rotten).unwrap();
                    // The last record of a log may have been in the making when the power went: it is counted and not accused.
                    assert!(!found.found.damages.is_empty() || found.found.torn > 0, "bit {bit} of octet {at} went unnoticed");
                    let left: Vec<_> = found.letters.iter().map(|queued| queued.id).collect();
                    let gone: Vec<_> = before.keys().filter(|id| !left.contains(id)).collect();
                    assert_eq!(gone, [&owner], "bit {bit} of octet {at}");
                    flipped += 1;
                }
            }
        }
    }
    assert!(flipped > 10_000, "{flipped} bits only");
}

#[test]
fn every_flipped_bit_of_a_segment_header_is_noticed_and_costs_nothing() {
    let world = spool();
    let name = world.list().unwrap().into_iter().find(|name| !places(&world.octets(name)).is_empty()).unwrap();
    for at in (0..40).chain(512..552) {
        for bit in 0..8 {
            let rotten = World::holding([(name.clone(), world.octets(&name))].into());
            rotten.flip(&name, at, 1 << bit);
            let found = inspect::inspect(&rotten).unwrap();
            assert_eq!((found.found.damages.len(), found.letters.len()), (1, 3), "bit {bit} of octet {at}");
        }
    }
}

#[test]
fn what_is_left_of_a_damaged_letter_is_read() {
    let world = spool();
    let name = world.list().unwrap().into_iter().find(|name| !places(&world.octets(name)).is_empty()).unwrap();
    let (place, _, id) = places(&world.octets(&name))[1];
    world.rot(&name, place + usize_of(RECORD_HEADER) + 5);
    let salvaged = salvage_from(&world).unwrap();
    let [salvaged] = salvaged.as_slice() else { panic!("{salvaged:?}") };
    let mut body = vec![b'b'; 1600];
    body[5] ^= 0x40;
    assert_eq!((salvaged.id, &salvaged.letter, &salvaged.body), (id, &Some(letter(1, 2)), &body));
    assert_eq!(salvaged.notes, ["part 0 is damaged"]);
}

#[test]
fn a_sound_spool_has_nothing_to_salvage() {
    assert_eq!(salvage_from(&spool()), Ok(Vec::new()));
}
