//! A bounded number of seeds, as an ordinary test. `cargo xtask sim --seeds N` runs as many as one likes.

use posthouse_sim::seeds;

/// The seeds of one test.
const SEEDS: u64 = 6;

fn run_seeds(from: u64) {
    for seed in from..from + SEEDS {
        let outcome = seeds::run(seed);
        assert!(
            outcome.broken.is_empty(),
            "seed {seed}: {:#?}\n`cargo xtask sim --seed {seed}` prints its trace",
            outcome.broken
        );
        assert!(outcome.tally.taken > 0 && outcome.tally.crashes > 0, "seed {seed}: nothing happened: {:?}", outcome.tally);
    }
}

#[test]
fn every_promise_is_kept_whatever_goes_wrong() {
    run_seeds(1);
}

#[test]
fn and_with_other_seeds() {
    run_seeds(1000);
}

/// Hash tables of the standard library have other orders in each run of a process: what depends on one shows here.
#[test]
fn the_same_seed_is_the_same_run_to_the_octet() {
    for seed in [7, 26, 104] {
        let (first, second) = (seeds::run(seed), seeds::run(seed));
        let differs = first.events.iter().zip(&second.events).position(|(one, other)| one != other);
        if let Some(at) = differs {
            panic!("seed {seed} differs at event {at}: {:?} and {:?}", first.events[at], second.events[at]);
        }
        assert_eq!(first.events.len(), second.events.len(), "seed {seed}");
        assert!(first.events.len() > 1000, "seed {seed} is too short to tell");
    }
    assert_ne!(seeds::run(7).events, seeds::run(8).events);
}
