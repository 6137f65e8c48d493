use super::*;

#[test]
fn a_number_below_n_is_below_n_and_reaches_every_value() {
    assert_eq!(below(0), 0);
    assert_eq!(below(1), 0);
    let mut seen = [false; 5];
    while seen.contains(&false) {
        seen[below(5)] = true;
    }
}

#[test]
fn shuffling_keeps_every_item() {
    let mut items: Vec<usize> = (0..100).collect();
    shuffle(&mut items);
    // 100! orders: the same one again is out of the question.
    assert_ne!(items, (0..100).collect::<Vec<_>>());
    items.sort_unstable();
    assert_eq!(items, (0..100).collect::<Vec<_>>());
}

#[test]
fn jitter_stays_within_its_fraction_and_survives_nonsense() {
    let base = Duration::from_secs(100);
    for _ in 0..1000 {
        let jittered = jitter(base, 0.2);
        assert!((Duration::from_secs(80)..=Duration::from_secs(120)).contains(&jittered), "{jittered:?}");
    }
    assert_eq!(jitter(base, f64::NAN), base);
    assert!(jitter(base, 7.0) <= base * 2);
    let _ = jitter(Duration::MAX, 1.0);
}
