//! The rows that compare: both servers do the same work, in turn.

use super::figures::{Bar, Figure, Report};
use super::load::{self, Load, Said};
use super::memory::Watch;
use super::servers::{self, ACCOUNTS, Kind, Running, Setup, Way};
use super::{Bench, figures};
use crate::process;
use anyhow::anyhow;
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Generators of [`DELIVER`] at a time; each sends to every account over connections of its own.
const CREWS: u32 = 10;

/// A limit that the rate can be compared with, and its name.
type Beside = fn(&Bench, &Load) -> anyhow::Result<(&'static str, f64)>;

/// A comparison.
pub(super) struct Pairs {
    name: &'static str,
    what: &'static str,
    bar: Bar,
    way: Way,
    sessions: u32,
    letters: u32,
    per_session: u32,
    recipients: u32,
    tls: bool,
    /// What else says how good it is.
    beside: Option<Beside>,
}

const BASE: Pairs = Pairs {
    name: "",
    what: "",
    bar: Bar { rate_min: 1.0, cpu_max: None, p99_max: None },
    way: Way::Hold,
    sessions: 100,
    letters: 0,
    per_session: 0,
    recipients: 1,
    tls: false,
    beside: None,
};

pub(super) const ACCEPT: Pairs = Pairs {
    name: "accept",
    what: "durable accept, 100 connections, many letters each",
    bar: Bar { rate_min: 10.0, cpu_max: Some(1.0 / 12.0), p99_max: Some(1.0 / 5.0) },
    letters: 12_000,
    beside: Some(ceiling),
    ..BASE
};

pub(super) const ACCEPT_NEW: Pairs = Pairs {
    name: "accept-new",
    what: "durable accept, a new connection per letter, 100 at a time",
    bar: Bar { rate_min: 6.0, cpu_max: Some(1.0 / 8.0), p99_max: None },
    letters: 6_000,
    per_session: 1,
    beside: Some(ceiling),
    ..BASE
};

pub(super) const ACCEPT_ONE: Pairs = Pairs {
    name: "accept-one",
    what: "durable accept, one connection",
    bar: Bar { rate_min: 2.5, cpu_max: None, p99_max: None },
    sessions: 1,
    letters: 3_000,
    beside: Some(sync_floor),
    ..BASE
};

pub(super) const RELAY: Pairs = Pairs {
    name: "relay",
    what: "100 connections in, on to a sink",
    bar: Bar { rate_min: 8.0, cpu_max: Some(1.0 / 10.0), p99_max: None },
    way: Way::Relay,
    letters: 6_000,
    ..BASE
};

pub(super) const FANOUT: Pairs = Pairs {
    name: "fanout",
    what: "a letter to 100 recipients at one host, relayed; recipients are counted",
    bar: Bar { rate_min: 8.0, cpu_max: None, p99_max: None },
    way: Way::Relay,
    sessions: 10,
    letters: 1_000,
    recipients: 100,
    ..BASE
};

pub(super) const DELIVER: Pairs = Pairs {
    name: "deliver",
    what: "accept and deliver into 100 inboxes, until the last letter is in",
    bar: Bar { rate_min: 5.0, cpu_max: Some(1.0 / 5.0), p99_max: None },
    way: Way::Inboxes,
    letters: 4_000,
    ..BASE
};

pub(super) const STARTTLS: Pairs = Pairs {
    name: "starttls",
    what: "durable accept, a new STARTTLS connection per letter (TLS 1.3, ECDSA P-256)",
    bar: Bar { rate_min: 4.0, cpu_max: Some(1.0 / 4.0), p99_max: None },
    letters: 6_000,
    per_session: 1,
    tls: true,
    ..BASE
};

/// Measures both servers in turn.
pub(super) fn run(bench: &Bench, row: &Pairs) -> anyhow::Result<Report> {
    let certificate = row.tls.then(|| certificate(&bench.folder)).transpose()?;
    let accounts = (row.way == Way::Inboxes).then(|| servers::accounts(&bench.folder)).transpose()?;
    let setup = Setup { way: row.way, tls: certificate.as_deref(), accounts: accounts.as_deref() };
    let mut pairs = Vec::new();
    for _ in 0..bench.pairs {
        let one = |kind| bench.with(row.name, kind, &setup, |server| measure(server, row, &bench.folder));
        pairs.push((one(Kind::Posthouse)?, one(Kind::Postfix)?));
    }
    let mut report = Report::of_pairs(row.name, row.what, row.bar, pairs);
    if let Some(beside) = row.beside {
        let (name, limit) = beside(bench, &row.load())?;
        let ours = report.posthouse.and_then(|ours| ours.rate);
        report = report.with(name, limit.round()).with("of_it", ours.map(|ours| (ours / limit * 1000.0).round() / 1000.0));
    }
    Ok(report)
}

impl Pairs {
    fn load(&self) -> Load {
        let Pairs { sessions, letters, per_session, recipients, tls, .. } = *self;
        Load { sessions, letters, per_session, recipients, tls, ..Load::default() }
    }
}

/// Sends the letters of the row and waits until the server has nothing more to do.
fn measure(server: &Running, row: &Pairs, tools: &Path) -> anyhow::Result<Figure> {
    let counted = row.letters * row.recipients;
    let sink = (row.way == Way::Relay).then(|| load::next_hop(tools, counted)).transpose()?;
    let before = server.cpu_seconds();
    let watch = Watch::start(server.processes());
    let (began, clock) = (Instant::now(), day_millis()?);
    let ended = process::ended_cpu_seconds()?;
    let said = match (row.way, row.tls) {
        (Way::Inboxes, _) => to_accounts(row, tools)?,
        (_, true) => by_two(row, tools)?,
        _ => row.load().send(tools)?,
    };
    let generators = process::ended_cpu_seconds()? - ended;
    let mut rate = said.rate;
    if let Some(sink) = sink {
        sink.wait(counted)?;
        rate = f64::from(counted) / began.elapsed().as_secs_f64();
    }
    let most = watch.stop();
    let cpu = server.settled_cpu_seconds() - before;
    if row.way == Way::Inboxes {
        let last = match server.kind() {
            Kind::Posthouse => servers::last_stored(server.place(), row.letters)?,
            Kind::Postfix => servers::last_delivered(server.place(), row.letters)?,
        };
        rate = f64::from(counted) / ((last - clock) / 1000.0);
    }
    Ok(Figure {
        rate: Some(rate),
        cpu_s_per_1000: Some(cpu / f64::from(counted) * 1000.0),
        generator_cpu_s_per_1000: row.tls.then(|| generators / f64::from(counted) * 1000.0),
        p50_ms: Some(said.lat_ms_p50),
        p99_ms: Some(said.lat_ms_p99),
        rss_mb: Some(most),
    })
}

/// The generator numbers recipients from 0 on: each run of it sends one letter to each account. It does so reliably only when it pipelines.
fn to_accounts(row: &Pairs, tools: &Path) -> anyhow::Result<Said> {
    let load = Load {
        sessions: row.sessions / CREWS,
        letters: ACCOUNTS,
        numbered: true,
        pipelining: true,
        to: "box@load.test".to_owned(),
        ..Load::default()
    };
    crews(&load, CREWS, row.letters / ACCOUNTS / CREWS, tools)
}

/// A generator has one thread, and the client's half of a handshake is more work than ours.
fn by_two(row: &Pairs, tools: &Path) -> anyhow::Result<Said> {
    let load = Load { sessions: row.sessions / 2, letters: row.letters / 2, ..row.load() };
    crews(&load, 2, 1, tools)
}

/// Some generators at a time, each run some times over.
fn crews(load: &Load, count: u32, runs: u32, tools: &Path) -> anyhow::Result<Said> {
    let crew = || (0..runs).map(|_| load.send(tools)).collect::<anyhow::Result<Vec<Said>>>();
    let began = Instant::now();
    let all: Vec<Said> = thread::scope(|scope| {
        let crews: Vec<_> = (0..count).map(|_| scope.spawn(crew)).collect();
        let said = crews.into_iter().map(|crew| crew.join().map_err(|_| anyhow!("a generator's thread failed"))?);
        said.collect::<anyhow::Result<Vec<_>>>().map(|said| said.into_iter().flatten().collect())
    })?;
    let middle = |part: fn(&Said) -> f64| figures::median(all.iter().map(part).collect()).unwrap_or_default();
    let mut said = all.first().cloned().ok_or_else(|| anyhow!("nothing was sent"))?;
    (said.lat_ms_p50, said.lat_ms_p99) = (middle(|said| said.lat_ms_p50), middle(|said| said.lat_ms_p99));
    said.ok = all.iter().map(|said| said.ok).sum();
    said.rate = f64::from(said.ok) / began.elapsed().as_secs_f64();
    Ok(said)
}

/// Milliseconds of the day, UTC.
fn day_millis() -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() % 86_400_000)?))
}

/// A self-signed certificate, ECDSA P-256.
pub(super) fn certificate(folder: &Path) -> anyhow::Result<PathBuf> {
    let made = folder.join("tls");
    if !made.join("cert.pem").exists() {
        fs::create_dir_all(&made)?;
        let mut openssl = Command::new("openssl");
        openssl.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 300".split(' '));
        openssl.args(["-subj", "/CN=mail.load.test", "-addext", "subjectAltName=DNS:mail.load.test", "-keyout"]);
        openssl.arg(made.join("key.pem")).arg("-out").arg(made.join("cert.pem"));
        process::output(&mut openssl)?;
    }
    Ok(made)
}

/// What generator and machine can do when the server does nothing.
fn ceiling(bench: &Bench, load: &Load) -> anyhow::Result<(&'static str, f64)> {
    Ok(("generator_into_a_sink", load::ceiling(load, &bench.folder)?))
}

/// What the disk can do: one letter after the other, each overwritten in place and synced.
fn sync_floor(bench: &Bench, load: &Load) -> anyhow::Result<(&'static str, f64)> {
    const ROUNDS: u32 = 2_000;
    const LETTERS: u32 = 200;
    let path = bench.folder.join("floor");
    let letter = vec![b'x'; load.size as usize];
    let mut file = fs::File::create(&path)?;
    for _ in 0..LETTERS {
        file.write_all(&letter)?;
    }
    file.sync_all()?;
    let began = Instant::now();
    for round in 0..ROUNDS {
        file.write_all_at(&letter, u64::from(round % LETTERS) * u64::from(load.size))?;
        file.sync_data()?;
    }
    let rate = f64::from(ROUNDS) / began.elapsed().as_secs_f64();
    fs::remove_file(&path)?;
    Ok(("writes_and_syncs", rate))
}
