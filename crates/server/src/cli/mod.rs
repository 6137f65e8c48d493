//! The command line.
//!
//! One file per command: it holds the command's `Args` (documented for `--help`) and a `run` that does it, prints with [`print`], and
//! fails with a [`Failure`] that carries its exit code (sysexits). To add a command, add its file, a variant of [`Command`] and a
//! line in [`Command::run`].

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod account;
mod alarms;
mod alias;
mod check;
mod check_config;
mod data;
mod domain;
mod dsn;
mod exit;
mod live;
mod logins;
mod mail;
mod mailboxes;
mod password;
mod print;
mod probe;
mod queue;
mod reference;
mod reports;
mod reputation;
mod restart;
mod send;
mod sendmail;
mod serve;
mod shell;
mod status;
mod talk;
mod tls;
mod trace;
mod try_it;
mod verify;
mod watch;
mod whole;

pub(crate) use exit::{Exit, Failure};
pub(crate) use print::Printer;

/// The whole of e-mail over SMTP in one binary.
#[derive(Parser, Debug)]
#[command(name = "posthouse", version, max_term_width = 110, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "\
Examples:
  posthouse try                                     (a whole mail system to play with, in seconds)
  posthouse send --server smtps://alice@mail.example.org --to bob@example.net --text Hello
  posthouse serve --config /etc/posthouse/posthouse.toml
  posthouse trace bob@example.net")]
pub(crate) struct Cli {
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Send(Box<send::Args>),
    Sendmail(sendmail::Args),
    Probe(probe::Args),
    Try(try_it::Args),
    Serve(serve::Args),
    CheckConfig(check_config::Args),
    Check(check::Args),
    Domain(domain::Args),
    Account(account::Args),
    Alias(alias::Args),
    Logins(logins::Args),
    Reports(reports::Args),
    Mail(mail::Args),
    Restart(restart::Args),
    Status(status::Args),
    Alarms(alarms::Args),
    Tls(tls::Args),
    Watch(watch::Args),
    Queue(queue::Args),
    Trace(trace::Args),
    Verify(verify::Args),
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
    #[command(hide = true)]
    Reference(reference::Args),
}

impl Command {
    fn run(self, printer: &Printer) -> Result<(), Failure> {
        match self {
            Self::Serve(args) => serve::run(args, printer),
            Self::Send(args) => send::run(*args, printer),
            Self::Sendmail(args) => sendmail::run(&args, printer),
            Self::Probe(args) => probe::run(args, printer),
            Self::Try(args) => try_it::run(args, printer),
            Self::Check(args) => check::run(args, printer),
            Self::CheckConfig(args) => check_config::run(args, printer),
            Self::Domain(args) => domain::run(args, printer),
            Self::Account(args) => account::run(args, printer),
            Self::Alias(args) => alias::run(args, printer),
            Self::Logins(args) => logins::run(args, printer),
            Self::Reports(args) => reports::run(args, printer),
            Self::Mail(args) => mail::run(args, printer),
            Self::Restart(args) => restart::run(args, printer),
            Self::Status(args) => status::run(args, printer),
            Self::Alarms(args) => alarms::run(args, printer),
            Self::Tls(args) => tls::run(args, printer),
            Self::Watch(args) => watch::run(&args, printer),
            Self::Queue(args) => queue::run(args, printer),
            Self::Trace(args) => trace::run(args, printer),
            Self::Verify(args) => verify::run(args, printer),
            Self::Completions(args) => shell::completions(&args, printer),
            Self::Man(args) => shell::man(&args, printer),
            Self::Reference(args) => reference::run(args, printer),
        }
    }
}

/// Reads the arguments, does what they ask, and says how it went.
pub(crate) fn run() -> ExitCode {
    if let Some(done) = as_sendmail() {
        return done;
    }
    let cli = match Cli::try_parse_from(send::spelled(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody may be there to read it; the exit code says it too.
            let _ = error.print();
            // Help and the version are asked for and go to standard output; anything else is a wrong use.
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() };
        }
    };
    let printer = Printer::new(cli.json);
    ended(cli.command.run(&printer), &printer)
}

/// Under the names of sendmail's programs the binary is those.
fn as_sendmail() -> Option<ExitCode> {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let name = words.next()?;
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    let printer = Printer::new(false);
    let done = sendmail::by_name(&name, &words.collect::<Vec<_>>(), &printer)?;
    Some(ended(done, &printer))
}

fn ended(done: Result<(), Failure>, printer: &Printer) -> ExitCode {
    match done {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            printer.failure(&failure);
            failure.exit().into()
        }
    }
}

#[cfg(test)]
mod tests;
