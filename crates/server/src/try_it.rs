//! `posthouse try`: a throw-away mail system and a letter through it.

use std::path::PathBuf;

use crate::cli::{Failure, Printer};

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) once: bool,
    pub(crate) data: Option<PathBuf>,
    pub(crate) port_offset: u16,
    pub(crate) password: Option<String>,
}

pub(crate) fn run(options: Options, printer: &Printer) -> Result<(), Failure> {
    printer.line(format_args!("{options:?}"))
}
