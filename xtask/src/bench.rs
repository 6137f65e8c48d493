//! `cargo xtask bench`: accept and relay beside a tuned Postfix, in a world of their own on this machine's disk.
//!
//! Fair as far as one machine allows: the same letters from the same generator, both servers in turn (A B A B), a fresh
//! spool each time, delivery held on both where acceptance is measured, and both sync before they answer. Generator and
//! server share the processors, so CPU seconds per 1,000 letters are the steadier figure. The generator and the sink
//! are C programs from outside the repository (`smtpload.c`, `smtpsinkd.c`); without them the bench says so.

mod figures;
mod servers;

use crate::{peers, process};
use anyhow::{Context, bail};
use figures::{Figure, Report};
use servers::{Kind, Running};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is measured.
struct Row {
    name: &'static str,
    what: &'static str,
    sessions: u32,
    letters: u32,
    /// 0: all over the same connection.
    per_session: u32,
    relay: bool,
}

const ROWS: [Row; 4] = [
    Row { name: "accept", what: "100 connections kept open", sessions: 100, letters: 8_000, per_session: 0, relay: false },
    Row { name: "accept-one", what: "one connection kept open", sessions: 1, letters: 3_000, per_session: 0, relay: false },
    Row {
        name: "accept-new",
        what: "100 at a time, a new connection each",
        sessions: 100,
        letters: 4_000,
        per_session: 1,
        relay: false,
    },
    Row { name: "relay", what: "100 connections in, on to a sink", sessions: 100, letters: 4_000, per_session: 0, relay: true },
];

/// Octets of a letter.
const SIZE: u32 = 10_240;

/// What was asked for.
struct Options {
    json: bool,
    row: Option<String>,
    pairs: usize,
}

impl Options {
    fn parse(words: &[String]) -> anyhow::Result<Options> {
        let mut options = Options { json: false, row: None, pairs: 3 };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--json" => options.json = true,
                "--row" => options.row = Some(words.next().context("--row wants a name")?.clone()),
                "--pairs" => options.pairs = words.next().context("--pairs wants a number")?.parse()?,
                other => bail!("there is no option {other}; `cargo xtask help` lists them"),
            }
        }
        let known = |name: &String| ROWS.iter().any(|row| row.name == name);
        if options.row.as_ref().is_some_and(|name| !known(name)) {
            bail!("the rows are {}", ROWS.map(|row| row.name).join(", "));
        }
        Ok(options)
    }
}

/// Builds what is needed and measures inside a world.
pub(crate) fn run(words: &[String]) -> anyhow::Result<()> {
    Options::parse(words)?;
    let peers = match peers::fetch(peers::Install::Allowed)? {
        peers::State::Ready(root) => root,
        peers::State::Missing(why) => bail!("Postfix is needed: {why}"),
    };
    tools(&folder())?;
    process::run(process::cargo().args(["build", "--release", "--quiet", "--package", "posthouse"]))?;
    let scratch = folder().join("scratch");
    std::fs::create_dir_all(&scratch)?;
    let mut world = Command::new("xtask/world.sh");
    world.arg(peers).arg(scratch).arg(std::env::current_exe()?).arg("bench-inside").args(words);
    process::run(&mut world)
}

fn folder() -> PathBuf {
    process::target().join("bench")
}

/// Builds the generator and the sink, unless they are there.
fn tools(folder: &Path) -> anyhow::Result<()> {
    let sources = std::env::var_os("POSTHOUSE_BENCH_TOOLS").map_or_else(|| PathBuf::from("../shared/perf"), PathBuf::from);
    std::fs::create_dir_all(folder)?;
    for (name, libraries) in [("smtpload", ["-lssl", "-lcrypto"].as_slice()), ("smtpsinkd", &[])] {
        let (source, program) = (sources.join(name).with_extension("c"), folder.join(name));
        if program.exists() {
            continue;
        }
        if !source.exists() {
            bail!("no {}: set POSTHOUSE_BENCH_TOOLS to the folder that has smtpload.c and smtpsinkd.c", source.display());
        }
        let mut gcc = Command::new("gcc");
        gcc.args(["-O2", "-w", "-o"]).arg(&program).arg(&source).args(libraries);
        process::run(&mut gcc).context("building the generator wants gcc and libssl-dev")?;
    }
    Ok(())
}

/// Measures, as the first process of a world.
pub(crate) fn run_inside(words: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(words)?;
    let rows = ROWS.iter().filter(|row| options.row.as_deref().is_none_or(|name| name == row.name));
    for row in rows {
        let mut pairs = Vec::new();
        for pair in 0..options.pairs {
            let ours = measure(row, Kind::Posthouse, pair)?;
            pairs.push((ours, measure(row, Kind::Postfix, pair)?));
        }
        let report = Report::new(row.name, row.what, pairs);
        println!("{}", if options.json { report.json() } else { report.text() });
    }
    Ok(())
}

fn measure(row: &Row, kind: Kind, pair: usize) -> anyhow::Result<Figure> {
    let place = folder().join(format!("{}-{kind}-{pair}", row.name));
    if place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    let server = Running::start(kind, &place, row.relay)?;
    let figure = figures::measure(&server, row, &folder(), SIZE).with_context(|| format!("{} with {kind}", row.name));
    server.stop()?;
    std::fs::remove_dir_all(&place)?;
    figure
}
