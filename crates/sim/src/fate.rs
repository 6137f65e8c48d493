//! What goes wrong, and when, by chance.

use std::time::Duration;

use posthouse_runtime::sim::{self, Host, Weather};
use posthouse_runtime::{clock, random};

use crate::net::Net;

/// How long a server that crashed stays down, and a link cut, at most.
const AWAY_MAX: Duration = Duration::from_secs(20 * 60);
/// The time between two blows, about.
const BETWEEN: Duration = Duration::from_secs(240);
/// How far a wall clock jumps, at most.
const JUMP_MILLIS_MAX: usize = 6 * 3600 * 1000;

/// What will be put right again.
#[derive(Default)]
struct Wounds {
    /// Servers that are down, with when they start again.
    down: Vec<(usize, Duration)>,
    cuts: Vec<(Host, Host, Duration)>,
}

/// Lets things go wrong for so long, then puts everything right.
pub async fn rage(net: &mut Net, time: Duration) {
    let until = sim::elapsed() + time;
    let mut wounds = Wounds::default();
    let mut next = sim::elapsed();
    while sim::elapsed() < until {
        if sim::elapsed() >= next {
            strike(net, &mut wounds);
            next = sim::elapsed() + random::jitter(BETWEEN, 1.0);
        }
        // Short, so that a crash of the disk's making is seen soon.
        clock::sleep(random::jitter(Duration::from_secs(10), 1.0)).await;
        wounds.heal(net, sim::elapsed()).await;
    }
    sim::note("it is fair from here");
    sim::set_weather(Weather::default());
    net.set_dns_trouble(0);
    for remote in &net.remotes {
        let mut character = remote.character();
        (character.chance, character.storm_until) = (0, Duration::ZERO);
    }
    for server in &mut net.servers {
        server.host.set_clock(0);
        server.disk.cut_never();
    }
    wounds.heal(net, Duration::MAX).await;
}

fn strike(net: &mut Net, wounds: &mut Wounds) {
    let now = sim::elapsed();
    let server = random::below(net.servers.len());
    match random::below(12) {
        0 => net.servers[server].crash(),
        1 | 2 => net.servers[server].crash_at_change(u64::try_from(random::below(40)).unwrap()),
        3 | 4 => {
            let hosts = net.hosts();
            let (one, other) = (hosts[random::below(hosts.len())], hosts[random::below(hosts.len())]);
            sim::cut(one, other);
            wounds.cuts.push((one, other, now + random::jitter(AWAY_MAX / 2, 1.0)));
        }
        5 | 6 => {
            let connections = sim::connections();
            if !connections.is_empty() {
                sim::break_connection(connections[random::below(connections.len())].0);
            }
        }
        7 => {
            let jump = i64::try_from(random::below(2 * JUMP_MILLIS_MAX)).unwrap() - i64::try_from(JUMP_MILLIS_MAX).unwrap();
            net.servers[server].host.set_clock(jump);
        }
        8 | 9 => {
            let remote = &net.remotes[random::below(net.remotes.len())];
            remote.character().storm_until = now + random::jitter(AWAY_MAX / 2, 1.0);
        }
        10 => net.set_dns_trouble([0, 30, 100][random::below(3)]),
        _ => sim::set_weather(weather()),
    }
}

fn weather() -> Weather {
    let fair = Weather::default();
    match random::below(4) {
        0 => fair,
        1 => Weather { latency_max: Duration::from_secs(2), ..fair },
        2 => Weather { stalls: 3000, stall_max: Duration::from_secs(400), segment_max: 700, ..fair },
        _ => Weather { breaks: 2000, segment_max: 2000, ..fair },
    }
}

impl Wounds {
    async fn heal(&mut self, net: &mut Net, now: Duration) {
        for (index, server) in net.servers.iter_mut().enumerate() {
            if !server.is_running() && self.down.iter().all(|(down, _)| *down != index) {
                server.bury();
                self.down.push((index, sim::elapsed() + random::jitter(AWAY_MAX / 8, 1.0)));
            }
        }
        for (one, other, _) in self.cuts.extract_if(.., |(_, _, until)| *until <= now) {
            sim::heal(one, other);
        }
        for (index, _) in self.down.extract_if(.., |(_, until)| *until <= now) {
            net.servers[index].start().await;
        }
    }
}
