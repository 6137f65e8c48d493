//! A world of sites and letters in simulated time.

use std::collections::HashMap;

use posthouse_mail::LetterId;

use super::*;
use crate::index::{Index, Key, New, Piece};
use crate::letter::Facts;
use crate::ops::Leased;
use crate::schedule::destinations::Towards;
use crate::schedule::lanes::Lane;

const LIMITS: SiteLimits = SiteLimits { window_first: 2, window_max: 4, letters_per_minute: None, together: false };
const FAR: UnixMillis = UnixMillis(u64::MAX);

/// An index whose destinations are placed as `sites` says; else each is a site of its own.
struct Post {
    index: Index,
    sites: HashMap<&'static str, &'static str>,
    limits: SiteLimits,
    count: u64,
}

/// A start: the letter's number, its key and its site.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Started {
    letter: u64,
    key: Key,
    site: Option<u32>,
    blocked: Option<Reply>,
}

impl Post {
    fn new() -> Self {
        Self { index: Index::default(), sites: HashMap::new(), limits: LIMITS, count: 0 }
    }

    fn accept(&mut self, domain: &str, flow: u32) -> u64 {
        self.count += 1;
        let facts = Facts {
            arrived: UnixMillis(1),
            release_at: None,
            deliver_by: None,
            lane: Lane::Normal,
            flow,
            destinations: vec![towards(domain)],
            part_of: Vec::new(),
        };
        let piece = Piece { seq: 1, offset: 0, len: 0 };
        let id = LetterId::new(UnixMillis(self.count), 0);
        let chunks = Box::default();
        self.index.admit(New { id, lsn: self.count, derived: false, piece, chunks, size: 10, facts });
        self.count
    }

    fn next(&mut self, now: u64) -> Option<Started> {
        loop {
            match self.index.next(UnixMillis(now))? {
                (Step::Place(destination), _) => {
                    let name = destination.to_string();
                    let site = self.sites.get(name.as_str()).map_or(name.as_str(), |site| site);
                    self.index.place_at(&destination, (site, self.limits), FAR);
                }
                (Step::Start { unit, site, blocked }, handed) => {
                    let key = handed.unwrap().key;
                    return Some(Started { letter: unit.order, key, site, blocked });
                }
            }
        }
    }

    fn all(&mut self, now: u64) -> Vec<Started> {
        std::iter::from_fn(|| self.next(now)).collect()
    }

    /// It was delivered.
    fn done(&mut self, started: &Started) {
        self.end(started, 0, Feedback::Answered);
        self.index.remove(started.key);
    }

    fn end(&mut self, started: &Started, now: u64, feedback: Feedback) {
        if let Some(site) = started.site {
            self.index.scheduler.ended(site, Some(feedback), UnixMillis(now), u64::MAX / 2);
        }
    }

    /// It is to be tried again.
    fn later(&mut self, started: &Started, at: u64) {
        self.index.give_back(started.key, &Leased::Part(0), UnixMillis(at));
    }
}

/// `a.test`, or `a.test by NAME`.
fn towards(text: &str) -> Destination {
    let (domain, source) = text.split_once(" by ").map_or((text, None), |(domain, source)| (domain, Some(source.into())));
    Destination { to: Towards::Domain(domain.parse().unwrap()), source }
}

fn gone() -> Feedback {
    Feedback::Unreachable(Reply::new(451, Status::temporary(4, 1), "no route"))
}

#[test]
fn domains_of_one_site_share_its_window() {
    let mut post = Post::new();
    post.sites.extend([("a.test", "mx.test"), ("b.test", "mx.test")]);
    for domain in ["a.test", "b.test", "a.test", "b.test", "c.test"] {
        post.accept(domain, 2);
    }
    let out = post.all(10);
    assert_eq!(out.iter().map(|started| started.letter).collect::<Vec<_>>(), [1, 5, 3]);
    post.done(&out[0]);
    assert_eq!(post.all(10).len(), 1, "one place is free again");
}

#[test]
fn a_destination_with_many_letters_does_not_hold_up_one_with_few() {
    let mut post = Post::new();
    post.limits = SiteLimits { window_first: 1000, window_max: 1000, letters_per_minute: None, together: false };
    for _ in 0..1000 {
        post.accept("many.test", 2);
    }
    let few = post.accept("few.test", 2);
    let order: Vec<_> = post.all(10).iter().map(|started| started.letter).collect();
    assert!(order.iter().position(|&letter| letter == few).unwrap() < 4);
}

#[test]
fn letters_for_a_dead_site_wait_there_and_are_not_moved_about() {
    let mut post = Post::new();
    for _ in 0..1000 {
        post.accept("dead.test", 2);
    }
    let mut attempts = 0;
    let mut now = 10;
    // Two days.
    while now < 2 * 24 * 3_600_000 {
        for started in post.all(now).into_iter().filter(|started| started.blocked.is_none()) {
            attempts += 1;
            post.end(&started, now, gone());
            post.later(&started, now + 3_600_000);
        }
        now += 60_000;
    }
    assert!((5..60).contains(&attempts), "{attempts} attempts in two days");
}

#[test]
fn a_site_that_comes_back_gets_all_its_letters() {
    let mut post = Post::new();
    for _ in 0..300 {
        post.accept("back.test", 2);
    }
    for started in post.all(10) {
        post.end(&started, 10, gone());
        post.later(&started, 400_000);
    }
    assert!(post.all(20).is_empty());
    let mut taken = 0;
    let mut now = 500_000;
    while taken < 300 {
        let out = post.all(now);
        assert!(!out.is_empty(), "after {taken}");
        for started in out {
            taken += 1;
            post.done(&started);
        }
        now += 1;
    }
}

#[test]
fn a_letter_that_cannot_go_is_handed_out_when_its_sender_is_to_hear_and_when_it_expires() {
    let mut post = Post::new();
    let hour = 3_600_000;
    let (first, second) = (post.accept("dead.test", 2), post.accept("dead.test", 2));
    post.limits = SiteLimits { window_first: 1, ..LIMITS };
    let started = post.next(10).unwrap();
    assert_eq!(started.letter, first);
    post.end(&started, 10, gone());
    post.later(&started, 100 * hour);
    // The site is closed for days; an operator may have seen to that.
    let site = started.site.unwrap();
    post.index.scheduler.suspended.set(
        super::super::suspend::Scope::Name("dead.test".to_owned()),
        Suspension { since: 0, until: None, by: "root".to_owned(), reason: None },
    );
    assert_eq!(post.next(3 * hour), None);
    let late = post.next(4 * hour + 1000).unwrap();
    assert_eq!((late.letter, late.site), (second, None));
    assert!(late.blocked.unwrap().text().contains("suspended by root"));
    assert!(post.index.scheduler.site(site).is_some_and(|site| site.in_flight == 0));
}

#[test]
fn what_is_suspended_stays_and_the_rest_goes_on() {
    let mut post = Post::new();
    let suspension = || Suspension { since: 0, until: None, by: "root".to_owned(), reason: None };
    let scope = |name: &str| super::super::suspend::Scope::Name(name.to_owned());
    post.sites.extend([("a.test", "mx.test"), ("b.test", "mx.test")]);
    post.limits = SiteLimits { window_first: 9, window_max: 9, letters_per_minute: None, together: false };
    let letters: Vec<_> = ["a.test", "b.test", "c.test"].map(|domain| post.accept(domain, 2)).into();
    post.index.scheduler.suspended.set(scope("a.test"), suspension());
    let out: Vec<_> = post.all(10).iter().map(|started| started.letter).collect();
    assert_eq!(out, letters[1..], "one domain of a site");
    post.accept("b.test", 2);
    post.index.scheduler.suspended.set(scope("mx.test"), suspension());
    assert_eq!(post.all(11), []);
    post.index.scheduler.suspended = Suspended::default();
    post.index.resume(UnixMillis(12));
    assert_eq!(post.all(12).len(), 2);
    post.index.scheduler.suspended.set(super::super::suspend::Scope::Everything, suspension());
    post.accept("c.test", 2);
    assert_eq!(post.all(13), []);
}

#[test]
fn a_suspension_that_ends_by_itself_lets_go_what_it_held() {
    let mut post = Post::new();
    let until = Suspension { since: 0, until: Some(5000), by: "root".to_owned(), reason: None };
    post.index.scheduler.suspended.set(super::super::suspend::Scope::Name("a.test".to_owned()), until);
    post.accept("a.test", 2);
    assert_eq!(post.all(10), []);
    assert_eq!(post.index.scheduler.wake_at(), Some(UnixMillis(5000)));
    assert_eq!(post.all(5000).len(), 1);
}

#[test]
fn a_place_that_is_out_of_date_is_asked_for_again() {
    let mut post = Post::new();
    post.accept("a.test", 2);
    let (step, _) = post.index.next(UnixMillis(1)).unwrap();
    assert_eq!(step, Step::Place(towards("a.test")));
    assert!(post.index.next(UnixMillis(1)).is_none(), "it is asked for once");
    post.index.place_at(&towards("a.test"), ("mx.test", LIMITS), UnixMillis(100));
    assert!(matches!(post.index.next(UnixMillis(2)), Some((Step::Start { .. }, _))));
    post.accept("a.test", 2);
    assert!(matches!(post.index.next(UnixMillis(100)), Some((Step::Place(_), _))));
}

#[test]
fn sites_that_are_done_with_are_forgotten() {
    let mut post = Post::new();
    for n in 0..SITES_MAX * 2 {
        post.accept(&format!("d{n}.test"), 2);
        let started = post.next(10).unwrap();
        post.done(&started);
    }
    assert!(post.index.scheduler.sites().count() <= SITES_MAX);
    assert_eq!(post.index.scheduler.destinations.iter().count(), 0);
}

#[test]
fn a_sender_beyond_its_letters_a_minute_waits_and_others_do_not() {
    let mut post = Post::new();
    post.limits = SiteLimits { window_first: 9999, window_max: 9999, ..LIMITS };
    post.index.scheduler.settings.letters_per_minute_per_sender = Some(60);
    for _ in 0..300 {
        post.accept("a.test", 2);
    }
    for _ in 0..10 {
        post.accept("a.test", 4);
    }
    let (mut now, mut gone) = (1_000_000, Vec::new());
    while gone.len() < 310 {
        for started in post.all(now) {
            gone.push((now - 1_000_000, started.letter));
            post.done(&started);
        }
        now += 500;
        assert!(now < 2_000_000, "{} have gone", gone.len());
    }
    let by =
        |seconds: u64, many: bool| gone.iter().filter(|(at, letter)| *at <= seconds * 1000 && (*letter <= 300) == many).count();
    assert_eq!(by(0, false), 10, "who sends little is not slowed");
    assert!((60..=62).contains(&by(0, true)), "{}", by(0, true));
    assert!((118..=124).contains(&by(60, true)), "{}", by(60, true));
    assert!(gone.last().unwrap().0 >= 230_000);
}

#[test]
fn letters_by_different_addresses_have_their_own_lines_and_a_suspension_of_the_host_holds_for_all() {
    let mut post = Post::new();
    post.limits = SiteLimits { window_first: 1, ..LIMITS };
    post.sites.extend([("a.test", "mx.test"), ("a.test by bulk", "mx.test by bulk")]);
    let (usual, bulk) = (post.accept("a.test", 2), post.accept("a.test by bulk", 2));
    post.accept("a.test by bulk", 2);
    let out = post.all(10);
    assert_eq!(out.iter().map(|started| started.letter).collect::<Vec<_>>(), [usual, bulk], "one window for each");
    post.end(&out[1], 10, Feedback::Throttled(Reply::bare(421, "slow down")));
    post.accept("a.test", 2);
    post.done(&out[0]);
    assert_eq!(post.all(11).len(), 1, "the other address was not told to slow down");
    let suspension = || Suspension { since: 0, until: None, by: "root".to_owned(), reason: None };
    let scope = |name: &str| super::super::suspend::Scope::Name(name.to_owned());
    for (suspended, goes) in [("mx.test", [false, false]), ("a.test", [false, false]), ("mx.test by bulk", [true, false])] {
        let mut post = Post::new();
        post.sites.extend([("a.test", "mx.test"), ("a.test by bulk", "mx.test by bulk")]);
        let letters = [post.accept("a.test", 2), post.accept("a.test by bulk", 2)];
        post.index.scheduler.suspended.set(scope(suspended), suspension());
        let out: Vec<_> = post.all(10).iter().map(|started| started.letter).collect();
        assert_eq!(letters.map(|letter| out.contains(&letter)), goes, "{suspended}");
    }
}
