//! A whole run from a seed: a network at random, two bad hours, then fair weather until the queues are empty.

use std::fmt::Write as _;
use std::time::Duration;

use posthouse_runtime::sim::{self, Event, Host};
use posthouse_runtime::{clock, random, task};

use crate::client::Order;
use crate::judge::judge;
use crate::net::Net;
use crate::remote::{Character, Phase};
use crate::{fate, server};

/// How long things go wrong.
const RAGE: Duration = Duration::from_secs(2 * 3600);
/// How long the queues may take to empty: a letter waits for five days at most, and its report as long again.
const CALM_MAX: Duration = Duration::from_secs(11 * 86_400);
/// When the last letter is submitted.
const SUBMITTING: Duration = Duration::from_secs(100 * 60);
const LETTERS_MIN: usize = 10;
const LETTERS_MORE: usize = 30;
/// The spool of an empty queue: its hot segments, and a few cold ones.
const EMPTY_SPOOL_OCTETS_MAX: usize = 16 * 64 * 1024;

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Everything that happened.
    pub events: Vec<(Duration, Event)>,
    /// The promises that were broken.
    pub broken: Vec<String>,
    /// What is worth counting.
    pub tally: Tally,
}

/// What happened how often.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub struct Tally {
    /// Letters accepted.
    pub taken: usize,
    /// Letters that arrived somewhere.
    pub arrivals: usize,
    /// Crashes.
    pub crashes: usize,
    /// Connections.
    pub connections: usize,
}

impl Outcome {
    /// The trace, a line for each event.
    #[must_use]
    pub fn trace(&self) -> String {
        let mut trace = String::new();
        for (at, event) in &self.events {
            writeln!(trace, "{:>12.3} {event}", at.as_secs_f64()).unwrap();
        }
        trace
    }
}

/// Runs a seed.
///
/// # Panics
/// When the queues do not become empty, or the world hangs.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    sim::run(seed, whole()).unwrap()
}

async fn whole() -> Outcome {
    let mut net = build().await;
    clock::sleep(Duration::from_secs(1)).await;
    let at_rest: Vec<usize> = net.servers.iter().map(|server| server.host.tasks()).collect();
    let letters = LETTERS_MIN + random::below(LETTERS_MORE);
    let clients: Vec<task::Task> = (1..=letters).map(|number| submit_some_time(&net, number)).collect();
    fate::rage(&mut net, RAGE).await;
    for client in clients {
        client.join().await;
    }
    net.drain(CALM_MAX).await;
    // What rests between two letters goes, too.
    clock::sleep(Duration::from_secs(3600)).await;
    net.take_stock().await;
    let events = sim::events();
    let pages = net.ledger.pages().clone();
    let mut broken = judge(&pages, &events);
    for (server, before) in net.servers.iter().zip(at_rest) {
        let (tasks, octets) = (server.host.tasks(), server.disk.octets());
        if tasks > before {
            broken.push(format!("{}: {tasks} tasks are left, {before} there were before the first letter", server.domain));
        }
        if octets > EMPTY_SPOOL_OCTETS_MAX {
            broken.push(format!("{}: the spool of an empty queue has {octets} octets", server.domain));
        }
    }
    let connections = sim::connections().len();
    if connections > 0 {
        broken.push(format!("{connections} connections are left open"));
    }
    let tally = Tally {
        taken: pages.submissions.iter().filter(|one| one.answer == crate::ledger::Answer::Taken).count(),
        arrivals: pages.arrivals.len(),
        crashes: pages.crashes.len(),
        connections: events.iter().filter(|(_, event)| matches!(event, Event::Connected { .. })).count(),
    };
    Outcome { events, broken, tally }
}

async fn build() -> Net {
    const OFFERS: [&str; 5] = ["PIPELINING", "SIZE 10000000", "8BITMIME", "CHUNKING", "DSN"];
    let mut net = Net::new();
    net.server("a.test").await;
    net.server("b.test").await;
    let chance = [0, 10, 30, 60][random::below(4)];
    let moody = |chance| Character {
        offers: OFFERS.into_iter().filter(|_| random::below(2) == 0).collect(),
        unknown: "gone",
        chance,
        ..Character::default()
    };
    net.remotes[0].character().chance = chance / 2;
    net.remote("r1.test", moody(chance));
    net.dead_mx("r2.test", 10);
    net.mx("r2.test", 20, moody(chance));
    net.mx("r3.test", 10, moody(chance));
    net.mx("r3.test", 10, moody(chance));
    net.remote("r4.test", Character { greylist: Some(Duration::from_secs(400)), ..moody(chance) });
    net.record("null.test MX 0 .\nservfail.test SERVFAIL");
    net
}

fn submit_some_time(net: &Net, number: usize) -> task::Task {
    let order = order(number);
    let server = random::below(net.servers.len());
    let wait = random::jitter(SUBMITTING / 2, 1.0);
    let (host, smtp, ledger): (Host, _, _) = (net.clients, net.servers[server].smtp(), net.ledger.clone());
    task::spawn("client", async move {
        clock::sleep(wait).await;
        crate::client::submit(host, smtp, order, ledger).await;
    })
}

fn order(number: usize) -> Order {
    let mut to: Vec<String> = (0..=random::below(4)).map(|_| recipient()).collect();
    to.sort();
    to.dedup();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let mut order = Order::new(number, &to);
    order.size = match random::below(10) {
        0 => 100_000,
        1 | 2 => 20_000,
        _ => 500 + random::below(2000),
    };
    if random::below(4) == 0 {
        order.from = format!("{}+{}@a.test", server::ACCOUNTS[random::below(2)], order.marker);
    }
    if random::below(6) == 0 {
        order.vanishes = Some(Phase::ALL[random::below(Phase::ALL.len())]);
    }
    if random::below(8) == 0 {
        order.pause = Duration::from_secs(5);
    }
    order
}

fn recipient() -> String {
    let number = 1 + random::below(4);
    match random::below(12) {
        0 => "alice@a.test".to_owned(),
        1 => "bob@a.test".to_owned(),
        2 => "alice@b.test".to_owned(),
        3 => "bob@b.test".to_owned(),
        4 => "nobody@b.test".to_owned(),
        5 => format!("gone@r{number}.test"),
        6 => ["x@null.test", "x@nowhere.test"][random::below(2)].to_owned(),
        _ => format!("u{}@r{number}.test", random::below(3)),
    }
}
