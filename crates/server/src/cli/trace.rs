//! `posthouse trace`.

use posthouse_admin::{Timeline, Trace};

use super::data::{DataArgs, block_on};
use super::{Exit, Failure, Printer};

/// What happened to a letter, and why.
///
/// Works while the server runs. Times are UTC. Exit code 67 when nothing is known.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse trace 01KAS2Y8QH0000000000000000        (the id in the server's 250 reply and in `Received`)
  posthouse trace bob@example.org                   (every letter from or to an address, and its logins)
  posthouse trace '<20261124.7@client.example>'     (the Message-ID)
  posthouse trace bob@example.org --json")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// The id of a letter, an address, or a Message-ID.
    #[arg(value_name = "ID|ADDRESS|MESSAGE-ID")]
    key: String,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let admin = args.data.open()?;
    let trace = block_on(admin.trace(&args.key))?;
    show(&trace, printer)?;
    if !trace.timelines.is_empty() {
        return Ok(());
    }
    if printer.is_json() {
        return Err(Failure::silent(Exit::NoUser));
    }
    let key = posthouse_runtime::log::one_line(&args.key);
    Err(Failure::say(Exit::NoUser, format_args!("the journal knows nothing of `{key}`")))
}

fn show(trace: &Trace, printer: &Printer) -> Result<(), Failure> {
    for (place, timeline) in trace.timelines.iter().enumerate() {
        if place > 0 {
            printer.line("")?;
        }
        show_timeline(timeline, printer)?;
    }
    printer.json(trace)
}

fn show_timeline(timeline: &Timeline, printer: &Printer) -> Result<(), Failure> {
    match &timeline.letter {
        Some(letter) => printer.line(printer.bold(&format!("letter {letter}")))?,
        None => printer.line(printer.bold("without a letter"))?,
    }
    let mut day = "";
    for entry in &timeline.entries {
        // `2026-11-24T03:12:09.120Z`
        let (date, time) = entry.at.split_once('T').unwrap_or(("", &entry.at));
        if date != day {
            printer.line(printer.dim(&format!("  {date}")))?;
            day = date;
        }
        printer.line(format_args!("  {}  {}", printer.dim(time.trim_end_matches('Z')), entry.text))?;
    }
    Ok(())
}
