//! `cargo xtask bench`: Posthouse beside a tuned Postfix, in a world of their own on this machine's disk.
//!
//! Fair as far as one machine allows: the same letters from the same generator, both servers in turn (A B A B), a fresh
//! spool each time, delivery held on both where acceptance is measured, and both sync before they answer. Generator and
//! server share the processors, so CPU seconds per 1,000 letters are the steadier figure. The generator and the sink
//! are C programs from outside the repository (`smtpload.c`, `smtpsinkd.c`); without them the bench says so.

mod alone;
mod figures;
mod flood;
mod growth;
mod load;
mod memory;
mod overhead;
mod pairs;
mod plot;
mod servers;
mod spread;

use crate::{peers, process};
use anyhow::{Context, bail};
use figures::Report;
use servers::{Kind, Running, Setup};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is measured.
struct Row {
    name: &'static str,
    measure: fn(&Bench) -> anyhow::Result<Report>,
}

const ROWS: [Row; 14] = [
    Row { name: "accept", measure: |bench| pairs::run(bench, &pairs::ACCEPT) },
    Row { name: "accept-new", measure: |bench| pairs::run(bench, &pairs::ACCEPT_NEW) },
    Row { name: "accept-one", measure: |bench| pairs::run(bench, &pairs::ACCEPT_ONE) },
    Row { name: "relay", measure: |bench| pairs::run(bench, &pairs::RELAY) },
    Row { name: "fanout", measure: |bench| pairs::run(bench, &pairs::FANOUT) },
    Row { name: "deliver", measure: |bench| pairs::run(bench, &pairs::DELIVER) },
    Row { name: "starttls", measure: |bench| pairs::run(bench, &pairs::STARTTLS) },
    Row { name: "idle", measure: alone::idle },
    Row { name: "large", measure: alone::large },
    Row { name: "million", measure: alone::million },
    Row { name: "deferred", measure: alone::deferred },
    Row { name: "flood", measure: flood::run },
    Row { name: "overhead", measure: overhead::verify },
    Row { name: "overhead-sign", measure: overhead::sign },
];

/// What was asked for.
struct Options {
    json: bool,
    row: Option<String>,
    pairs: usize,
    /// Instead of the rows: how figures grow.
    growth: bool,
}

impl Options {
    fn parse(words: &[String]) -> anyhow::Result<Options> {
        let mut options = Options { json: false, row: None, pairs: 3, growth: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "growth" => options.growth = true,
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

/// Where a measurement works.
struct Bench {
    pairs: usize,
    /// On the disk that is measured; the tools are there too.
    folder: PathBuf,
}

impl Bench {
    /// Lets a server run in a fresh place while something is measured.
    fn with<T>(
        &self,
        row: &str,
        kind: Kind,
        setup: &Setup<'_>,
        measure: impl FnOnce(&Running) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let place = self.fresh(&format!("{row}-{kind}"))?;
        let server = Running::start(kind, &place, setup)?;
        let measured = measure(&server).with_context(|| format!("{row} with {kind}"));
        server.stop()?;
        std::fs::remove_dir_all(&place)?;
        measured
    }

    /// An empty place.
    fn fresh(&self, name: &str) -> anyhow::Result<PathBuf> {
        let place = self.folder.join(name);
        if place.exists() {
            std::fs::remove_dir_all(&place)?;
        }
        Ok(place)
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
    let bench = Bench { pairs: options.pairs.max(1), folder: folder() };
    if options.growth {
        return growth::run(&bench);
    }
    if !options.json {
        println!("{}", figures::heading());
    }
    for row in ROWS.iter().filter(|row| options.row.as_deref().is_none_or(|name| name == row.name)) {
        let report = (row.measure)(&bench)?;
        println!("{}", if options.json { report.json()? } else { report.text() });
    }
    Ok(())
}
