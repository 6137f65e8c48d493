//! What is known from outside: who was told what, and what arrived where.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use posthouse_runtime::sim::{self, Host};

/// Shared by everybody in a network.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Pages>>);

/// See [`Ledger`].
#[derive(Debug, Default, Clone)]
pub struct Pages {
    /// The servers of ours: who else sends a letter sends it once.
    pub servers: Vec<Host>,
    /// Every letter that a client tried to submit.
    pub submissions: Vec<Submission>,
    /// Every letter that a scripted server has taken, or that lies in a mailbox of ours at the end.
    pub arrivals: Vec<Arrival>,
    /// What a server of ours had not ended when it crashed.
    pub crashes: Vec<Crash>,
    /// What is still queued at the end.
    pub queued: Vec<(String, String)>,
    /// Promises that were seen to be broken on the way.
    pub broken: Vec<String>,
}

/// One attempt to submit a letter; there is one for each.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The letter's name, which is in its envelope, its header and its last line.
    pub marker: String,
    /// The recipients that were accepted.
    pub recipients: Vec<String>,
    /// Its body, as it must arrive.
    pub body: String,
    /// What the client was told after the end of data.
    pub answer: Answer,
}

/// See [`Submission::answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// 250: it is the server's now.
    Taken,
    /// Refused: it must never be seen again.
    Refused,
    /// The connection ended before: it may be seen or not.
    Unknown,
}

/// A letter that came to its end.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Whom it was for.
    pub to: String,
    /// The letter.
    pub data: String,
}

/// What a server of ours had in its queue when it crashed: letters and recipients that had no end yet.
#[derive(Debug, Clone)]
pub struct Crash {
    /// When.
    pub at: Duration,
    /// Which.
    pub host: Host,
    /// The letter's name and the recipient's address.
    pub pending: Vec<(String, String)>,
}

impl Ledger {
    /// The pages.
    ///
    /// # Panics
    /// When somebody panicked while writing.
    pub fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap()
    }

    pub(crate) fn arrived(&self, to: &str, data: &[u8]) {
        let data = String::from_utf8_lossy(data).into_owned();
        sim::note(format!("takes a letter for {to}: {}", name_of(&data).unwrap_or("without a name")));
        self.pages().arrivals.push(Arrival { to: to.to_owned(), data });
    }
}

/// The name of a letter, or of the one that it returns.
pub(crate) fn name_of(data: &str) -> Option<&str> {
    let (_, rest) = data.split_once("X-Sim: ")?;
    rest.split("\r\n").next()
}

/// The name of a letter by one of its envelope's addresses: `m12@from.test`, `alice+m12@a.test`.
pub(crate) fn name_in(address: &str) -> Option<&str> {
    let local = address.split_once('@')?.0;
    let name = local.rsplit('+').next()?;
    let is_name = name.strip_prefix('m').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    is_name.then_some(name)
}
