//! Changes: `remove` and the like.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use posthouse_admin::queue::{Change, Changed, Filter};
use posthouse_admin::socket::{Answer, Client, Order};
use posthouse_admin::{AdminError, Kind};

use super::super::data::{exit, failure};
use super::super::{Exit, Failure, Printer};
use super::filter::FilterArgs;

/// Letters to change: named by their ids, found by filters, or all of them by --all.
#[derive(clap::Args, Debug)]
pub(super) struct WhichArgs {
    /// The letters by their ids.
    #[arg(value_name = "ID")]
    named: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    /// All letters in the queue.
    #[arg(long)]
    all: bool,
    /// Do not ask before changing what a filter or --all means.
    #[arg(long, short)]
    yes: bool,
}

impl WhichArgs {
    fn filter(self) -> Result<(Filter, bool), Failure> {
        let mut filter = self.filter.filter();
        filter.ids.extend(self.named);
        if filter.is_everything() != self.all {
            let words = if self.all {
                "--all goes with neither ids nor filters"
            } else {
                "which letters? name their ids, give a filter, or say --all"
            };
            return Err(Failure::say(Exit::Usage, words));
        }
        let sure = self.yes || filter.is_ids_alone();
        Ok((filter, sure))
    }
}

pub(super) async fn run(data: &Path, which: WhichArgs, change: Change, printer: &Printer) -> Result<(), Failure> {
    let (filter, sure) = which.filter()?;
    let mut client = connect(data).await?;
    if !sure {
        let count: usize = client.one(Order::QueueCount { filter: filter.clone() }).await.map_err(failure)?;
        if count == 0 {
            return Err(nothing());
        }
        confirm(&format!("{} {count} {}?", change.action(), letters(count)))?;
    }
    let done = change.done();
    client.ask(Order::QueueChange { filter, change }).await.map_err(failure)?;
    let (mut changed, mut failed) = (0_usize, None);
    loop {
        match client.next::<Changed>().await.map_err(failure)? {
            Answer::End { .. } => break,
            Answer::Item(letter) => {
                match &letter.error {
                    None => changed += 1,
                    Some(error) => {
                        printer.line(printer.red(error))?;
                        failed = failed.or(letter.kind);
                    }
                }
                printer.json(&letter)?;
            }
        }
    }
    if changed > 0 {
        printer.line(format_args!("{done} {changed} {}", letters(changed)))?;
    }
    match failed {
        Some(kind) => Err(Failure::silent(exit(kind))),
        None if changed == 0 => Err(nothing()),
        None => Ok(()),
    }
}

/// The running server.
pub(in crate::cli) async fn connect(data: &Path) -> Result<Client, Failure> {
    if !data.is_dir() {
        return Err(failure(AdminError::NoData(data.to_owned())));
    }
    let client = Client::connect(data).await.map_err(failure)?;
    client.ok_or_else(|| failure(AdminError::NotRunning("only its queue can be changed".to_owned())))
}

fn letters(count: usize) -> &'static str {
    if count == 1 { "letter" } else { "letters" }
}

fn nothing() -> Failure {
    Failure::say(exit(Kind::NotFound), "no letter in the queue is meant by that")
}

fn confirm(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::say(Exit::Usage, format_args!("{question} Say --yes (there is no terminal to ask on)")));
    }
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stdin().read_line(&mut answer));
    asked.map_err(|error| Failure::new(Exit::Io, error))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Failure::say(Exit::Usage, "nothing was changed")) }
}
