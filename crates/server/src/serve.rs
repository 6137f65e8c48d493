//! The running server: opens the parts, wires them, and keeps them until a signal ends it.
//!
//! [`Server`] is the whole of it, and is used by `posthouse try` too. It holds no mail logic. A part that cannot be opened stops the
//! start with the reason; nothing is left half running.

mod listen;
mod local;
mod maildrop;
mod parts;
mod pulse;
mod reporter;
mod server;
mod web;

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use tracing::{error, info};

use posthouse_runtime::service::{self, Manager};
use posthouse_runtime::signals::{Signal, Signals};
use posthouse_runtime::{clock, log, select};

use crate::cli::{Exit, Failure, Printer};
use crate::config::{Config, Kind};

use self::pulse::Pulse;

pub(crate) use server::{Server, hostname, policy};

/// How often certificates are read again without being asked: renewals happen behind our back, and those of our own authority end.
const RENEW_EVERY: Duration = Duration::from_hours(24);

/// What is printed for each listener once it takes connections.
#[derive(Serialize)]
struct Ready {
    ready: Kind,
    address: String,
}

/// Runs the server until SIGTERM or SIGINT.
pub(crate) fn run(path: &Path, printer: &Printer) -> Result<(), Failure> {
    let handed = service::handed_over().map_err(|error| Failure::new(Exit::Os, error))?;
    let config = Config::load(path).map_err(|error| Failure::new(Exit::Config, error))?;
    let log = log::init(&config.log).map_err(|error| Failure::new(Exit::Software, error))?;
    let ran = posthouse_runtime::block_on(async {
        // Before anything else: from here on a hang-up no longer kills.
        let mut signals = Signals::listen().map_err(|error| Failure::new(Exit::Os, error))?;
        let mut server = Server::start(config, None, handed).await?;
        for (kind, address) in server.listening() {
            printer.line(format_args!("ready {kind} {address}"))?;
            printer.json(&Ready { ready: *kind, address: address.to_string() })?;
        }
        let manager = Manager::from_env();
        manager.ready();
        let mut pulse = Pulse::new(&manager);
        let mut renew_at = clock::now() + RENEW_EVERY;
        loop {
            select! {
                signal = signals.next() => match signal {
                    Signal::Terminate => break,
                    Signal::Hangup => {
                        manager.reloading();
                        reload(&mut server, path, &log);
                        manager.ready();
                    }
                },
                () = clock::sleep_until(renew_at) => {
                    renew_at = clock::now() + RENEW_EVERY;
                    if let Err(error) = server.renew() {
                        error!(%error, "the certificates were not renewed; the old ones stay");
                    }
                }
                () = pulse.due() => pulse.beat(&server).await,
            }
        }
        manager.stopping();
        select! {
            () = server.stop() => Ok(()),
            () = terminated(&mut signals) => Err(Failure::say(Exit::TempFail, "stopped at once by a second signal")),
            () = pulse.last() => Ok(()),
        }
    });
    ran.map_err(|error| Failure::new(Exit::Os, error))?
}

/// Waits for another SIGTERM or SIGINT; what is accepted is stored, so there is no harm in not waiting for the deadline.
async fn terminated(signals: &mut Signals) {
    while signals.next().await != Signal::Terminate {}
}

/// SIGHUP: takes the new configuration whole or not at all.
fn reload(server: &mut Server, path: &Path, log: &log::Handle) {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(mistake) => {
            error!("the configuration was not reloaded, the old one stays: {mistake}");
            return;
        }
    };
    let level = config.log.level;
    match server.reload(config) {
        Ok(()) => {
            log.set_level(level);
            info!("the configuration was reloaded: certificates, limits, our MTA-STS policy and the level of the log");
        }
        Err(error) => error!(%error, "the configuration was not reloaded, the old one stays"),
    }
}
