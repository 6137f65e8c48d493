use super::*;

#[test]
fn a_flood_is_one_event_and_a_count() {
    let seldom = Seldom::every_millis(1000);
    assert_eq!(seldom.pass_at(5000), Some(0), "the first is written at once");
    assert_eq!((0..500).filter_map(|n| seldom.pass_at(5000 + n)).count(), 0);
    assert_eq!(seldom.pass_at(6000), Some(500));
    assert_eq!(seldom.pass_at(7000), Some(0));
    assert_eq!(seldom.pass_at(100), Some(0), "a clock that was set back silences nothing");
}
