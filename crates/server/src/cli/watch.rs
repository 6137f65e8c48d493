//! `posthouse watch`.

use std::collections::HashMap;
use std::time::Instant;

use posthouse_admin::{CountStatus, Status};
use posthouse_runtime::clock;

use super::data::DataArgs;
use super::queue::{Seen, head, see, table};
use super::{Failure, Printer, live};

/// Watch the running server: what comes in, what is refused and why, verdicts, deliveries, log-ins, and what waits where, as it moves.
///
/// Each kind of event is shown with how many there were since the start and, while it moves, how many there are in a second. The same numbers are on the `metrics` listener. With --json one
/// line is printed every second.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  posthouse watch\n  posthouse watch --json | jq .status.counts")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> Result<(), Failure> {
    let data = args.data.directory()?;
    let mut rates = Rates::default();
    live::show(printer, "`posthouse status`", || see(&data), |seen| page(seen, &mut rates, printer))
}

fn page(seen: &Seen, rates: &mut Rates, printer: &Printer) -> Vec<String> {
    let mut lines = vec![head(&seen.status, printer), String::new()];
    lines.extend(rates.lines(&seen.status, clock::now(), printer));
    lines.push(String::new());
    lines.extend(table(&seen.summary, printer));
    lines
}

/// The counters of the look before.
#[derive(Default)]
struct Rates {
    at: Option<Instant>,
    before: HashMap<(String, String), u64>,
}

impl Rates {
    /// A line for each kind of event that there was: `refusals    recipient 12 (0.5/s)  sender 3`.
    fn lines(&mut self, status: &Status, now: Instant, printer: &Printer) -> Vec<String> {
        let seconds = self.at.map(|at| now.duration_since(at).as_secs_f64()).filter(|seconds| *seconds > 0.0);
        let mut lines: Vec<(String, Vec<String>)> = Vec::new();
        for count in status.counts.iter().filter(|count| count.count > 0) {
            let words = self.words(count, seconds, printer);
            match lines.last_mut() {
                Some((name, of)) if *name == count.name => of.push(words),
                _ => lines.push((count.name.clone(), vec![words])),
            }
        }
        self.at = Some(now);
        self.before = status.counts.iter().map(|count| (key(count), count.count)).collect();
        if lines.is_empty() {
            return vec!["nothing has come yet".to_owned()];
        }
        lines.into_iter().map(|(name, of)| format!("{:18}{}", name.replace('_', " "), of.join("  "))).collect()
    }

    fn words(&self, count: &CountStatus, seconds: Option<f64>, printer: &Printer) -> String {
        let before = self.before.get(&key(count)).copied().unwrap_or_default();
        // A server that was started again begins at zero.
        let fresh = u32::try_from(count.count.saturating_sub(before)).unwrap_or(u32::MAX);
        let told = if count.value.is_empty() { count.count.to_string() } else { format!("{} {}", count.value, count.count) };
        match seconds {
            Some(seconds) if fresh > 0 => format!("{told} {}", printer.bold(&format!("({:.1}/s)", f64::from(fresh) / seconds))),
            _ => told,
        }
    }
}

fn key(count: &CountStatus) -> (String, String) {
    (count.name.clone(), count.value.clone())
}
