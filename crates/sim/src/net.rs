//! A network, built host by host.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use posthouse_dns::{Answer, DnsError, Kind, Lookup, MxAnswer, Name, Record, Resolve, Zone};
use posthouse_mail::Domain;
use posthouse_runtime::sim::{self, Host};
use posthouse_runtime::{clock, random, task};
use tempfile::TempDir;

use crate::client::{self, Order};
use crate::ledger::Ledger;
use crate::remote::{Character, Remote};
use crate::server::{Server, scratch};

/// Which host has which address: servers of ours, servers of others, clients.
const OURS: [u8; 3] = [10, 0, 0];
const OTHERS: [u8; 3] = [10, 1, 0];
const CLIENTS: [u8; 3] = [10, 2, 0];

/// A network. It lives inside [`posthouse_runtime::sim::run`].
pub struct Net {
    /// What is known from outside.
    pub ledger: Ledger,
    /// Servers of ours.
    pub servers: Vec<Server>,
    /// Servers of others.
    pub remotes: Vec<Remote>,
    /// Where clients sit.
    pub clients: Host,
    dns: Arc<Dns>,
    records: String,
    folder: TempDir,
}

impl Net {
    /// A network with clients and the host `mx.from.test`, which takes all that is sent back to senders.
    ///
    /// # Panics
    /// Outside a world.
    #[must_use]
    pub fn new() -> Self {
        let dns = Arc::new(Dns { zone: Zone::new(), trouble: AtomicUsize::new(0) });
        let mut net = Self {
            ledger: Ledger::default(),
            servers: Vec::new(),
            remotes: Vec::new(),
            clients: Host::new(address(CLIENTS, 1)),
            dns,
            records: String::new(),
            folder: scratch(),
        };
        net.remote("from.test", Character::default());
        net
    }

    /// Adds a server of ours for a domain, `a.test` or `b.test`, and starts it. Its index is the count of those before it.
    ///
    /// # Panics
    /// When it cannot start.
    pub async fn server(&mut self, domain: &str) {
        let address = address(OURS, self.servers.len() + 1);
        self.record(&format!("{domain} MX 10 mail.{domain}\nmail.{domain} A {address}"));
        let resolver = Arc::clone(&self.dns);
        let folder = self.folder.path().join(domain);
        let mut server = Server::new(Host::new(address), address, domain, &folder, resolver, &self.ledger);
        server.start().await;
        self.ledger.pages().servers.push(server.host);
        self.servers.push(server);
    }

    /// Adds a server of others as the one mail host of a domain. Its index is the count of those before it, `from.test` being the first.
    pub fn remote(&mut self, domain: &str, character: Character) {
        self.mx(domain, 10, character);
    }

    /// Adds a server of others as a mail host of a domain.
    pub fn mx(&mut self, domain: &str, preference: u16, character: Character) {
        let number = self.remotes.len() + 1;
        let address = address(OTHERS, number);
        self.record(&format!("{domain} MX {preference} mx{number}.{domain}\nmx{number}.{domain} A {address}"));
        let host = Host::new(address);
        sim::note(format!("{host} is mx{number}.{domain}"));
        self.remotes.push(Remote::start(host, address, character, &self.ledger));
    }

    /// Adds a mail host that nobody answers at.
    pub fn dead_mx(&mut self, domain: &str, preference: u16) {
        self.record(&format!("{domain} MX {preference} dead.{domain}\ndead.{domain} A 10.9.9.9"));
    }

    /// Adds records, as [`Zone`] reads them.
    ///
    /// # Panics
    /// When they are none.
    pub fn record(&mut self, records: &str) {
        self.records.push_str(records);
        self.records.push('\n');
        self.dns.zone.set(&self.records).unwrap();
    }

    /// Of a hundred questions to the DNS so many fail from now on.
    pub fn set_dns_trouble(&self, percent: usize) {
        self.dns.trouble.store(percent, Ordering::Relaxed);
    }

    /// Has a client submit a letter to a server of ours.
    pub fn submit(&self, server: usize, order: Order) -> task::Task {
        let (host, smtp, ledger) = (self.clients, self.servers[server].smtp(), self.ledger.clone());
        task::spawn("client", client::submit(host, smtp, order, ledger))
    }

    /// Everybody with a link to cut.
    #[must_use]
    pub fn hosts(&self) -> Vec<Host> {
        let ours = self.servers.iter().map(|server| server.host);
        ours.chain(self.remotes.iter().map(|remote| remote.host)).chain([self.clients]).collect()
    }

    /// Lets time pass until no server of ours has anything queued. A server that crashed is started again.
    ///
    /// # Panics
    /// When that takes longer than `time_max`.
    pub async fn drain(&mut self, time_max: Duration) {
        let until = sim::elapsed() + time_max;
        // What stands on a disk is queued, too, though nobody may be there to count it.
        while self.servers.iter().any(|server| !server.is_running() || server.queued() > 0) {
            assert!(sim::elapsed() < until, "after {time_max:?} {:?} letters are still queued", self.queued());
            clock::sleep(Duration::from_secs(60)).await;
            for server in self.servers.iter_mut().filter(|server| !server.is_running()) {
                server.bury();
                server.start().await;
            }
        }
    }

    fn queued(&self) -> Vec<usize> {
        self.servers.iter().map(Server::queued).collect()
    }

    /// Writes down what lies in mailboxes and queues.
    pub async fn take_stock(&self) {
        for server in &self.servers {
            server.take_stock().await;
        }
    }
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

fn address(network: [u8; 3], number: usize) -> IpAddr {
    let [a, b, c] = network;
    IpAddr::from([a, b, c, u8::try_from(number).unwrap()])
}

/// A resolver that takes its time, and sometimes fails.
struct Dns {
    zone: Zone,
    trouble: AtomicUsize,
}

impl Dns {
    fn ask<'a, T: Send + 'a>(&'a self, lookup: Lookup<'a, T>) -> Lookup<'a, T> {
        Box::pin(async move {
            let fails = random::below(100) < self.trouble.load(Ordering::Relaxed);
            clock::sleep(random::jitter(Duration::from_millis(if fails { 5000 } else { 20 }), 0.9)).await;
            let answer: Result<Answer<T>, DnsError> = lookup.await;
            if fails { Err(DnsError::Temporary("the name server does not answer".to_owned())) } else { answer }
        })
    }
}

impl Resolve for Dns {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, MxAnswer> {
        self.ask(self.zone.mx(domain))
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> Lookup<'a, Vec<IpAddr>> {
        self.ask(self.zone.addresses(host))
    }

    fn txt<'a>(&'a self, name: &'a Domain) -> Lookup<'a, Vec<Vec<u8>>> {
        self.ask(self.zone.txt(name))
    }

    fn ptr(&self, address: IpAddr) -> Lookup<'_, Vec<Domain>> {
        self.ask(self.zone.ptr(address))
    }

    fn records<'a>(&'a self, name: &'a Name, kind: Kind) -> Lookup<'a, Vec<Record>> {
        self.ask(self.zone.records(name, kind))
    }
}
