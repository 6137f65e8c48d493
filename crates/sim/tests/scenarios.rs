//! The classic failures, by name. Each runs in a small network of its own; the judge reads all of them, and each says what it expects besides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test that stands outside")]

use std::time::Duration;

use posthouse_queue::sim::Disk;
use posthouse_runtime::clock;
use posthouse_runtime::sim::{self, Event, Weather};
use posthouse_sim::Net;
use posthouse_sim::client::Order;
use posthouse_sim::judge::judge;
use posthouse_sim::ledger::{Answer, Pages};
use posthouse_sim::remote::{Call, Character, Mood, Phase};

const MINUTE: Duration = Duration::from_secs(60);
const DAYS: Duration = Duration::from_secs(11 * 86_400);
const TO: &str = "u@r1.test";

/// What a scenario came to.
struct Played {
    pages: Pages,
    events: Vec<(Duration, Event)>,
}

/// Plays a scenario in a network of one server of ours, `a.test`, and one of others, `r1.test`, until nothing is queued.
#[track_caller]
fn play(scenario: impl AsyncFnOnce(&mut Net)) -> Played {
    let played = sim::run(1, async {
        let mut net = Net::new();
        net.server("a.test").await;
        net.remote("r1.test", Character { unknown: "gone", ..Character::default() });
        scenario(&mut net).await;
        net.drain(DAYS).await;
        net.take_stock().await;
        let pages = net.ledger.pages().clone();
        Played { pages, events: sim::events() }
    })
    .unwrap();
    let broken = judge(&played.pages, &played.events);
    assert!(broken.is_empty(), "{broken:#?}\n{}", played.trace());
    played
}

impl Played {
    fn trace(&self) -> String {
        self.events.iter().map(|(at, event)| format!("{:>12.3} {event}\n", at.as_secs_f64())).collect()
    }

    /// How many copies came to somebody, reports included.
    fn copies(&self, to: &str) -> usize {
        self.pages.arrivals.iter().filter(|arrival| arrival.to == to).count()
    }

    /// When the n-th letter was taken by a server of others.
    fn arrival(&self, number: usize) -> Duration {
        let arrivals =
            self.events.iter().filter(|(_, event)| matches!(event, Event::Note { text, .. } if text.starts_with("takes")));
        arrivals.map(|(at, _)| *at).nth(number).expect("an arrival")
    }

    fn answer(&self) -> Answer {
        self.pages.submissions[0].answer
    }
}

/// The scripted server beside the one that takes what is returned.
fn set_moods(net: &Net, moods: &[Mood]) {
    net.remotes[1].character().moods = moods.to_vec();
}

#[test]
fn a_reset_or_a_silence_or_a_421_in_any_phase_costs_time_and_no_letter() {
    for phase in Phase::ALL.into_iter().filter(|phase| *phase != Phase::Reply) {
        for mood in [Mood::Vanish(phase), Mood::Sulk(phase), Mood::Busy(phase)] {
            for offers in [vec![], vec!["PIPELINING"], vec!["PIPELINING", "CHUNKING"]] {
                let played = play(async |net| {
                    net.remotes[1].character().offers = offers.clone();
                    set_moods(net, &[mood, mood]);
                    net.submit(0, Order::new(1, &[TO])).join().await;
                });
                assert_eq!(
                    (played.copies(TO), played.copies("m1@from.test")),
                    (1, 0),
                    "{mood:?}, {offers:?}\n{}",
                    played.trace()
                );
                assert!(played.arrival(0) > MINUTE / 30, "{mood:?}: it was met");
            }
        }
    }
}

#[test]
fn a_lost_last_reply_makes_one_more_copy_and_no_bounce() {
    for mood in [Mood::Vanish(Phase::Reply), Mood::Sulk(Phase::Reply)] {
        let played = play(async |net| {
            set_moods(net, &[mood]);
            net.submit(0, Order::new(1, &[TO, "v@r1.test"])).join().await;
        });
        let copies = ["u@r1.test", "v@r1.test", "m1@from.test"].map(|to| played.copies(to));
        assert_eq!(copies, [2, 2, 0], "{mood:?}: the first, and the one for which a reply came");
    }
}

#[test]
fn a_letter_waits_for_a_cut_link_and_comes_once_when_it_heals() {
    // Before the connection, in the dialogue, and in the letter.
    for after in [0, 40, 120] {
        let played = play(async |net| {
            let (ours, theirs) = (net.servers[0].host, net.remotes[1].host);
            let mut order = Order::new(1, &[TO]);
            order.size = 100_000;
            sim::set_weather(Weather { segment_max: 1000, ..Weather::default() });
            net.submit(0, order).join().await;
            clock::sleep(Duration::from_millis(after)).await;
            sim::cut(ours, theirs);
            clock::sleep(90 * MINUTE).await;
            sim::heal(ours, theirs);
        });
        assert!(played.arrival(0) > 90 * MINUTE);
        assert_eq!((played.copies(TO), played.copies("m1@from.test")), (1, 0), "cut after {after} ms");
    }
}

#[test]
fn a_greylisting_host_gets_the_letter_once_it_opens() {
    let played = play(async |net| {
        net.remotes[1].character().greylist = Some(20 * MINUTE);
        net.submit(0, Order::new(1, &[TO])).join().await;
    });
    assert!((20 * MINUTE..4 * 60 * MINUTE).contains(&played.arrival(0)), "{:?}", played.arrival(0));
    assert_eq!(played.copies(TO), 1);
}

#[test]
fn a_storm_of_451_passes_over_many_letters() {
    let played = play(async |net| {
        net.remotes[1].character().storm_until = 120 * MINUTE;
        for number in 1..=30 {
            net.submit(0, Order::new(number, &[TO])).join().await;
        }
    });
    assert!(played.arrival(0) > 120 * MINUTE);
    assert_eq!(played.copies(TO), 30);
}

#[test]
fn a_dead_first_mx_delays_a_letter_by_seconds_only() {
    let played = play(async |net| {
        net.dead_mx("two.test", 10);
        net.mx("two.test", 20, Character::default());
        net.submit(0, Order::new(1, &["u@two.test"])).join().await;
    });
    assert_eq!(played.copies("u@two.test"), 1);
    assert!(played.arrival(0) < 2 * MINUTE, "{:?}", played.arrival(0));
}

#[test]
fn a_clock_that_jumps_while_a_letter_waits_neither_loses_nor_doubles_nor_returns_it() {
    const HOURS: i64 = 3600 * 1000;
    for jump in [-30 * HOURS, -HOURS, HOURS, 30 * HOURS] {
        let played = play(async |net| {
            net.remotes[1].character().storm_until = MINUTE / 2;
            net.submit(0, Order::new(1, &[TO])).join().await;
            clock::sleep(MINUTE).await;
            net.servers[0].host.set_clock(jump);
            clock::sleep(MINUTE).await;
        });
        assert_eq!((played.copies(TO), played.copies("m1@from.test")), (1, 0), "{jump} ms");
        if jump > 0 {
            assert!(played.arrival(0) < 10 * MINUTE, "it was due when the clock jumped, and is tried within a minute or two");
        }
    }
}

#[test]
fn a_crash_between_the_remote_250_and_the_stored_outcome_makes_one_copy_more_at_most() {
    let mut copies = Vec::new();
    for changes in 0..6 {
        let played = play(async |net| {
            let (disk, host): (Disk, _) = (net.servers[0].disk.clone(), net.servers[0].host);
            let call = move || disk.cut_after(changes, move || host.crash());
            net.remotes[1].character().on_taken = Some(Call(Box::new(call)));
            net.submit(0, Order::new(1, &[TO])).join().await;
        });
        copies.push(played.copies(TO));
        assert!((1..=2).contains(copies.last().unwrap()), "changes {changes}: {copies:?}");
    }
    assert_eq!(copies.first(), Some(&2), "the outcome was not written at all");
    assert_eq!(copies.last(), Some(&1), "the outcome was stored");
}

#[test]
fn a_crash_between_acceptance_and_250_loses_nothing_that_was_answered() {
    let mut answers = Vec::new();
    for changes in 0..30 {
        let played = play(async |net| {
            net.servers[0].crash_at_change(changes);
            let mut order = Order::new(1, &["alice@a.test", TO]);
            order.size = 30_000;
            net.submit(0, order).join().await;
        });
        answers.push(played.answer());
        assert!(played.pages.crashes.len() <= 1);
    }
    assert_eq!((answers.first(), answers.last()), (Some(&Answer::Unknown), Some(&Answer::Taken)), "{answers:?}");
}

#[test]
fn a_crash_at_any_change_stores_a_letter_in_a_mailbox_once_and_returns_another_once() {
    for changes in 0..24 {
        let played = play(async |net| {
            let mut order = Order::new(1, &["alice@a.test"]);
            order.from = "bob+m1@a.test".to_owned();
            net.submit(0, order).join().await;
            net.submit(0, Order::new(2, &["gone@r1.test", "x@nowhere.test"])).join().await;
            net.servers[0].crash_at_change(changes);
            net.submit(0, Order::new(3, &["bob@a.test", "gone@r1.test"])).join().await;
        });
        assert_eq!(played.copies("alice@a.test"), 1, "{changes}");
        assert!(played.copies("m2@from.test") >= 1, "{changes}");
    }
}

#[test]
fn a_slow_reader_gets_a_large_letter_and_holds_up_nobody() {
    let played = play(async |net| {
        net.remote("quick.test", Character::default());
        set_moods(net, &[Mood::Slow(Duration::from_secs(20))]);
        let mut order = Order::new(1, &[TO]);
        order.size = 100_000;
        net.submit(0, order).join().await;
        net.submit(0, Order::new(2, &["u@quick.test"])).join().await;
    });
    assert_eq!((played.copies(TO), played.copies("u@quick.test")), (1, 1));
    assert!(played.arrival(0) < MINUTE, "the quick one first");
    assert!(played.arrival(1) > MINUTE);
}

#[test]
fn a_name_server_that_is_down_returns_nothing() {
    let played = play(async |net| {
        net.set_dns_trouble(100);
        net.submit(0, Order::new(1, &[TO, "x@nowhere.test"])).join().await;
        clock::sleep(120 * MINUTE).await;
        net.set_dns_trouble(0);
    });
    assert!(played.arrival(0) > 120 * MINUTE);
    assert_eq!((played.copies(TO), played.copies("m1@from.test")), (1, 1), "one delivered, the other returned once it is known");
}
