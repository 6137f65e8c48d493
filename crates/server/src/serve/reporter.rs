//! How the server is, for `posthouse status`.

use std::sync::Arc;

use posthouse_admin::{ConnectionsStatus, MemoryStatus, QueueStatus, Status};
use posthouse_journal::Journal;
use posthouse_mail::UnixMillis;
use posthouse_queue::Queue;
use posthouse_runtime::gate::Gate;
use posthouse_runtime::sync::watch;
use posthouse_runtime::{clock, memory};

use super::listen::Contexts;
use super::parts::Parts;
use crate::config::Config;

/// Knows where to look.
pub(super) struct Reporter {
    hostname: String,
    started: UnixMillis,
    queue: Queue,
    journal: Journal,
    contexts: watch::Receiver<Arc<Contexts>>,
}

impl Reporter {
    pub(super) fn new(config: &Config, parts: &Parts, contexts: watch::Receiver<Arc<Contexts>>) -> Self {
        let started = UnixMillis(clock::unix_millis());
        let (queue, journal) = (parts.queue.clone(), parts.journal.clone());
        Self { hostname: config.hostname.clone(), started, queue, journal, contexts }
    }

    pub(super) fn status(&self) -> Status {
        let contexts = Arc::clone(&self.contexts.borrow());
        let smtp = &contexts.smtp;
        let refusing = if smtp.memory.is_reached() {
            Some("the limit of memory is reached".to_owned())
        } else {
            self.queue.check().err().map(|error| error.to_string())
        };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            hostname: self.hostname.clone(),
            started: self.started.to_string(),
            uptime: UnixMillis(clock::unix_millis()).since(self.started).as_secs(),
            refusing,
            connections: vec![connections("smtp", &smtp.gate), connections("pop3", contexts.pop3.gate())],
            queue: QueueStatus { letters: self.queue.len() },
            memory: MemoryStatus { resident: memory::resident(), max: smtp.settings.memory_max.bytes() },
            journal_lost: self.journal.lost(),
        }
    }
}

fn connections(protocol: &str, gate: &Gate) -> ConnectionsStatus {
    let (max, per_address_max) = gate.limits();
    ConnectionsStatus { protocol: protocol.to_owned(), open: gate.open(), max, per_address_max }
}
