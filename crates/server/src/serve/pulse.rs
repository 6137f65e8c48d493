//! Telling the service manager that we live, and how.

use std::time::{Duration, Instant};

use posthouse_runtime::clock;
use posthouse_runtime::service::Manager;

use super::Server;

/// How often the status is told when no watchdog asks for more.
const EVERY: Duration = Duration::from_secs(30);

/// When the manager is next told. Without a manager that is never.
pub(super) struct Pulse<'a> {
    manager: &'a Manager,
    every: Duration,
    next: Instant,
}

impl<'a> Pulse<'a> {
    pub(super) fn new(manager: &'a Manager) -> Self {
        Self { manager, every: manager.watchdog().unwrap_or(EVERY).min(EVERY), next: clock::now() }
    }

    /// Waits until it is time. Cancel-safe.
    pub(super) async fn due(&self) {
        if self.manager.listens() { clock::sleep_until(self.next).await } else { std::future::pending().await }
    }

    /// Tells that we live, when every thread that serves connections still takes its turn: the watchdog is for the day when one does not.
    pub(super) async fn beat(&mut self, server: &Server) {
        if clock::timeout(self.every, server.turn()).await.is_ok() {
            self.manager.alive(&server.status());
        } else {
            tracing::error!("a thread that serves connections is stuck; the watchdog is not told that we live");
        }
        self.next = clock::now() + self.every;
    }

    /// Goes on telling while the server stops, which has a deadline of its own. Never returns.
    pub(super) async fn last(&mut self) {
        loop {
            self.manager.alive("stopping");
            self.next = clock::now() + self.every;
            self.due().await;
        }
    }
}
