use super::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const ARRIVED: UnixMillis = UnixMillis(1_000_000_000);

/// The wait after the n-th attempt without jitter: random bits in the middle of their span.
fn wait(attempts: u32) -> u64 {
    let settings = Settings::default();
    let shortest = at(&settings, attempts, 0) - ARRIVED.0;
    shortest * 100 / (100 - JITTER_PERCENT)
}

fn at(settings: &Settings, attempts: u32, random: u64) -> u64 {
    next_attempt(settings, ARRIVED, attempts, ARRIVED, random).0
}

#[test]
fn waits_double_up_to_the_longest() {
    let expected = [
        (0, 5 * MINUTE),
        (1, 5 * MINUTE),
        (2, 10 * MINUTE),
        (3, 20 * MINUTE),
        (6, 160 * MINUTE),
        (7, 4 * HOUR),
        (u32::MAX, 4 * HOUR),
    ];
    for (attempts, expected) in expected {
        assert_eq!(wait(attempts), expected, "after attempt {attempts}");
    }
}

#[test]
fn letters_deferred_together_do_not_come_back_together() {
    let settings = Settings::default();
    let waits: Vec<u64> = (0..1000).map(|n: u64| at(&settings, 1, n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) - ARRIVED.0).collect();
    let (least, most) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
    assert!(least >= 4 * MINUTE && most <= 6 * MINUTE, "{least}..{most}");
    assert!(most - least > MINUTE, "{least}..{most}");
}

#[test]
fn the_last_attempt_is_made_at_the_end_and_none_behind_it() {
    let settings = Settings::default();
    let end = ARRIVED.plus(settings.expire.duration());
    let just_before = UnixMillis(end.0 - MINUTE);
    assert!(!is_over(&settings, ARRIVED, just_before) && is_over(&settings, ARRIVED, end));
    assert_eq!(next_attempt(&settings, ARRIVED, 40, just_before, 0), end);
}

#[test]
fn no_setting_makes_it_spin() {
    let zero = posthouse_config::Period::seconds(0);
    let settings = Settings { retry_first: zero, retry_max: zero, ..Settings::default() };
    assert!(at(&settings, 1, 0) >= ARRIVED.0 + 800);
}
