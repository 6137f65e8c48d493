//! `posthouse try`: a throw-away mail system on this machine, and a letter through it.
//!
//! The server is the same that `posthouse serve` runs, on high ports of the loopback interface, with a name service that knows nothing:
//! nothing can leave this machine. Everything is in one directory, which is removed at the end unless it was named.

mod journey;
mod pop3;
mod show;
mod world;

use std::path::PathBuf;

use posthouse_runtime::log::{self, Level};
use posthouse_runtime::select;
use posthouse_runtime::signals::{Signal, Signals};

use crate::cli::{Exit, Failure, Printer};
use journey::Dialogue;
use world::World;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    /// Stop after the letter was read.
    pub(crate) once: bool,
    /// Keep everything here.
    pub(crate) data: Option<PathBuf>,
    /// Added to the well-known ports.
    pub(crate) port_offset: u16,
    /// The password of both accounts.
    pub(crate) password: Option<String>,
}

/// Starts the system, sends the letter, reads it, and stays until a signal unless it was to be done once.
pub(crate) fn run(options: Options, printer: &Printer) -> Result<(), Failure> {
    // What goes wrong inside must be seen; what goes right is shown below.
    let settings = log::Settings { level: Level::Error, ..log::Settings::default() };
    log::init(&settings).map_err(|error| Failure::new(Exit::Software, error))?;
    let ran = posthouse_runtime::block_on(async {
        let mut signals = Signals::listen().map_err(|error| Failure::new(Exit::Os, error))?;
        let once = options.once;
        let world = select! {
            world = World::start(options) => world?,
            () = ended(&mut signals) => return Ok(()),
        };
        let tried = select! {
            tried = letter(&world, once, printer) => tried,
            () = ended(&mut signals) => Ok(()),
        };
        if tried.is_ok() && !once {
            ended(&mut signals).await;
        }
        world.stop().await;
        tried
    });
    ran.map_err(|error| Failure::new(Exit::Os, error))?
}

/// Sends the letter, reads it, and says how it went.
async fn letter(world: &World, once: bool, printer: &Printer) -> Result<(), Failure> {
    show::started(world, printer)?;
    let dialogue = Dialogue::default();
    let sent = match journey::send(world, &dialogue).await {
        Ok(sent) => sent,
        Err(failure) => {
            // What was said up to there is the best hint at why.
            show::dialogue(&dialogue, printer)?;
            return Err(failure);
        }
    };
    show::sent(world, &sent, &dialogue, printer)?;
    let read = journey::read(world, &sent).await?;
    show::read(&read, printer)?;
    show::report(world, &sent, &dialogue, &read, printer)?;
    if once { Ok(()) } else { show::settings(world, printer) }
}

/// Waits for SIGINT or SIGTERM; a hang-up changes nothing here.
async fn ended(signals: &mut Signals) {
    while signals.next().await != Signal::Terminate {}
}
