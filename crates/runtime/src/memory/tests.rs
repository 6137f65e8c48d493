use super::*;

#[test]
fn a_ceiling_is_reached_below_what_is_held_and_not_above_nor_without_one() {
    let held = resident().unwrap();
    assert!(held > 100_000, "{held}");
    assert!(Ceiling::new(1).is_reached());
    assert!(!Ceiling::new(held * 100).is_reached());
    assert!(!Ceiling::new(0).is_reached());
}

#[test]
fn the_kernel_is_not_asked_for_each_connection() {
    let ceiling = Ceiling::new(1);
    assert!(ceiling.is_reached());
    // What was seen stands for a second: had it looked again, it would say yes.
    ceiling.0.reached.store(false, Ordering::Relaxed);
    ceiling.0.looked.store(clock::unix_millis() + 500, Ordering::Relaxed);
    assert!(!ceiling.is_reached());
    ceiling.0.looked.store(clock::unix_millis() - 2 * EVERY_MILLIS, Ordering::Relaxed);
    assert!(ceiling.is_reached());
}
