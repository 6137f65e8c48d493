//! One run of the generator against one server, and what several runs say together.

#[cfg(test)]
mod tests;

use super::Row;
use super::servers::{PORT, Running, SINK_PORT};
use crate::process;
use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What one run gave.
#[derive(Serialize, Clone, Copy)]
pub(super) struct Figure {
    /// Letters a second.
    rate: f64,
    /// CPU seconds of the server for 1,000 letters, what it does afterwards included.
    cpu_per_1000: f64,
    /// From the end of data to the reply.
    p50_ms: f64,
    p99_ms: f64,
}

/// The line of the generator.
#[derive(Deserialize)]
struct Said {
    ok: u32,
    rate: f64,
    lat_ms_p50: f64,
    lat_ms_p99: f64,
    err: String,
}

/// Sends the letters of the row and waits until the server has nothing more to do.
pub(super) fn measure(server: &Running, row: &Row, tools: &Path, size: u32) -> anyhow::Result<Figure> {
    let sink = row.relay.then(|| sink(tools, row.letters)).transpose()?;
    let before = server.cpu_seconds()?;
    let began = Instant::now();
    let said = generate(tools, row, size)?;
    let mut rate = said.rate;
    if let Some(sink) = sink {
        let output = sink.wait_with_output()?;
        if !output.status.success() {
            bail!("the sink: {}", String::from_utf8_lossy(&output.stderr));
        }
        rate = f64::from(row.letters) / began.elapsed().as_secs_f64();
    }
    let cpu = server.settled_cpu_seconds()? - before;
    Ok(Figure { rate, cpu_per_1000: cpu / f64::from(row.letters) * 1000.0, p50_ms: said.lat_ms_p50, p99_ms: said.lat_ms_p99 })
}

fn sink(tools: &Path, letters: u32) -> anyhow::Result<std::process::Child> {
    let mut sink = Command::new(tools.join("smtpsinkd"));
    sink.args(["-p", &SINK_PORT.to_string(), "-n", &letters.to_string(), "-w", "60"]);
    let child = sink.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    super::servers::listening(SINK_PORT, Duration::from_secs(5))?;
    Ok(child)
}

fn generate(tools: &Path, row: &Row, size: u32) -> anyhow::Result<Said> {
    let mut load = Command::new(tools.join("smtpload"));
    let numbers =
        [("-p", u32::from(PORT)), ("-s", row.sessions), ("-m", row.letters), ("-k", row.per_session), ("-l", size), ("-r", 1)];
    for (flag, number) in numbers {
        load.args([flag, &number.to_string()]);
    }
    let line = process::output(load.args(["-f", "a@load.test", "-t", "b@sink.test"]))?;
    let said: Said = serde_json::from_str(line.trim()).context("the line of the generator")?;
    if said.ok != row.letters {
        bail!("{} of {} letters were taken: {}", said.ok, row.letters, said.err);
    }
    Ok(said)
}

/// Several pairs of runs, ours and Postfix's.
#[derive(Serialize)]
pub(super) struct Report {
    row: &'static str,
    what: &'static str,
    posthouse: Figure,
    postfix: Figure,
    /// Medians of the ratios of the pairs, ours to Postfix's.
    ratios: Figure,
    pairs: Vec<(Figure, Figure)>,
}

impl Report {
    pub(super) fn new(row: &'static str, what: &'static str, pairs: Vec<(Figure, Figure)>) -> Report {
        let over = |choose: fn(&(Figure, Figure)) -> Figure| {
            let of = |part: fn(&Figure) -> f64| median(pairs.iter().map(|pair| part(&choose(pair))).collect());
            Figure {
                rate: of(|f| f.rate),
                cpu_per_1000: of(|f| f.cpu_per_1000),
                p50_ms: of(|f| f.p50_ms),
                p99_ms: of(|f| f.p99_ms),
            }
        };
        let ratio = |(ours, theirs): &(Figure, Figure)| Figure {
            rate: ours.rate / theirs.rate,
            cpu_per_1000: ours.cpu_per_1000 / theirs.cpu_per_1000,
            p50_ms: ours.p50_ms / theirs.p50_ms,
            p99_ms: ours.p99_ms / theirs.p99_ms,
        };
        let (posthouse, postfix, ratios) = (over(|pair| pair.0), over(|pair| pair.1), over(ratio));
        Report { row, what, posthouse, postfix, ratios, pairs }
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        let line = |name: &str, f: &Figure, digits: usize| {
            format!("  {name:<10} {:>10.digits$} {:>12.3} {:>9.2} {:>9.2}", f.rate, f.cpu_per_1000, f.p50_ms, f.p99_ms)
        };
        format!(
            "{}: {}; medians of {} pairs\n  {:<10} {:>10} {:>12} {:>9} {:>9}\n{}\n{}\n{}",
            self.row,
            self.what,
            self.pairs.len(),
            "",
            "letters/s",
            "CPU s/1,000",
            "p50 ms",
            "p99 ms",
            line("Posthouse", &self.posthouse, 0),
            line("Postfix", &self.postfix, 0),
            line("ratio", &self.ratios, 2),
        )
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied().unwrap_or(f64::NAN);
    if values.len().is_multiple_of(2) {
        (upper + values.get(middle.wrapping_sub(1)).copied().unwrap_or(f64::NAN)) / 2.0
    } else {
        upper
    }
}
