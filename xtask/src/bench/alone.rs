//! The rows that are about memory and restarts. They ask for absolute figures; Postfix is measured where it can do the same at all.

use super::Bench;
use super::figures::{Figure, Report, median};
use super::load::{self, Load};
use super::memory::{self, Watch};
use super::servers::{self, Kind, Processes, Running, Setup, Way};
use anyhow::{Context, bail};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

const IDLE: u32 = 10_000;
/// A connection of Postfix is a process: so fewer.
const IDLE_POSTFIX: u32 = 200;
const LARGE_BYTES: u32 = 50 * 1024 * 1024;
const MILLION: u32 = 1_000_000;

/// What an idle connection costs, plain and with TLS.
pub(super) fn idle(bench: &Bench) -> anyhow::Result<Report> {
    let certificate = super::pairs::certificate(&bench.folder)?;
    let setup = Setup { tls: Some(&certificate), ..Setup::way(Way::Hold) };
    let each = |kind, sessions: u32, tls| {
        bench.with("idle", kind, &setup, |server| {
            // What is made once, at the first connection, is not the connections'.
            Load { sessions: 20, letters: 20, per_session: 1, tls, ..Load::default() }.send(&bench.folder)?;
            let before = octets(server);
            let mut load = Load { sessions, tls, ..Load::default() }.hold(&bench.folder, 4)?;
            held(&mut load, sessions)?;
            let kib = memory::mb(octets(server).saturating_sub(before)) * 1e6 / 1024.0 / f64::from(sessions);
            let rss = memory::mb(octets(server));
            load.wait()?;
            Ok(((kib * 10.0).round() / 10.0, rss))
        })
    };
    let (plain, rss) = each(Kind::Posthouse, IDLE, false)?;
    let (tls, rss_tls) = each(Kind::Posthouse, IDLE, true)?;
    let (theirs, _) = each(Kind::Postfix, IDLE_POSTFIX, false)?;
    let what = "10,000 idle connections, KiB each (Postfix: 200, plain)";
    let mut report = Report::alone("idle", what, "≤ 8 KiB plain, ≤ 28 KiB with TLS", plain <= 8.0 && tls <= 28.0);
    report.posthouse = Some(Figure { rss_mb: Some(rss.max(rss_tls)), ..Figure::default() });
    Ok(report.with("plain_kib", plain).with("tls_kib", tls).with("postfix_plain_kib", theirs))
}

/// Of one process what it has, of many what they have without counting twice.
fn octets(server: &Running) -> u64 {
    match server.processes() {
        Processes::Only(id) => memory::resident(id),
        processes @ Processes::Others => memory::shared_once(processes),
    }
}

/// Waits until the generator says that all its sessions stand.
fn held(load: &mut Child, sessions: u32) -> anyhow::Result<()> {
    let mut line = String::new();
    BufReader::new(load.stdout.as_mut().context("the generator's output")?).read_line(&mut line)?;
    let expected = format!("HELD {sessions} of {sessions} ");
    if !line.starts_with(&expected) {
        bail!("not all connections stand: {line}");
    }
    Ok(())
}

/// A letter of 50 MB: in, through the queue, and out again.
pub(super) fn large(bench: &Bench) -> anyhow::Result<Report> {
    let one = |kind| {
        bench.with("large", kind, &Setup::way(Way::Relay), |server| {
            let send = |size| {
                let sink = load::next_hop(&bench.folder, 1)?;
                let load = Load { sessions: 1, size, ..Load::default() };
                let began = Instant::now();
                load.send(&bench.folder)?;
                sink.wait(1)?;
                anyhow::Ok(began.elapsed().as_secs_f64())
            };
            send(10_240)?;
            let before = octets(server);
            if let Processes::Only(id) = server.processes() {
                memory::forget_most(id)?;
            }
            let watch = Watch::start(server.processes());
            let seconds = send(LARGE_BYTES)?;
            let seen = watch.stop();
            let most = if let Processes::Only(id) = server.processes() { memory::mb(memory::resident_most(id)) } else { seen };
            let extra = (most - memory::mb(before)) * 1e6 / 1024.0 / 1024.0;
            Ok(((extra * 10.0).round() / 10.0, Figure { rate: Some(1.0 / seconds), rss_mb: Some(most), ..Figure::default() }))
        })
    };
    let (ours, figure) = one(Kind::Posthouse)?;
    let (theirs, peer) = one(Kind::Postfix)?;
    let what = "a letter of 50 MB: submit, queue, sink; extra memory at its peak";
    let mut report = Report::alone("large", what, "≤ 8 MiB extra", ours <= 8.0);
    (report.posthouse, report.postfix) = (Some(figure), Some(peer));
    Ok(report.with("extra_mib", ours).with("postfix_extra_mib", theirs))
}

/// A million letters in the queue: memory, and a restart after a kill.
pub(super) fn million(bench: &Bench) -> anyhow::Result<Report> {
    let place = bench.fresh("million")?;
    let server = Running::start(Kind::Posthouse, &place, &Setup::way(Way::Hold))?;
    let began = Instant::now();
    Load { letters: MILLION, size: 300, pipelining: true, ..Load::default() }.send(&bench.folder)?;
    let filled = began.elapsed().as_secs_f64();
    let filled_mb = memory::mb(memory::resident(server.id()?));
    server.stop()?;
    let began = Instant::now();
    let server = servers::restart(&place)?;
    let one = Load { sessions: 1, letters: 1, ..Load::default() };
    while one.send(&bench.folder).is_err() {
        if began.elapsed() > Duration::from_secs(120) {
            bail!("no letter is taken after a restart: {}", fs::read_to_string(place.join("log"))?);
        }
        thread::sleep(Duration::from_millis(20));
    }
    let first = began.elapsed().as_secs_f64();
    let full = recovered(&place, began)?;
    let restarted_mb = memory::mb(memory::resident_most(server.id()?));
    server.stop()?;
    fs::remove_dir_all(&place)?;
    let most = filled_mb.max(restarted_mb);
    let met = most * 1e6 <= 350.0 * 1024.0 * 1024.0 && first <= 3.0 && full <= 15.0;
    let bar = "≤ 350 MB resident; restart to the first accepted letter ≤ 3 s, to full service ≤ 15 s";
    let mut report = Report::alone("million", "1,000,000 queued letters, killed and started again", bar, met);
    report.posthouse = Some(Figure { rss_mb: Some(most), ..Figure::default() });
    let tenths = |value: f64| (value * 100.0).round() / 100.0;
    let report = report.with("first_letter_s", tenths(first)).with("full_service_s", tenths(full));
    Ok(report
        .with("resident_filled_mb", tenths(filled_mb))
        .with("resident_restarted_mb", tenths(restarted_mb))
        .with("fill_s", filled.round()))
}

/// What a million letters that wait for another try do to those that come.
pub(super) fn deferred(bench: &Bench) -> anyhow::Result<Report> {
    bench.with("deferred", Kind::Posthouse, &Setup::way(Way::Deferred), |server| {
        let rate = || {
            let load = Load { letters: 12_000, ..Load::default() };
            let rates = (0..bench.pairs).map(|_| Ok(load.send(&bench.folder)?.rate)).collect::<anyhow::Result<Vec<f64>>>()?;
            median(rates).context("no run")
        };
        let empty = rate()?;
        Load { letters: MILLION, size: 300, pipelining: true, ..Load::default() }.send(&bench.folder)?;
        let full = rate()?;
        let ratio = full / empty;
        let what = "durable accept with 1,000,000 letters deferred, beside an empty queue";
        let mut report = Report::alone("deferred", what, "≥ 0.85 of the rate of an empty queue", ratio >= 0.85);
        let rss_mb = Some(memory::mb(memory::resident(server.id()?)));
        report.posthouse = Some(Figure { rate: Some(full), rss_mb, ..Figure::default() });
        Ok(report.with("empty_rate", empty.round()).with("of_empty", (ratio * 1000.0).round() / 1000.0))
    })
}

/// Waits until the server has said that it knows all that it holds.
fn recovered(place: &std::path::Path, began: Instant) -> anyhow::Result<f64> {
    loop {
        let log = fs::read_to_string(place.join("log"))?;
        if log.contains("the spool is open") {
            return Ok(began.elapsed().as_secs_f64());
        }
        if began.elapsed() > Duration::from_secs(120) {
            bail!("the spool is not open: {log}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}
