//! A server of ours on a simulated host: the product's own parts, wired as the binary wires them.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use posthouse_delivery::{DoubleBounces, Way};
use posthouse_directory::Directory;
use posthouse_dns::Resolver;
use posthouse_intake::ListenerKind;
use posthouse_journal::Journal;
use posthouse_mail::Domain;
use posthouse_mailbox::Mailboxes;
use posthouse_queue::Queue;
use posthouse_queue::sim::Disk;
use posthouse_runtime::gate::Gate;
use posthouse_runtime::memory::Ceiling;
use posthouse_runtime::net::Listener;
use posthouse_runtime::shutdown::{self, Trigger};
use posthouse_runtime::sim::{self, Host};
use posthouse_runtime::stream::collect;
use posthouse_runtime::{random, select, task};
use tempfile::TempDir;

use crate::ledger::{Arrival, Crash, Ledger, name_in};

/// The accounts of every server of ours, at its own domain.
pub const ACCOUNTS: [&str; 2] = ["alice", "bob"];
/// The seed of what is made once and used by all runs.
const TEMPLATE_SEED: u64 = 1;

/// A server of ours.
pub struct Server {
    /// Where it runs.
    pub host: Host,
    /// Its domain; `mail.` before it is its name.
    pub domain: String,
    /// The disk under its queue.
    pub disk: Disk,
    address: IpAddr,
    folder: PathBuf,
    resolver: Resolver,
    ledger: Ledger,
    running: Option<Running>,
    /// Whether its disk is as its last crash left it.
    is_buried: bool,
}

struct Running {
    queue: Queue,
    directory: Directory,
    mailboxes: Mailboxes,
    /// Dropping it would be no shutdown; it is kept so that there is one.
    _trigger: Trigger,
}

impl Server {
    pub(crate) fn new(host: Host, address: IpAddr, domain: &str, folder: &Path, resolver: Resolver, ledger: &Ledger) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::copy(template(domain), folder.join("directory.sqlite")).unwrap();
        sim::note(format!("{host} is mail.{domain}"));
        Self {
            host,
            domain: domain.to_owned(),
            disk: Disk::new(),
            address,
            folder: folder.to_owned(),
            resolver,
            ledger: ledger.clone(),
            running: None,
            is_buried: true,
        }
    }

    /// Where it takes letters.
    #[must_use]
    pub fn smtp(&self) -> SocketAddr {
        (self.address, 25).into()
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.is_some() && self.host.is_up()
    }

    /// How many letters are queued; none while it does not run.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.running.as_ref().map_or(0, |running| running.queue.len())
    }

    /// Starts it on the disk that it has; its power may go while it does.
    ///
    /// # Panics
    /// When it cannot start: nothing that a crash leaves may keep it from that.
    pub async fn start(&mut self) {
        self.host.start();
        self.is_buried = false;
        self.running = self.host.run(self.open()).await.flatten();
    }

    async fn open(&self) -> Option<Running> {
        let opened = self.disk.open();
        if !self.host.is_up() {
            return None;
        }
        let (queue, recovered) = opened.unwrap_or_else(|error| panic!("{}: {error}", self.domain));
        sim::note(format!("recovers {recovered:?}"));
        let directory = Directory::open(&self.folder.join("directory.sqlite")).unwrap();
        let mailboxes = Mailboxes::open(&self.folder.join("accounts")).unwrap();
        let journal = Journal::open(&self.folder.join("journal.sqlite")).unwrap();
        let hostname: Domain = format!("mail.{}", self.domain).parse().unwrap();
        let (trigger, shutdown) = shutdown::channel();
        let settings = posthouse_intake::Settings {
            trusted_networks: vec!["10.2.0.0/16".parse().unwrap()],
            ..posthouse_intake::Settings::default()
        };
        let intake_trusted = settings.trusted_networks.clone();
        let intake = posthouse_intake::Context {
            abuse: posthouse_intake::Abuse::default(),
            filters: posthouse_intake::HttpFilters::default(),
            hostname: hostname.clone(),
            directory: directory.clone(),
            queue: queue.clone(),
            journal: journal.clone(),
            evaluations: Arc::new(posthouse_intake::NoLedger),
            resolver: Arc::clone(&self.resolver),
            tls: None,
            users_tls: None,
            memory: Ceiling::new(0),
            gate: Gate::new(settings.gate()),
            settings: Arc::new(settings),
        };
        let listener = Listener::bind(self.smtp()).unwrap();
        let stop = shutdown.clone();
        task::spawn("listener", async move {
            loop {
                let stream = select! {
                    accepted = listener.accept() => accepted.unwrap(),
                    () = stop.requested() => return,
                };
                let (context, stop) = (intake.clone(), stop.clone());
                task::spawn("connection", async move {
                    posthouse_intake::serve_smtp(stream, &context, ListenerKind::Mx, stop).await;
                });
            }
        });
        let delivery = posthouse_delivery::Context {
            hostname,
            directory: directory.clone(),
            mailboxes: mailboxes.clone(),
            queue: queue.clone(),
            schedule: posthouse_queue::Settings::default(),
            journal,
            resolver: Arc::clone(&self.resolver),
            sts: Arc::new(posthouse_delivery::NoPolicies),
            ledger: Arc::new(posthouse_delivery::NoLedger),
            reports: posthouse_delivery::Received::open(&self.folder.join("reports.sqlite")).unwrap(),
            relays_for: intake_trusted,
            settings: Arc::new(posthouse_delivery::Settings::default()),
            double_bounces: DoubleBounces::default(),
        };
        let way = Way::new(&delivery.settings).unwrap();
        task::spawn("delivery", posthouse_delivery::run(delivery, way, shutdown));
        Some(Running { queue, directory, mailboxes, _trigger: trigger })
    }

    /// Takes its power away now; what was not synced is lost as chance has it.
    pub fn crash(&mut self) {
        self.host.crash();
        self.bury();
    }

    /// Has the power go after so many further changes of its disk. Its end is noticed by [`Server::bury`].
    pub fn crash_at_change(&self, changes: u64) {
        let host = self.host;
        self.disk.cut_after(changes, move || host.crash());
    }

    /// After a crash: writes down what had no end yet, and puts the disk into the state it is found in.
    pub fn bury(&mut self) {
        if self.host.is_up() || self.is_buried {
            return;
        }
        self.is_buried = true;
        if let Some(running) = self.running.take() {
            let pending = pending(&running.queue);
            self.ledger.pages().crashes.push(Crash { at: sim::elapsed(), host: self.host, pending });
        }
        self.disk = self.disk.after_crash(random::u64());
    }

    /// Writes down what lies in its mailboxes and what is still queued.
    pub(crate) async fn take_stock(&self) {
        let Some(running) = &self.running else { return };
        self.ledger.pages().queued.extend(pending(&running.queue));
        for name in ACCOUNTS {
            let account = running.directory.account(&format!("{name}@{}", self.domain)).await.unwrap().unwrap();
            for message in running.mailboxes.inbox(account.id.as_str()).await.unwrap() {
                let mut body = running.mailboxes.read(account.id.as_str(), message.uid).await.unwrap();
                let data = String::from_utf8(collect(&mut body, 1 << 24).await.unwrap()).unwrap();
                let to = field(&data, "Delivered-To").unwrap_or_default().to_owned();
                self.ledger.pages().arrivals.push(Arrival { to, data });
            }
        }
    }
}

/// The value of a header field.
pub(crate) fn field<'a>(data: &'a str, name: &str) -> Option<&'a str> {
    let header = data.split_once("\r\n\r\n").map_or(data, |(header, _)| header);
    header.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The names of queued letters with those of their recipients that have no end. A report goes by the name of what it returns.
fn pending(queue: &Queue) -> Vec<(String, String)> {
    let mut pending = Vec::new();
    for listed in queue.list() {
        let queued = queue.get(listed.id).unwrap_or_else(|error| panic!("a queued letter cannot be read: {error}"));
        let Some(queued) = queued else { continue };
        let from = queued.letter.envelope.reverse_path.to_string();
        for state in queued.recipients.iter().filter(|state| state.is_pending()) {
            let to = state.recipient.address.to_string();
            let from = from.trim_matches(['<', '>']);
            let name = name_in(from).or_else(|| name_in(&to)).unwrap_or_default().to_owned();
            pending.push((name, to));
        }
    }
    pending
}

/// A directory with the accounts of a domain: hashing passwords takes its time, so it is made once.
fn template(domain: &str) -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = scratch();
        // On a thread of its own, which is in no world; in a world of its own, so that ids and salts are the same in each process.
        std::thread::scope(|scope| {
            let path = folder.path();
            let made = std::thread::Builder::new().spawn_scoped(scope, move || sim::run(TEMPLATE_SEED, fill(path)).unwrap());
            made.unwrap().join().unwrap();
        });
        folder
    });
    folder.path().join(domain)
}

async fn fill(folder: &Path) {
    for domain in ["a.test", "b.test"] {
        let directory = Directory::open(&folder.join(domain)).unwrap();
        directory.add_domain(&domain.parse().unwrap()).await.unwrap();
        for account in ACCOUNTS {
            let address = format!("{account}@{domain}").parse().unwrap();
            directory.add_account(&address, "a password that nobody uses").await.unwrap();
        }
    }
}

/// A folder in memory where there is one: nothing in it outlives the run.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}
