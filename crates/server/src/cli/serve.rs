//! `posthouse serve`.

use std::path::PathBuf;

use super::{Failure, Printer};

/// Run the server in the foreground.
///
/// Logs go to standard error. SIGHUP reads the configuration again (certificates, limits, log level) and keeps the old one if the
/// new one is wrong; SIGTERM and SIGINT stop the server in order.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  posthouse serve --config /etc/posthouse/posthouse.toml\n  posthouse check-config /etc/posthouse/posthouse.toml && kill -HUP $(pidof posthouse)"
)]
pub(crate) struct Args {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "/etc/posthouse/posthouse.toml", env = "POSTHOUSE_CONFIG")]
    config: PathBuf,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    crate::serve::run(&args.config, printer)
}
