use std::sync::Arc;

use posthouse_runtime::block_on;

use super::*;
use crate::schedule::sources::Sources;
use crate::storage::fault::{Loss, World};
use crate::tests::story::{FAR, TINY, accept, contents, lease_due, letter};
use crate::{Queue, RecipientEnd, Settings};

fn filled(bodies: &[&[u8]]) -> World {
    let world = World::default();
    let (queue, _) = Queue::open_on(Arc::new(world.clone()), TINY, Settings::default()).unwrap();
    for (mark, body) in (0..).zip(bodies) {
        block_on(accept(&queue, letter(1, mark), body)).unwrap().unwrap();
    }
    world
}

fn place(world: &World, needle: &[u8]) -> (String, usize) {
    let mut places = world.list().unwrap().into_iter().rev().filter_map(|name| {
        let octets = world.octets(&name);
        let at = octets.windows(needle.len()).position(|window| window == needle)?;
        Some((name, at))
    });
    places.next().unwrap()
}

#[test]
fn rot_in_one_letter_does_not_hide_the_rest() {
    let world = filled(&[b"first letter", b"second letter", b"third letter"]);
    let (name, at) = place(&world, b"second letter");
    world.rot(&name, at);
    let recovery = recover(&world, TINY, &Sources::default()).unwrap();
    assert_eq!(recovery.recovered.letters, 2);
    let [damage] = recovery.recovered.damages.as_slice() else { panic!("{:?}", recovery.recovered) };
    assert!(damage.letter.is_some() && damage.segment == name);
    let bodies: Vec<_> = contents(&world).letters.into_values().map(|(_, body)| body).collect();
    assert!(bodies.contains(&b"first letter".to_vec()) && bodies.contains(&b"third letter".to_vec()));
}

#[test]
fn rot_in_a_chunk_takes_its_letter_and_says_so() {
    let big = [b'x'; 2000];
    let world = filled(&[b"first letter", &big, b"third letter", b"fourth", b"fifth"]);
    let recovery = recover(&world, TINY, &Sources::default()).unwrap();
    let chunk = recovery.index.entries.iter().find_map(|entry| entry.chunks.first().copied()).unwrap();
    let mut logs = recovery.logs;
    let name = logs.find(chunk.seq).unwrap().name.clone();
    world.rot(&name, crate::layout::usize_of(chunk.offset) + 100);
    let recovered = recover(&world, TINY, &Sources::default()).unwrap().recovered;
    assert_eq!(recovered.letters, 4);
    assert!(recovered.damages.iter().all(|damage| damage.letter.is_some()) && recovered.damages.len() == 2, "{recovered:?}");
}

#[test]
fn a_segment_without_a_readable_header_is_left_alone() {
    let world = filled(&[b"a letter"]);
    let (name, _) = place(&world, b"a letter");
    world.rot(&name, 3);
    world.rot(&name, 515);
    let before = world.octets(&name);
    let (queue, recovered) = Queue::open_on(Arc::new(world.clone()), TINY, Settings::default()).unwrap();
    assert_eq!((recovered.letters, recovered.damages.len()), (0, 1));
    for mark in 0..60 {
        let id = block_on(accept(&queue, letter(1, mark), &[1; 600])).unwrap().unwrap();
        let lease = queue.lease_letter(id).unwrap();
        block_on(lease.finish(vec![(0, RecipientEnd::Delivered)])).unwrap().unwrap();
    }
    assert_eq!(world.octets(&name), before);
}

#[test]
fn what_only_the_page_cache_held_is_made_durable_before_it_is_served() {
    let world = filled(&[b"a letter"]);
    // The process is killed before its sync: the letter is in the page cache alone.
    let killed = (0..world.steps()).rev().map(|cut| world.after_cut(cut, Loss::Nothing)).collect::<Vec<_>>();
    let mut seen = 0;
    for world in killed {
        let held = contents(&world).len();
        seen += held;
        let after = world.after_cut(world.steps(), Loss::Everything);
        assert_eq!(contents(&after).len(), held);
    }
    assert!(seen > 0, "no cut left the letter in the page cache");
}

#[test]
fn nothing_is_appended_behind_an_earlier_run() {
    let world = filled(&[b"a letter"]);
    let (name, _) = place(&world, b"a letter");
    let before = world.octets(&name);
    let (queue, _) = Queue::open_on(Arc::new(world.clone()), TINY, Settings::default()).unwrap();
    block_on(accept(&queue, letter(1, 9), b"another")).unwrap().unwrap();
    assert_eq!(lease_due(&queue, FAR).len(), 2);
    assert_eq!(world.octets(&name), before);
}

/// The segments that hold records, as a world shows them.
fn segments(world: &World) -> usize {
    let octets = world.list().unwrap().into_iter().map(|name| world.octets(&name));
    octets.filter(|octets| matches!(crate::layout::SegmentHeader::decode(octets), Ok(Some(_)))).count()
}

#[test]
fn a_segment_that_only_the_page_cache_shows_clear_is_cleared_again() {
    // Two letters, then their ends: so that one sector holds a letter and the next its Done.
    let world = World::default();
    let (queue, _) = Queue::open_on(Arc::new(world.clone()), TINY, Settings::default()).unwrap();
    let mut ended = Vec::new();
    for mark in 0..40 {
        let ids = [2 * mark, 2 * mark + 1].map(|mark| block_on(accept(&queue, letter(1, mark), &[b'x'; 60])).unwrap().unwrap());
        for id in ids {
            block_on(queue.lease_letter(id).unwrap().finish(vec![(0, RecipientEnd::Delivered)])).unwrap().unwrap();
            ended.push((id, world.steps()));
        }
    }
    let clears: Vec<_> = (1..world.steps())
        .filter(|&cut| segments(&world.after_kill(cut, false)) < segments(&world.after_kill(cut - 1, false)))
        .collect();
    assert!(!clears.is_empty(), "the ring never turned");
    for cut in clears {
        // Killed between the write that clears a segment and its sync; then the power goes in the next life's first write.
        let second = world.after_kill(cut, false);
        let (queue, _) = Queue::open_on(Arc::new(second.clone()), TINY, Settings::default()).unwrap();
        block_on(accept(&queue, letter(1, 999), &[b'y'; 600])).unwrap().unwrap();
        drop(queue);
        let mut replay = second.replay(Loss::Everything);
        for later in cut..=second.steps() {
            replay.advance_to(later);
            for outcome in 0..1 << replay.at_stake().min(10) {
                let held = contents(&replay.world(Loss::Chosen(outcome)));
                let back: Vec<_> = ended.iter().filter(|(id, when)| *when <= cut && held.contains_key(id)).collect();
                assert!(back.is_empty(), "cleared at {cut}, cut at {later}, outcome {outcome:b}: {back:?} are back");
            }
        }
    }
}

#[test]
fn a_torn_end_is_not_taken_for_damage_once_more_has_been_written_behind_it() {
    let world = filled(&[b"a letter that stays", b"the torn one"]);
    let (name, at) = place(&world, b"the torn one");
    world.rot(&name, at);
    let letters = |world: &World| {
        let (queue, recovered) = Queue::open_on(Arc::new(world.clone()), TINY, Settings::default()).unwrap();
        (queue, recovered.letters, recovered.torn, recovered.damages)
    };
    let (queue, held, torn, damages) = letters(&world);
    assert_eq!((held, torn, damages.len()), (1, 1, 0), "{damages:?}");
    for mark in 10..20 {
        block_on(accept(&queue, letter(1, mark), &[1; 600])).unwrap().unwrap();
    }
    drop(queue);
    assert!(segments(&world) > 2);
    let (_queue, held, torn, damages) = letters(&world);
    assert_eq!((held, torn, damages.len()), (11, 0, 0), "{damages:?}");
}
