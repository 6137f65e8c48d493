//! The running server: opens the parts, wires them, and keeps them until a signal ends it.

use std::path::Path;

use crate::cli::{Exit, Failure, Printer};
use crate::config::Config;

pub(crate) fn run(config: &Path, printer: &Printer) -> Result<(), Failure> {
    let config: Config = posthouse_config::load(config).map_err(|error| Failure::new(Exit::Config, error))?;
    printer.line(format_args!("{}", config.hostname))
}
