//! `posthouse check`.

use std::path::PathBuf;

use posthouse_admin::{CheckReport, check};
use posthouse_runtime::log::one_line;

use super::data::{DataArgs, failure};
use super::{Exit, Failure, Printer};

/// Check the data directory: every record of the queue, the databases, the files of stored mail.
///
/// Nothing is changed. Best on a stopped server; beside a running one a record that is just being written may be reported.
/// Exit code 65 when something is damaged.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:\n  posthouse check\n  posthouse check --data /var/lib/posthouse --salvage /tmp/saved")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Write what is left of damaged letters in the queue into this directory: ID.eml, with ID.envelope beside it.
    #[arg(long, value_name = "DIR")]
    salvage: Option<PathBuf>,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let report = check(&args.data.directory()?, args.salvage.as_deref()).map_err(failure)?;
    for line in lines(&report, printer) {
        printer.line(line)?;
    }
    printer.json(&report)?;
    if report.problems.is_empty() { Ok(()) } else { Err(Failure::silent(Exit::Data)) }
}

fn lines(report: &CheckReport, printer: &Printer) -> Vec<String> {
    let CheckReport { letters, torn, mailboxes, messages, problems, salvaged } = report;
    let mut lines = vec![format!("{letters} letters in the queue, {messages} messages in {mailboxes} mailboxes")];
    if *torn > 0 {
        lines.push(format!("{torn} records at the end of the log were being written when the server last ended; nobody was told that they were stored"));
    }
    for problem in problems {
        lines.push(printer.red(&format!("{}: {}", problem.part, one_line(&problem.what))));
        lines.push(format!("  {}", problem.advice));
    }
    for letter in salvaged {
        lines.push(format!("{}: {}", letter.file.display(), letter.notes.join("; ")));
    }
    lines.push(if problems.is_empty() { printer.green("all is sound") } else { format!("{} problems", problems.len()) });
    lines
}
