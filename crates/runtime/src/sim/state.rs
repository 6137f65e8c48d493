//! What a world holds beside its network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::chance::Chance;
use super::event::Event;
use super::host::{Host, Place};
use super::net::{Connection, Listening};

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// The shortest way of a segment.
    pub latency_min: Duration,
    /// The longest.
    pub latency_max: Duration,
    /// How many segments of a hundred thousand are lost and sent again.
    pub stalls: u32,
    /// How long that takes, at most.
    pub stall_max: Duration,
    /// How many segments of a hundred thousand break their connection.
    pub breaks: u32,
    /// The octets of one segment, at most.
    pub segment_max: usize,
}

impl Default for Weather {
    /// Fair: ten milliseconds, and nothing goes wrong.
    fn default() -> Self {
        Self {
            latency_min: Duration::from_millis(5),
            latency_max: Duration::from_millis(15),
            stalls: 0,
            stall_max: Duration::ZERO,
            breaks: 0,
            segment_max: 16 * 1024,
        }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub(super) chance: Chance,
    pub(super) weather: Weather,
    pub(super) events: Vec<(Duration, Event)>,
    hosts: Vec<Machine>,
    pub(super) cuts: BTreeSet<(usize, usize)>,
    pub(super) listeners: BTreeMap<SocketAddr, Listening>,
    pub(super) connections: Vec<Connection>,
    polls: (Duration, u32),
}

#[derive(Debug)]
struct Machine {
    address: Option<IpAddr>,
    life: u64,
    is_up: bool,
    skew_millis: i64,
    tasks: Vec<AbortHandle>,
    next_port: u16,
}

impl Machine {
    fn new(address: Option<IpAddr>) -> Self {
        Self { address, life: 0, is_up: true, skew_millis: 0, tasks: Vec::new(), next_port: 32_768 }
    }
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            weather: Weather::default(),
            events: Vec::new(),
            hosts: vec![Machine::new(None)],
            cuts: BTreeSet::new(),
            listeners: BTreeMap::new(),
            connections: Vec::new(),
            polls: (Duration::ZERO, 0),
        }
    }

    pub(super) fn note(&mut self, now: Duration, event: Event) {
        self.events.push((now, event));
    }

    pub(super) fn count_poll(&mut self, now: Duration) -> u32 {
        self.polls = if self.polls.0 == now { (now, self.polls.1 + 1) } else { (now, 0) };
        self.polls.1
    }

    pub(super) fn add_host(&mut self, address: IpAddr) -> usize {
        self.hosts.push(Machine::new(Some(address)));
        self.hosts.len() - 1
    }

    pub(super) fn place(&self, host: usize) -> Place {
        Place { host, life: self.hosts.get(host).map_or(0, |machine| machine.life) }
    }

    pub(super) fn is_up(&self, host: usize) -> bool {
        self.hosts.get(host).is_some_and(|machine| machine.is_up)
    }

    pub(super) fn is_alive(&self, place: Place) -> bool {
        self.hosts.get(place.host).is_some_and(|machine| machine.is_up && machine.life == place.life)
    }

    pub(super) fn address(&self, place: Place) -> Option<IpAddr> {
        self.hosts.get(place.host)?.address
    }

    pub(super) fn at(&self, address: IpAddr) -> Option<usize> {
        self.hosts.iter().position(|machine| machine.address == Some(address))
    }

    /// An address for a connection from a host.
    pub(super) fn local(&mut self, place: Place, source: Option<IpAddr>) -> Option<SocketAddr> {
        let machine = self.hosts.get_mut(place.host)?;
        let address = machine.address.filter(|own| source.is_none_or(|source| source == *own))?;
        let port = machine.next_port;
        machine.next_port = if port == u16::MAX { 32_768 } else { port + 1 };
        Some(SocketAddr::new(address, port))
    }

    pub(super) fn skew(&self, place: Place) -> i64 {
        self.hosts.get(place.host).map_or(0, |machine| machine.skew_millis)
    }

    pub(super) fn set_skew(&mut self, host: usize, skew_millis: i64) {
        if let Some(machine) = self.hosts.get_mut(host) {
            machine.skew_millis = skew_millis;
        }
    }

    pub(super) fn add_task(&mut self, place: Place, task: AbortHandle) {
        if let Some(machine) = self.hosts.get_mut(place.host) {
            if machine.tasks.len() == machine.tasks.capacity() {
                machine.tasks.retain(|task| !task.is_finished());
            }
            machine.tasks.push(task);
        }
    }

    pub(super) fn live_tasks(&self, host: usize) -> usize {
        self.hosts.get(host).map_or(0, |machine| machine.tasks.iter().filter(|task| !task.is_finished()).count())
    }

    /// Gives the tasks that are to be ended.
    pub(super) fn crash(&mut self, host: usize) -> Vec<AbortHandle> {
        self.listeners.retain(|_, listening| listening.place.host != host);
        let Some(machine) = self.hosts.get_mut(host) else { return Vec::new() };
        machine.is_up = false;
        machine.life += 1;
        std::mem::take(&mut machine.tasks)
    }

    pub(super) fn start(&mut self, host: usize) {
        if let Some(machine) = self.hosts.get_mut(host) {
            machine.is_up = true;
        }
    }

    pub(super) fn cut(&mut self, one: Host, other: Host) {
        self.cuts.insert(link(one.0, other.0));
    }

    pub(super) fn heal(&mut self, one: Host, other: Host) {
        self.cuts.remove(&link(one.0, other.0));
        self.wake_all();
    }

    pub(super) fn is_cut(&self, one: usize, other: usize) -> bool {
        self.cuts.contains(&link(one, other))
    }
}

fn link(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}
