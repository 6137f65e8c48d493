//! Signals of the system.

use std::io;

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT or SIGTERM: come to an end.
    Terminate,
    /// SIGHUP: read the configuration again.
    Hangup,
    /// SIGUSR2: have another process take over.
    Restart,
}

/// Whether whoever started this process wanted it to live on when its terminal is closed, as nohup(1) does. To be asked before [`Signals::listen`], which takes the signal over.
#[must_use]
pub fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored =
        status.lines().find_map(|line| line.strip_prefix("SigIgn:")).and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    // proc(5): a bit for each signal, the lowest for number 1, which is SIGHUP.
    ignored.is_some_and(|set| set & 1 == 1)
}

/// The signals of this process from the moment of [`Signals::listen`] on; several of one kind may arrive as one.
#[derive(Debug)]
pub struct Signals {
    interrupt: Stream,
    terminate: Stream,
    hangup: Stream,
    restart: Stream,
}

impl Signals {
    /// Takes the signals over from the system, whose own way with them is to kill the process.
    ///
    /// # Errors
    /// The system refuses the handler.
    ///
    /// # Panics
    /// Outside [`crate::block_on`].
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            restart: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next signal. Cancel-safe.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Terminate,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Hangup,
            _ = self.restart.recv() => Signal::Restart,
        }
    }
}
