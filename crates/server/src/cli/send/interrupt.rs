//! Who interrupts a command is told what became of its letters.

use posthouse_runtime::signals::{Signal, Signals, hangup_is_ignored};

use crate::cli::{Exit, Failure};

/// The signals that ask for an end: Ctrl-C, `kill`, and a terminal that is closed, unless `nohup` was in front of the command.
pub(super) struct Interrupts {
    signals: Signals,
    hangup_is_ignored: bool,
}

impl Interrupts {
    /// From now on they do not kill the process.
    pub(super) fn listen() -> Result<Self, Failure> {
        let hangup_is_ignored = hangup_is_ignored();
        let signals = Signals::listen().map_err(|error| Failure::new(Exit::Os, error))?;
        Ok(Self { signals, hangup_is_ignored })
    }

    /// Waits for the next. Cancel-safe.
    pub(super) async fn next(&mut self) {
        while self.signals.next().await == Signal::Hangup && self.hangup_is_ignored {}
    }
}
