//! What was measured, what several runs say together, and whether a bar is met.

#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::{Map, Value};

/// What one server gave in one run. What a row does not measure is not there.
#[derive(Serialize, Clone, Copy, Default)]
pub(super) struct Figure {
    /// Letters (or recipients) a second.
    pub(super) rate: Option<f64>,
    /// CPU seconds of the server for 1,000 of them, what it does afterwards included.
    pub(super) cpu_s_per_1000: Option<f64>,
    /// CPU seconds of the generators for 1,000, where they have much to do: the rest of the processors is all that a server can have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) generator_cpu_s_per_1000: Option<f64>,
    /// From MAIL to the reply after the end of data.
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    /// The memory of all its processes at its largest; what they share is counted once.
    pub(super) rss_mb: Option<f64>,
}

/// What a row asks for; the limits are ratios, ours to Postfix's.
#[derive(Clone, Copy)]
pub(super) struct Bar {
    pub(super) rate_min: f64,
    pub(super) cpu_max: Option<f64>,
    pub(super) p99_max: Option<f64>,
}

impl Bar {
    fn text(self) -> String {
        let mut text = format!("rate ≥ {} ×", self.rate_min);
        for (what, max) in [("CPU", self.cpu_max), ("p99", self.p99_max)] {
            if let Some(max) = max {
                text.push_str(&format!(", {what} ≤ 1/{:.0}", 1.0 / max));
            }
        }
        text
    }

    fn met(self, rate: Option<f64>, cpu: Option<f64>, p99: Option<f64>) -> bool {
        let within = |value: Option<f64>, max: Option<f64>| max.is_none_or(|max| value.is_some_and(|value| value <= max));
        rate.is_some_and(|rate| rate >= self.rate_min) && within(cpu, self.cpu_max) && within(p99, self.p99_max)
    }
}

/// One row of the table, and one object of `--json`.
#[derive(Serialize, Default)]
pub(super) struct Report {
    pub(super) row: &'static str,
    pub(super) what: &'static str,
    pub(super) posthouse: Option<Figure>,
    pub(super) postfix: Option<Figure>,
    pub(super) rate_ratio: Option<f64>,
    pub(super) cpu_ratio: Option<f64>,
    pub(super) p99_ratio: Option<f64>,
    pub(super) bar: String,
    pub(super) met: Option<bool>,
    /// What this row alone measures.
    #[serde(flatten)]
    pub(super) more: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) pairs: Vec<(Figure, Figure)>,
}

impl Report {
    /// Several pairs of runs: the ratios are medians of the pairs' ratios.
    pub(super) fn of_pairs(row: &'static str, what: &'static str, bar: Bar, pairs: Vec<(Figure, Figure)>) -> Report {
        let ratio = |part: fn(&Figure) -> Option<f64>| {
            median(pairs.iter().filter_map(|(ours, theirs)| Some(part(ours)? / part(theirs)?)).collect())
        };
        let (rate_ratio, cpu_ratio, p99_ratio) = (ratio(|f| f.rate), ratio(|f| f.cpu_s_per_1000), ratio(|f| f.p99_ms));
        Report {
            row,
            what,
            posthouse: Some(middle(&pairs, |pair| pair.0)),
            postfix: Some(middle(&pairs, |pair| pair.1)),
            rate_ratio,
            cpu_ratio,
            p99_ratio,
            bar: bar.text(),
            met: Some(bar.met(rate_ratio, cpu_ratio, p99_ratio)),
            more: Map::new(),
            pairs,
        }
    }

    /// A row that is about Posthouse alone.
    pub(super) fn alone(row: &'static str, what: &'static str, bar: &str, met: bool) -> Report {
        Report { row, what, bar: bar.to_owned(), met: Some(met), ..Report::default() }
    }

    /// Adds a figure of the row's own.
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Report {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// The lines of the table.
    pub(super) fn text(&self) -> String {
        let met = match self.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "",
        };
        let mut text = format!("{:<10}  {}\n", self.row, self.what);
        for (name, figure) in [("Posthouse", &self.posthouse), ("Postfix", &self.postfix)] {
            let Some(f) = figure else { continue };
            let cells = [(f.rate, 0), (f.cpu_s_per_1000, 4), (f.p50_ms, 2), (f.p99_ms, 2), (f.rss_mb, 1)];
            text.push_str(&line(name, &cells));
        }
        if self.rate_ratio.is_some() {
            text.push_str(&line(
                "ratio",
                &[(self.rate_ratio, 2), (self.cpu_ratio, 3), (None, 0), (self.p99_ratio, 3), (None, 0)],
            ));
        }
        for (name, value) in &self.more {
            text.push_str(&format!("            {}: {value}\n", name.replace('_', " ")));
        }
        text.push_str(&format!("            bar: {}: {met}\n", self.bar));
        text
    }
}

/// The head of the table.
pub(super) fn heading() -> String {
    format!("{:<10}  {:<10}{:>11}{:>13}{:>10}{:>10}{:>10}", "row", "", "1/s", "CPU s/1,000", "p50 ms", "p99 ms", "MB")
}

fn line(name: &str, cells: &[(Option<f64>, usize)]) -> String {
    let mut line = format!("            {name:<10}");
    for ((cell, digits), width) in cells.iter().zip([11, 13, 10, 10, 10]) {
        line.push_str(&cell.map_or_else(|| format!("{:>width$}", "–"), |cell| format!("{cell:>width$.digits$}")));
    }
    line.push('\n');
    line
}

/// The medians of one side of the pairs.
fn middle(pairs: &[(Figure, Figure)], side: fn(&(Figure, Figure)) -> Figure) -> Figure {
    let of = |part: fn(&Figure) -> Option<f64>| median(pairs.iter().filter_map(|pair| part(&side(pair))).collect());
    Figure {
        rate: of(|f| f.rate),
        cpu_s_per_1000: of(|f| f.cpu_s_per_1000),
        generator_cpu_s_per_1000: of(|f| f.generator_cpu_s_per_1000),
        p50_ms: of(|f| f.p50_ms),
        p99_ms: of(|f| f.p99_ms),
        rss_mb: of(|f| f.rss_mb),
    }
}

/// The middle of the values; none of none.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied()?;
    if values.len().is_multiple_of(2) { Some((upper + values.get(middle - 1).copied()?) / 2.0) } else { Some(upper) }
}
