//! `posthouse completions` and `posthouse man`: what a shell and man(1) want, from the declarations of the commands themselves.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Exit, Failure, Printer};

/// Print what a shell needs to complete commands and options.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse completions bash > /etc/bash_completion.d/posthouse
  posthouse completions zsh > ~/.zfunc/_posthouse
  posthouse completions fish > ~/.config/fish/completions/posthouse.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Write the manual pages into a folder.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder, made if it is not there.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(crate) fn completions(args: &CompletionsArgs, printer: &Printer) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "posthouse", &mut script);
    printer.raw(&script)
}

pub(crate) fn man(args: &ManArgs, printer: &Printer) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::say(Exit::CannotCreate, format_args!("{}: {error}", args.folder.display()));
    fs::create_dir_all(&args.folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), &args.folder).map_err(failed)?;
    printer.line(format_args!("written to {}", args.folder.display()))
}
