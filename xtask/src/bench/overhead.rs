//! What it costs to find out who sent a letter, and to sign one: beside Postfix with opendkim, opendmarc and policyd-spf.
//!
//! The letters are really signed and the name server of the world really answers. Both servers write `Authentication-Results` and obey DMARC; of what
//! is submitted ours signs with two keys (RSA and Ed25519), opendkim with one.

mod filters;
mod letters;
mod proof;

use super::Bench;
use super::figures::{Bar, Figure, Report};
use super::memory::Watch;
use super::servers::{self, Kind, Running, Setup, Way};
use filters::Filters;

/// Letters of one run.
const LETTERS: usize = 3_000;
const BAR: Bar = Bar { rate_min: 5.0, cpu_max: Some(1.0 / 5.0), p99_max: None };

/// SPF, DKIM and DMARC of what strangers send.
pub(super) fn verify(bench: &Bench) -> anyhow::Result<Report> {
    let what = "durable accept with SPF, DKIM (RSA-2048) and DMARC verified, 50 connections";
    pairs(bench, "overhead", what, Way::Verified)
}

/// DKIM of what users submit.
pub(super) fn sign(bench: &Bench) -> anyhow::Result<Report> {
    pairs(bench, "overhead-sign", "durable accept of submitted letters, signed, 50 connections", Way::Signed)
}

fn pairs(bench: &Bench, row: &'static str, what: &'static str, way: Way) -> anyhow::Result<Report> {
    let accounts = servers::accounts(&bench.folder)?;
    let folder = bench.fresh("senders")?;
    let world = filters::world(&folder)?;
    let letters = letters::make(&folder, way, LETTERS)?;
    let setup = Setup { way, tls: None, accounts: Some(&accounts) };
    let one = |kind| bench.with(row, kind, &setup, |server| measure(server, &world, way, &letters));
    let mut pairs = Vec::new();
    for _ in 0..bench.pairs {
        pairs.push((one(Kind::Posthouse)?, one(Kind::Postfix)?));
    }
    Ok(Report::of_pairs(row, what, BAR, pairs))
}

fn measure(server: &Running, world: &filters::Names, way: Way, letters: &[Vec<u8>]) -> anyhow::Result<Figure> {
    let _filters = (server.kind() == Kind::Postfix).then(|| Filters::start(world, way)).transpose()?;
    // The first letters pay for what is made once: processes, caches.
    letters::send(way, server.kind(), letters.get(..200).unwrap_or(letters))?;
    proof::of_work(server, way, letters)?;
    let before = server.settled_cpu_seconds();
    let watch = Watch::start(server.processes());
    let sent = letters::send(way, server.kind(), letters)?;
    let most = watch.stop();
    let cpu = server.settled_cpu_seconds() - before;
    let count = f64::from(u32::try_from(letters.len())?);
    Ok(Figure {
        rate: Some(sent.rate),
        cpu_s_per_1000: Some(cpu / count * 1000.0),
        p50_ms: Some(sent.p50),
        p99_ms: Some(sent.p99),
        rss_mb: Some(most),
        ..Figure::default()
    })
}
