//! `posthouse reference`: the parts of the manual that are made from the program itself.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _, ValueEnum};

use posthouse_admin::AlarmName;

use super::{Cli, Failure, Printer};
use crate::config::Config;

/// Print a part of the manual, as it stands in docs/book/reference.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Examples:\n  posthouse reference config > docs/book/reference/config.md\n  posthouse reference cli > docs/book/reference/cli.md"
)]
pub(crate) struct Args {
    /// Which part.
    part: Part,
}

#[derive(ValueEnum, Debug, Clone, Copy)]
enum Part {
    /// The settings of the configuration file.
    Config,
    /// The JSON schema of the configuration file, for editors.
    Schema,
    /// The commands.
    Cli,
    /// The numbers for Prometheus.
    Metrics,
    /// What can be wrong, and what to do.
    Alarms,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let text = match args.part {
        Part::Config => config(),
        Part::Schema => posthouse_config::reference::json_schema::<Config>(),
        Part::Cli => commands(),
        Part::Alarms => alarms(),
        Part::Metrics => crate::serve::metrics::reference(),
    };
    printer.raw(text.as_bytes())
}

fn config() -> String {
    let mut text = String::from("# The configuration file\n\n<!-- Made by `posthouse reference config`. -->\n\n");
    text.push_str(&posthouse_config::reference::markdown::<Config>());
    text
}

fn alarms() -> String {
    let mut text = String::from("# The alarms\n\n<!-- Made by `posthouse reference alarms`. -->\n\n");
    text.push_str("| Name | It is one when | What to do |\n|---|---|---|\n");
    for name in AlarmName::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{name}` | {} | {} |", name.means(), name.remedy());
    }
    text
}

fn commands() -> String {
    let mut text = String::from("# The commands\n\n<!-- Made by `posthouse reference cli`. -->\n");
    let mut root = Cli::command().term_width(100);
    root.build();
    command(&mut text, root);
    text
}

fn command(text: &mut String, mut of: Command) {
    let name = of.get_bin_name().unwrap_or(of.get_name()).to_owned();
    let help = of.render_long_help().to_string();
    // Lines that clap leaves for a blank column would be trailing white space.
    let help = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## `{name}`\n\n```text\n{}\n```\n", help.trim_end());
    for sub in of.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        command(text, sub.clone().term_width(100));
    }
}
