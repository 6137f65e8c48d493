//! `cargo xtask bench growth`: how rate and memory follow the length of the queue and the number of connections.

use super::Bench;
use super::load::Load;
use super::memory;
use super::plot::{self, Line, Panel};
use super::servers::{Kind, Setup, Way};
use std::fs;

const LENGTHS: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
const CONNECTIONS: [u32; 5] = [1, 10, 100, 1_000, 10_000];
/// Letters of one measurement.
const LETTERS: u32 = 10_000;
const PLOT: &str = "docs/design/performance-growth.svg";

/// One line of the table.
struct Step {
    x: u32,
    rate: f64,
    mb: f64,
}

/// Measures, prints the table, and writes the plot.
pub(super) fn run(bench: &Bench) -> anyhow::Result<()> {
    let queue = lengths(bench)?;
    print("letters queued", &queue);
    let connections = connections(bench)?;
    print("connections", &connections);
    let line = |name, steps: &[Step], part: fn(&Step) -> f64| Line {
        name,
        points: steps.iter().map(|step| (f64::from(step.x), part(step))).collect(),
    };
    let panels = [
        Panel { title: "letters accepted a second", lines: both(line, &queue, &connections, |step| step.rate) },
        Panel { title: "resident memory, MB", lines: both(line, &queue, &connections, |step| step.mb) },
    ];
    fs::write(PLOT, plot::svg(&panels))?;
    println!("{PLOT} is written");
    Ok(())
}

fn both(
    line: impl Fn(&'static str, &[Step], fn(&Step) -> f64) -> Line,
    queue: &[Step],
    connections: &[Step],
    part: fn(&Step) -> f64,
) -> Vec<Line> {
    vec![line("by letters queued", queue, part), line("by connections", connections, part)]
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

fn print(what: &str, steps: &[Step]) {
    println!("| {what} | letters/s | MB |\n|---|---|---|");
    for step in steps {
        println!("| {} | {:.0} | {:.0} |", step.x, step.rate, step.mb);
    }
    println!();
}
