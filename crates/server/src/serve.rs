//! The running server: opens the parts, wires them, and keeps them until a signal ends it.
//!
//! [`Server`] is the whole of it, and is used by `posthouse try` too. It holds no mail logic. A part that cannot be opened stops the
//! start with the reason; nothing is left half running.

mod alarms;
mod dane;
mod listen;
mod local;
mod maildrop;
pub(crate) mod metrics;
mod otlp;
mod parts;
mod promise;
mod pulse;
mod reporter;
mod server;
mod told;
mod web;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Serialize;
use tracing::{error, info, warn};

use posthouse_runtime::service::{self, Manager, Prepared};
use posthouse_runtime::signals::{Signal, Signals};
use posthouse_runtime::sync::mpsc;
use posthouse_runtime::{clock, log, select};

use crate::cli::{Exit, Failure, Printer};
use crate::config::{Config, Kind};
use crate::sandbox::{self, Confined, Hold, Reach};

use self::listen::Handed;
use self::pulse::Pulse;

pub(crate) use parts::{acme_store, certificate_files};
pub(crate) use server::{Server, Start, hostname, policy};

/// How often certificates are read again without being asked: renewals happen behind our back, and those of our own authority end.
const RENEW_EVERY: Duration = Duration::from_hours(24);

/// What is printed for each listener once it takes connections.
#[derive(Serialize)]
struct Ready {
    ready: Kind,
    address: String,
}

/// Where the server comes from: its program and its configuration.
struct Place<'a> {
    program: PathBuf,
    file: &'a Path,
}

impl Place<'_> {
    /// What a server with this configuration touches.
    fn reach(&self, config: &Config) -> Reach {
        let mut reach = config.reach(Reach::usual(&self.program, self.file));
        reach.socket(&local::place(config));
        maildrop::place(config).iter().for_each(|folder| reach.write(folder));
        reach
    }
}

/// Runs the server until SIGTERM or SIGINT, or until another process has taken over.
pub(crate) fn run(path: &Path, printer: &Printer) -> Result<(), Failure> {
    let os = |error| Failure::new(Exit::Os, error);
    // By its name as it is now: after an update there is another program under that.
    let program = std::env::current_exe().map_err(os)?;
    let (handed, predecessor) = match service::predecessor().map_err(os)? {
        Some((predecessor, sockets)) => (Handed::Inherited(sockets), Some(predecessor)),
        None => (Handed::Activated(service::handed_over().map_err(os)?), None),
    };
    let config = Config::load(path).map_err(|error| Failure::new(Exit::Config, error))?;
    let place = Place { program, file: path };
    // A rule is about what is there; a successor cannot make what its predecessor may not touch.
    if predecessor.is_none() {
        parts::make_data(&config.data)?;
    }
    let confined = sandbox::confine(&config.sandbox, place.reach(&config), predecessor.is_some())?;
    let log = log::init(&config.log).map_err(|error| Failure::new(Exit::Software, error))?;
    let ran = posthouse_runtime::block_on(async {
        // Before anything else: from here on a hang-up no longer kills.
        let mut signals = Signals::listen().map_err(|error| Failure::new(Exit::Os, error))?;
        let (restarts, mut asked) = mpsc::channel(1);
        report(&confined);
        let sandbox = Some(confined.hold.clone());
        let start = Start { resolver: None, handed, predecessor, restarts: Some(restarts), sandbox };
        let mut server = Server::start(config, start).await?;
        for (kind, address) in server.listening() {
            printer.line(format_args!("ready {kind} {address}"))?;
            printer.json(&Ready { ready: *kind, address: address.to_string() })?;
        }
        let manager = Manager::from_env();
        manager.ready();
        let mut pulse = Pulse::new(&manager);
        let mut renew_at = clock::now() + RENEW_EVERY;
        let successor = loop {
            select! {
                signal = signals.next() => match signal {
                    Signal::Terminate => break None,
                    Signal::Hangup => {
                        manager.reloading();
                        reload(&mut server, &place, &confined, &log);
                        manager.ready();
                    }
                    Signal::Restart => if let Ok(successor) = replace(&server, &place, &confined, &manager).await {
                        break Some(successor);
                    },
                },
                Some(answer) = asked.recv() => {
                    let replaced = replace(&server, &place, &confined, &manager).await;
                    // Who asked may not wait for the answer.
                    let _ = answer.send(replaced.as_ref().map(|successor| successor.pid).map_err(Clone::clone));
                    if let Ok(successor) = replaced {
                        break Some(successor);
                    }
                }
                () = clock::sleep_until(renew_at) => {
                    renew_at = clock::now() + RENEW_EVERY;
                    if let Err(error) = server.renew() {
                        error!(%error, "the certificates were not renewed; the old ones stay");
                    }
                }
                () = pulse.due() => pulse.beat(&server).await,
            }
        };
        if successor.is_none() {
            manager.stopping();
        }
        select! {
            () = server.stop() => Ok(()),
            () = terminated(&mut signals) => Err(Failure::say(Exit::TempFail, "stopped at once by a second signal")),
            () = pulse.last() => Ok(()),
        }
    });
    ran.map_err(|error| Failure::new(Exit::Os, error))?
}

/// Has a new process of this program, with the same arguments, take over; `Err` says why this one goes on.
async fn replace(server: &Server, place: &Place<'_>, confined: &Confined, manager: &Manager) -> Result<Prepared, String> {
    info!(program = %place.program.display(), "a new process is to take over");
    let mut command = Command::new(&place.program);
    command.args(std::env::args_os().skip(1)).envs(confined.told());
    let handed = if std::process::id() == 1 {
        Err(io::Error::other("this process is the first of its container, which ends with it; start the container again"))
    } else {
        server.hand_over(command).await
    };
    match handed {
        Ok(successor) => {
            manager.succeeded_by(successor.pid);
            info!(%successor, "it waits for this one to end");
            Ok(successor)
        }
        Err(why) => {
            error!(%why, "no other process takes over; this one goes on");
            Err(why.to_string())
        }
    }
}

fn report(confined: &Confined) {
    match &confined.hold {
        hold @ Hold::Not(_) => warn!(sandbox = %hold, "this process may touch every file that its user may"),
        hold @ (Hold::Whole | Hold::Partly | Hold::Inherited) => {
            info!(sandbox = %hold, "this process may touch what it needs, and no other files")
        }
    }
}

/// Waits for another SIGTERM or SIGINT; what is accepted is stored, so there is no harm in not waiting for the deadline.
async fn terminated(signals: &mut Signals) {
    while signals.next().await != Signal::Terminate {}
}

/// SIGHUP: takes the new configuration whole or not at all.
fn reload(server: &mut Server, place: &Place<'_>, confined: &Confined, log: &log::Handle) {
    let config = match Config::load(place.file) {
        Ok(config) => config,
        Err(mistake) => {
            error!("the configuration was not reloaded, the old one stays: {mistake}");
            return;
        }
    };
    if let Err(error) = confined.allows(&place.reach(&config)) {
        error!(%error, "the configuration was not reloaded, the old one stays");
        return;
    }
    let level = config.log.level;
    match server.reload(config) {
        Ok(()) => {
            log.set_level(level);
            info!("the configuration was reloaded: certificates, limits, our MTA-STS policy and the level of the log");
        }
        Err(error) => error!(%error, "the configuration was not reloaded, the old one stays"),
    }
}
