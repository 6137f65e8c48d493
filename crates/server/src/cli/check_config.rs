//! `posthouse check-config`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use serde::Serialize;

use posthouse_config::ConfigError;

use super::data::config_file;
use super::{Exit, Failure, Printer};
use crate::config::Config;

/// Check a configuration without starting anything: exit code 78 and the mistake if there is one.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse check-config
  posthouse check-config /etc/posthouse/posthouse.toml && systemctl reload posthouse
  posthouse check-config posthouse.toml --json")]
pub(crate) struct Args {
    /// The file [default: posthouse.toml here, then /etc/posthouse/posthouse.toml].
    file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Checked<'a> {
    file: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    help: &'a [String],
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let path = config_file(args.file.as_ref())?;
    let checked = Checked { file: path.display().to_string(), ok: true, line: None, column: None, message: None, help: &[] };
    match Config::load(&path) {
        Ok(_) => {
            printer.line(format_args!("{}: ok", checked.file))?;
            printer.json(&checked)
        }
        Err(error) if printer.is_json() => {
            let checked = match &error {
                ConfigError::Mistake(mistake) => Checked {
                    ok: false,
                    line: Some(mistake.line),
                    column: Some(mistake.column),
                    message: Some(mistake.message.clone()),
                    help: &mistake.help,
                    ..checked
                },
                ConfigError::Read { .. } | _ => Checked { ok: false, message: Some(error.to_string()), ..checked },
            };
            printer.json(&checked)?;
            Err(Failure::silent(Exit::Config))
        }
        Err(error) => {
            let mut stderr = io::stderr().lock();
            let colour = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
            // Nobody may be there to read it; the exit code says it too.
            let _ = writeln!(stderr, "{}", error.render(colour));
            Err(Failure::silent(Exit::Config))
        }
    }
}
