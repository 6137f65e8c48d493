use super::*;

const FAR: UnixMillis = UnixMillis(u64::MAX);

fn towards(domain: &str) -> Destination {
    Destination { to: Towards::Domain(domain.parse().unwrap()), source: None }
}

fn new(n: u64, due: u64, domains: &[&str]) -> New {
    New {
        id: LetterId::new(UnixMillis(n), 0),
        lsn: n,
        derived: false,
        piece: Piece { seq: 1, offset: 0, len: 0 },
        chunks: Box::default(),
        size: 0,
        facts: Facts {
            arrived: UnixMillis(0),
            release_at: Some(UnixMillis(due)),
            deliver_by: None,
            lane: Lane::Normal,
            flow: 0,
            destinations: domains.iter().map(|domain| towards(domain)).collect(),
            part_of: Vec::new(),
        },
    }
}

/// The next part that is handed out, as if every destination were a site of its own.
fn next(index: &mut Index, now: u64) -> Option<(Key, Leased)> {
    let limits = SiteLimits { window_first: 9, window_max: 9, letters_per_minute: None, together: false };
    loop {
        match index.next(UnixMillis(now))? {
            (Step::Place(destination), _) => index.place_at(&destination, (&destination.to_string(), limits), FAR),
            (Step::Start { .. }, handed) => return handed.map(|handed| (handed.key, handed.leased)),
        }
    }
}

#[test]
fn a_letter_is_leased_once() {
    let mut index = Index::default();
    let key = index.admit(new(1, 5, &["a.test"]));
    assert_eq!(next(&mut index, 4), None);
    assert_eq!(next(&mut index, 5), Some((key, Leased::Part(0))));
    assert_eq!(next(&mut index, u64::MAX), None);
    assert!(index.lease_whole(new(1, 5, &[]).id).is_none());
}

#[test]
fn a_letter_taken_by_name_is_not_handed_out_again_when_its_time_comes() {
    let mut index = Index::default();
    let key = index.admit(new(1, 5, &["a.test"]));
    assert_eq!(index.lease_whole(new(1, 5, &[]).id).map(|handed| handed.key), Some(key));
    index.give_back(key, &Leased::All, UnixMillis(9));
    assert_eq!(next(&mut index, 8), None, "the time it had before");
    assert_eq!(next(&mut index, 9), Some((key, Leased::Part(0))));
    assert_eq!(next(&mut index, 99), None);
}

#[test]
fn a_slot_used_again_is_another_letter() {
    let mut index = Index::default();
    let first = index.admit(new(1, 5, &["a.test"]));
    assert!(index.remove(first).is_some());
    let second = index.admit(new(2, 7, &["a.test"]));
    assert_eq!(first.slot, second.slot);
    assert!(index.entry(first).is_none() && index.remove(first).is_none());
    index.give_back(first, &Leased::All, UnixMillis(0));
    assert_eq!(next(&mut index, 6), None, "the first letter's time");
    assert_eq!(next(&mut index, 7), Some((second, Leased::Part(0))));
}

#[test]
fn parts_of_one_letter_go_apart_and_share_its_state() {
    let mut index = Index::default();
    let key = index.admit(new(1, 0, &["a.test", "b.test"]));
    assert_eq!(next(&mut index, 1), Some((key, Leased::Part(0))));
    assert_eq!(next(&mut index, 1), Some((key, Leased::Part(1))));
    index.release_as(key, &Leased::Part(0), &[(Some(UnixMillis(50)), false), (None, true)]);
    assert!(index.entry(key).unwrap().active.is_some(), "the other part is still out");
    index.release_as(key, &Leased::Part(1), &[(Some(UnixMillis(50)), false), (None, true)]);
    assert!(index.entry(key).unwrap().active.is_none());
    assert_eq!(next(&mut index, 50), Some((key, Leased::Part(0))));
    assert_eq!(next(&mut index, 50), None, "the second part is over");
}

#[test]
fn what_goes_to_one_smarthost_travels_together_but_for_what_is_suspended() {
    let mut index = Index::default();
    let key = index.admit(new(1, 0, &["a.test", "b.test", "c.test"]));
    let limits = SiteLimits { window_first: 9, window_max: 9, letters_per_minute: None, together: true };
    let suspension = crate::Suspension { since: 0, until: None, by: "root".to_owned(), reason: None };
    index.scheduler.suspended.set(crate::Scope::Name("b.test".to_owned()), suspension);
    let leased = loop {
        match index.next(UnixMillis(1)).unwrap() {
            (Step::Place(destination), _) => index.place_at(&destination, ("smarthost.test", limits), FAR),
            (Step::Start { .. }, handed) => break handed.unwrap().leased,
        }
    };
    assert_eq!(leased, Leased::Several([0, 2].into()));
    assert!(index.next(UnixMillis(1)).is_none());
    index.give_back(key, &leased, UnixMillis(5));
    assert_eq!(index.entry(key).unwrap().users, 0);
}

#[test]
fn a_held_letter_stays_until_it_is_released() {
    let mut index = Index::default();
    let key = index.admit(new(1, 5, &["a.test"]));
    index.change(key, &Change::Hold, &[], UnixMillis(1));
    assert_eq!(next(&mut index, 99), None);
    index.change(key, &Change::RetryNow, &[], UnixMillis(100));
    assert_eq!(next(&mut index, 101), None, "a hold is taken back by a release alone");
    index.change(key, &Change::Release, &[], UnixMillis(102));
    assert_eq!(next(&mut index, 102), Some((key, Leased::Part(0))));
}

#[test]
fn a_letter_held_while_it_is_out_is_held_when_it_comes_back() {
    let mut index = Index::default();
    let key = index.admit(new(1, 0, &["a.test"]));
    assert!(next(&mut index, 0).is_some());
    index.change(key, &Change::Hold, &[], UnixMillis(1));
    index.give_back(key, &Leased::Part(0), UnixMillis(2));
    assert_eq!(next(&mut index, 99), None);
}

#[test]
fn a_redirected_letter_goes_by_its_new_host_and_back() {
    let mut index = Index::default();
    let original = [towards("a.test")];
    let key = index.admit(new(1, 1000, &["a.test"]));
    let via = crate::NextHop { host: "relay.test".parse().unwrap(), port: Some(26) };
    index.change(key, &Change::Redirect(Some(via)), &original, UnixMillis(3));
    let (step, _) = index.next(UnixMillis(3)).unwrap();
    assert!(matches!(&step, Step::Place(destination) if destination.to_string() == "relay.test:26"), "{step:?}");
    index.change(key, &Change::Redirect(None), &original, UnixMillis(4));
    assert_eq!(next(&mut index, 4), Some((key, Leased::Part(0))));
    let part = *index.entry(key).unwrap().parts.get(0).unwrap();
    assert_eq!(index.scheduler.destinations.get(part.destination).unwrap().destination, original[0]);
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
    // With its place in the map of ids (24 octets at a load of 7/8 and more), among those that wait for their time (24 to 48) and among
    // its segment's residents (4): under 250 octets for a simple letter.
    assert!(size_of::<Option<Entry>>() <= 152, "{}", size_of::<Option<Entry>>());
}
