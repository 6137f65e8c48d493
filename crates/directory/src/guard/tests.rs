//! Attackers and users, with a clock of our own.

use posthouse_runtime::block_on;
use posthouse_sasl::prepare_password;
use tempfile::TempDir;

use super::*;

const HOUR: u64 = 3_600_000;

struct World {
    guard: Guard,
    now: UnixMillis,
    folder: TempDir,
}

impl World {
    /// Limits of 24 a day for an address, 48 for a network and for an account: one try more each hour, or half hour.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let guard = Guard::open(&folder.path().join("logins.sqlite")).unwrap();
        let world = Self { guard, now: UnixMillis(1_800_000_000_000), folder };
        world.limits();
        world
    }

    fn limits(&self) {
        let settings = LoginSettings {
            wrong_per_address: 24,
            wrong_per_network: 48,
            wrong_per_account: 48,
            gateways: vec!["10.0.0.1".parse().unwrap()],
            ..LoginSettings::default()
        };
        self.guard.configure(settings);
    }

    fn restart(&mut self) {
        self.guard = Guard::open(&self.folder.path().join("logins.sqlite")).unwrap();
        self.limits();
    }

    fn pass(&mut self, millis: u64) {
        self.now = UnixMillis(self.now.0 + millis);
    }

    fn admits(&self, login: &str, peer: &str) -> Result<Ticket, Slowed> {
        self.guard.admit_at(login, peer.parse().unwrap(), self.now)
    }

    fn fail(&self, login: &str, peer: &str) -> bool {
        let Ok(ticket) = self.admits(login, peer) else { return false };
        block_on(ticket.failed_at(None, self.now)).unwrap();
        true
    }

    /// How many guesses are looked at before the first is not.
    fn guesses(&self, login: &str, peers: impl IntoIterator<Item = String>) -> usize {
        peers.into_iter().take_while(|peer| self.fail(login, peer)).count()
    }

    fn succeed(&self, login: &str, peer: &str) {
        block_on(self.admits(login, peer).unwrap().succeeded_at(self.now)).unwrap();
    }
}

fn same(peer: &str) -> impl Iterator<Item = String> {
    std::iter::repeat(peer.to_owned())
}

fn everywhere() -> impl Iterator<Item = String> {
    (0..60_000_u32).map(|n| format!("100.{}.{}.7", n / 250, n % 250))
}

#[test]
fn one_address_guesses_a_little_and_then_hardly_at_all() {
    let mut world = World::new();
    assert_eq!(world.guesses("alice@a.test", same("192.0.2.1")), 24);
    assert!(world.admits("alice@a.test", "192.0.2.2").is_ok(), "its neighbour may still try");
    assert!(world.admits("bob@a.test", "192.0.2.1").is_err(), "another name does not help");
    let mut guesses = 0;
    for _ in 0..24 * 30 {
        world.pass(HOUR);
        guesses += world.guesses("alice@a.test", same("192.0.2.1"));
    }
    assert_eq!(guesses, 24 * 30, "in a month");
}

#[test]
fn a_network_of_addresses_guesses_no_more_than_a_network_may() {
    let world = World::new();
    let net = (0..).map(|n: u32| format!("192.0.2.{}", n % 256));
    let logins = |peers: &mut dyn Iterator<Item = String>| {
        peers.enumerate().take_while(|(n, peer)| world.fail(&format!("user{n}@a.test"), peer)).count()
    };
    assert_eq!(logins(&mut net.take(1000)), 48);
    let mut v6 = (0..1000_u32).map(|n| format!("2001:db8:1:{n:x}::1"));
    assert_eq!(logins(&mut v6), 48, "a /48 has 65,536 addresses of this kind");
    let mut one_house = (0..1000_u32).map(|n| format!("2001:db8:2:2::{n:x}"));
    assert_eq!(logins(&mut one_house), 24, "and a /64 is one house");
}

#[test]
fn a_botnet_gets_no_further_than_one_address_and_its_victim_is_not_locked_out() {
    let mut world = World::new();
    world.succeed("alice@a.test", "203.0.113.5");
    let mut botnet = everywhere();
    assert_eq!(world.guesses("alice@a.test", botnet.by_ref()), 48);
    world.restart();
    for _ in 0..10_000 {
        assert!(!world.fail("Alice+phone@A.test", &botnet.next().unwrap()), "not under another spelling either");
    }
    world.succeed("alice@a.test", "203.0.113.5");
    world.pass(80 * 24 * HOUR);
    assert_eq!(world.guesses("alice@a.test", botnet.by_ref()), 48, "they never tire");
    world.succeed("alice@a.test", "203.0.113.5");
    assert!(world.admits("bob@a.test", "203.0.113.6").is_ok(), "nor is anybody else");
    world.pass(91 * 24 * HOUR);
    world.guesses("alice@a.test", botnet);
    assert!(world.admits("alice@a.test", "203.0.113.5").is_err(), "after three months nobody is known");
}

#[test]
fn a_login_that_nobody_has_is_slowed_down_like_any_other() {
    let world = World::new();
    for (n, login) in ["alice@a.test", "nobody@a.test", "\0", "x"].into_iter().enumerate() {
        assert_eq!(world.guesses(login, everywhere().skip(n * 5_000)), 48, "{login:?}");
    }
}

#[test]
fn a_guesser_behind_the_same_router_does_not_lock_the_household_out() {
    let world = World::new();
    world.succeed("alice@a.test", "192.0.2.1");
    assert_eq!(world.guesses("bob@a.test", same("192.0.2.1")), 24);
    assert!(world.admits("alice@a.test", "192.0.2.1").is_ok());
    assert_eq!(world.guesses("alice@a.test", same("192.0.2.1")), 24, "a known place has a limit of its own");
}

#[test]
fn a_gateway_is_not_blamed_for_what_its_users_type() {
    let world = World::new();
    let tries = (0..500).filter(|n| world.fail(&format!("user{n}@a.test"), "10.0.0.1")).count();
    assert_eq!(tries, 500);
    assert_eq!(world.guesses("alice@a.test", same("10.0.0.1")), 48, "each account is guarded all the same");
}

#[test]
fn a_device_with_an_old_password_does_not_count_as_a_guesser() {
    let mut world = World::new();
    let password = prepare_password("last year's").unwrap();
    for _ in 0..12 * 24 * 3 {
        let ticket = world.admits("alice@a.test", "192.0.2.1").unwrap();
        block_on(ticket.failed_at(Some(&password), world.now)).unwrap();
        world.pass(HOUR / 12);
    }
    assert!(world.admits("bob@a.test", "192.0.2.1").is_ok());
}

#[test]
fn tries_at_the_same_moment_are_no_way_around() {
    let world = World::new();
    let mut tickets: Vec<_> = everywhere().map_while(|peer| world.admits("alice@a.test", &peer).ok()).collect();
    assert_eq!(tickets.len(), 48);
    let last = tickets.pop();
    drop(tickets);
    block_on(last.unwrap().failed_at(None, world.now)).unwrap();
    assert_eq!(world.guesses("alice@a.test", everywhere().skip(100)), 47, "what was given up counts for nothing");
}

#[test]
fn what_is_cleared_is_forgotten_and_the_rest_is_listed() {
    let world = World::new();
    world.guesses("alice@a.test", same("192.0.2.1"));
    world.guesses("bob@a.test", everywhere());
    let names = || {
        let mut names: Vec<_> = world.guard.slowed_at(world.now).unwrap().iter().map(|one| one.subject.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["192.0.2.1", "bob@a.test"]);
    assert_eq!(block_on(world.guard.clear(Some("bob@a.test".to_owned()))).unwrap().unwrap(), 1);
    assert_eq!(names(), ["192.0.2.1"]);
    block_on(world.guard.clear(None)).unwrap().unwrap();
    assert!(names().is_empty() && world.admits("alice@a.test", "192.0.2.1").is_ok());
}

#[test]
fn a_million_addresses_do_not_fill_the_disk() {
    let world = World::new();
    {
        let rows = rusqlite::Connection::open(world.folder.path().join("logins.sqlite")).unwrap();
        rows.execute(
            "INSERT INTO bucket WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
             SELECT 1, '', 'x' || i, 1.0, ?1 + i FROM n",
            [i64::try_from(world.now.0 - HOUR).unwrap()],
        )
        .unwrap();
    }
    // Each of these leaves three buckets, and after 256 the oldest of all are thrown away.
    for (n, peer) in everywhere().take(256).enumerate() {
        assert!(world.fail(&format!("user{n}@a.test"), &peer));
    }
    let rows = rusqlite::Connection::open(world.folder.path().join("logins.sqlite")).unwrap();
    let count: i64 = rows.query_row("SELECT count(*) FROM bucket", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 180_000);
    let kept: i64 = rows.query_row("SELECT count(*) FROM bucket WHERE kind = 3", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 256, "the newest stay");
}

#[test]
fn a_file_that_cannot_be_used_keeps_nobody_out() {
    let world = World::new();
    world.guesses("alice@a.test", same("192.0.2.1"));
    rusqlite::Connection::open(world.folder.path().join("logins.sqlite")).unwrap().execute_batch("DROP TABLE bucket").unwrap();
    assert!(world.fail("alice@a.test", "192.0.2.1"));
}
