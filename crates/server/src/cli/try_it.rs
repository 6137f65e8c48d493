//! `posthouse try`.

use std::path::PathBuf;

use super::{Failure, Printer};
use crate::try_it::Options;

/// Try the whole: a throw-away mail system on this machine, with a letter sent through it.
///
/// Needs no rights, no configuration and no network. Starts a server for `example.test` with the accounts alice and bob on loopback,
/// sends a letter from alice to bob, reads it back over POP3, prints what a mail client needs to join in, and stays up until Ctrl-C.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  posthouse try\n  posthouse try --once && echo it works\n  posthouse try --data ./mail --password secret --port-offset 10000"
)]
pub(crate) struct Args {
    /// Stop after the letter was read: exit code 0 if it was.
    #[arg(long)]
    once: bool,
    /// Keep everything in this directory (default: a new one in the temporary directory, removed at the end).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Listen on 25, 110, 465, 587 and 995 plus this number.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u16).range(..=64540))]
    port_offset: u16,
    /// The password of both accounts (default: a random one each).
    #[arg(long, value_name = "PASSWORD")]
    password: Option<String>,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let Args { once, data, port_offset, password } = args;
    crate::try_it::run(Options { once, data, port_offset, password }, printer)
}
