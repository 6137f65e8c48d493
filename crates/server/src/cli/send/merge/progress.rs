//! How far a merge is, on a terminal.

use std::io::{self, IsTerminal as _, Write as _};

use posthouse_runtime::clock;

use crate::cli::Printer;

/// A line on the terminal that says how far it is.
pub(super) struct Progress {
    shown: bool,
    total: usize,
    done: usize,
    begun: std::time::Instant,
}

impl Progress {
    pub(super) fn new(total: usize, printer: &Printer) -> Self {
        // Where the results go to the terminal too, they are progress enough.
        let shown = io::stderr().is_terminal() && (printer.is_json() || !io::stdout().is_terminal());
        Self { shown, total, done: 0, begun: clock::now() }
    }

    /// One more is sent, and so many were sent before.
    pub(super) fn step(&mut self, skipped: usize) {
        self.done += 1;
        if self.shown {
            let seconds = clock::now().duration_since(self.begun).as_secs_f64().max(0.001);
            let left = self.total.saturating_sub(self.done + skipped);
            let rate = f64::from(u32::try_from(self.done).unwrap_or(u32::MAX)) / seconds;
            let eta = f64::from(u32::try_from(left).unwrap_or(u32::MAX)) / rate;
            // Nobody may be there to read it.
            let _ =
                write!(io::stderr(), "\r{} of {}, {rate:.0} a second, {eta:.0} s left \x1b[K", self.done + skipped, self.total);
        }
    }

    /// So many were sent before, and that was all.
    pub(super) fn end(&self, skipped: usize) {
        if self.shown {
            let _ = writeln!(io::stderr(), "\r{} sent, {} sent before \x1b[K", self.done, skipped);
        }
    }
}
