use super::*;

fn key(name: &str) -> Key {
    (Name::from_ascii(name).unwrap(), RecordType::TXT)
}

fn texts(bytes: usize) -> Kept {
    Kept { result: Ok(Data::Texts(vec![vec![b'x'; bytes]])), authenticated: false, alias: None }
}

fn denied() -> Kept {
    Kept { result: Err(Negative::NoSuchDomain), authenticated: false, alias: None }
}

fn start() -> Instant {
    posthouse_runtime::block_on(async { posthouse_runtime::clock::now() }).unwrap()
}

#[test]
fn an_answer_is_good_as_long_as_it_says() {
    let (cache, now) = (Cache::new(10_000), start());
    cache.keep(key("a."), texts(1), 60, now);
    cache.keep(key("b."), denied(), 60, now);
    assert_eq!(cache.find(&key("a."), now + Duration::from_secs(59)), Some(texts(1)));
    assert_eq!(cache.find(&key("b."), now + Duration::from_secs(59)), Some(denied()));
    assert_eq!(cache.find(&key("a."), now + Duration::from_secs(60)), None);
    assert_eq!(cache.find(&(Name::from_ascii("b.").unwrap(), RecordType::MX), now), None);
}

#[test]
fn an_answer_without_a_life_is_not_kept() {
    let (cache, now) = (Cache::new(10_000), start());
    cache.keep(key("a."), texts(1), 0, now);
    assert_eq!(cache.find(&key("a."), now), None);
}

#[test]
fn the_oldest_answers_make_room() {
    let (cache, now) = (Cache::new(4 * (ENTRY_BYTES + 1032)), start());
    for name in ["a.", "b.", "c.", "d.", "e."] {
        cache.keep(key(name), texts(1000), 60, now);
    }
    assert_eq!(cache.find(&key("a."), now), None);
    assert!(["b.", "c.", "d.", "e."].iter().all(|name| cache.find(&key(name), now).is_some()));
}

#[test]
fn an_answer_too_large_for_the_cache_drives_nothing_out() {
    let (cache, now) = (Cache::new(2000), start());
    cache.keep(key("a."), texts(1), 60, now);
    cache.keep(key("b."), texts(5000), 60, now);
    assert!(cache.find(&key("a."), now).is_some() && cache.find(&key("b."), now).is_none());
}

#[test]
fn answers_that_are_replaced_for_ever_take_no_more_room() {
    let (cache, now) = (Cache::new(100_000), start());
    for round in 0..10_000 {
        cache.keep(key(if round % 2 == 0 { "a." } else { "b." }), texts(10), 60, now);
    }
    let state = cache.state();
    assert_eq!(state.entries.len(), 2);
    assert!(state.order.len() <= 20, "{}", state.order.len());
    assert_eq!(state.bytes, state.entries.values().map(|entry| entry.bytes).sum::<usize>());
}

#[test]
fn more_names_than_there_is_room_for_stay_within_it() {
    let (cache, now) = (Cache::new(50_000), start());
    for n in 0..5_000 {
        cache.keep(key(&format!("n{n}.test.")), denied(), 60, now);
    }
    let state = cache.state();
    assert!(state.bytes <= 50_000 && state.order.len() <= state.entries.len() * 2 + 16);
}
