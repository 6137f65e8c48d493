//! `cargo xtask bench growth`: how rate and memory follow the length of the queue, the number of connections and that of destinations.

use super::Bench;
use super::load::{self, Load};
use super::memory;
use super::plot::{self, Line, Panel};
use super::servers::{Kind, Setup, Way};
use super::spread;
use std::fs;
use std::time::Instant;

const LENGTHS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
const CONNECTIONS: [u32; 5] = [1, 10, 100, 1_000, 10_000];
const DESTINATIONS: [u32; 3] = [1, 100, 10_000];
/// Letters of one measurement.
const LETTERS: u32 = 10_000;
const PLOT: &str = "docs/design/performance-growth.svg";

/// One line of the table.
struct Step {
    x: u32,
    rate: f64,
    mb: f64,
}

/// What grows, and what came of it.
struct Growth {
    name: &'static str,
    what: &'static str,
    steps: Vec<Step>,
}

/// Measures, prints the tables, and writes the plot.
pub(super) fn run(bench: &Bench) -> anyhow::Result<()> {
    let measured = |name, what, steps| {
        let growth = Growth { name, what, steps };
        growth.print();
        growth
    };
    let all = [
        measured("by connections", "connections; accepted", connections(bench)?),
        measured("by destinations", "destinations; accepted and relayed", destinations(bench)?),
        measured("by letters queued", "letters queued; accepted", lengths(bench)?),
    ];
    let lines = |part: fn(&Step) -> f64| all.iter().map(|growth| growth.line(part)).collect();
    let panels = [
        Panel { title: "letters a second", lines: lines(|step| step.rate) },
        Panel { title: "resident memory, MB", lines: lines(|step| step.mb) },
    ];
    fs::write(PLOT, plot::svg(&panels))?;
    println!("{PLOT} is written");
    Ok(())
}

impl Growth {
    fn line(&self, part: fn(&Step) -> f64) -> Line {
        Line { name: self.name, points: self.steps.iter().map(|step| (f64::from(step.x), part(step))).collect() }
    }

    fn print(&self) {
        println!("| {} | letters/s | MB |\n|---|---|---|", self.what);
        for step in &self.steps {
            println!("| {} | {:.0} | {:.0} |", step.x, step.rate, step.mb);
        }
        println!();
    }
}

/// Fills one queue further and further.
fn lengths(bench: &Bench) -> anyhow::Result<Vec<Step>> {
    bench.with("growth", Kind::Posthouse, &Setup::way(Way::Hold), |server| {
        let mut steps = Vec::new();
        let mut queued = 0;
        for x in LENGTHS {
            if x > queued {
                let small = Load { letters: x - queued, size: 300, pipelining: true, ..Load::default() };
                small.send(&bench.folder)?;
            }
            let rate = Load { letters: LETTERS, ..Load::default() }.send(&bench.folder)?.rate;
            queued = x.max(queued) + LETTERS;
            steps.push(Step { x, rate, mb: memory::mb(memory::resident(server.id()?)) });
        }
        Ok(steps)
    })
}

/// A fresh server for each number.
fn connections(bench: &Bench) -> anyhow::Result<Vec<Step>> {
    let one = |x: u32| {
        bench.with("growth", Kind::Posthouse, &Setup::way(Way::Hold), |server| {
            let letters = if x == 1 { LETTERS / 4 } else { LETTERS.max(2 * x) };
            let rate = Load { letters, sessions: x, ..Load::default() }.send(&bench.folder)?.rate;
            Ok(Step { x, rate, mb: memory::mb(memory::resident_most(server.id()?)) })
        })
    };
    CONNECTIONS.into_iter().map(one).collect()
}

/// Letters to more and more domains, on to one sink, each number with a fresh server.
fn destinations(bench: &Bench) -> anyhow::Result<Vec<Step>> {
    let one = |x: u32| {
        bench.with("growth", Kind::Posthouse, &Setup::way(Way::Relay), |server| {
            let sink = load::next_hop(&bench.folder, LETTERS)?;
            let began = Instant::now();
            spread::send(LETTERS, x)?;
            sink.wait(LETTERS)?;
            let rate = f64::from(LETTERS) / began.elapsed().as_secs_f64();
            Ok(Step { x, rate, mb: memory::mb(memory::resident_most(server.id()?)) })
        })
    };
    DESTINATIONS.into_iter().map(one).collect()
}
