//! `list`, `summary`, `show`.

use std::path::Path;

use posthouse_admin::AdminError;
use posthouse_admin::queue::{Filter, QueuedInfo, QueuedLetter, QueuedState, Summary, SuspensionInfo};
use posthouse_admin::socket::{Answer, Order};
use posthouse_journal::Reader;
use posthouse_runtime::log::one_line;

use super::super::data::failure;
use super::super::{Failure, Printer};
use super::{Source, text};

pub(super) async fn list(source: &mut Source, filter: Filter, limit: usize, printer: &Printer) -> Result<(), Failure> {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let is_filtered = !filter.is_everything();
    let mut shown = 0;
    let mut show = |info: &QueuedInfo| {
        if shown == 0 {
            let head = format!("{:26}  {:10} {:>5} {:>5}  {:19}  {}", "ID", "STATE", "AGE", "SIZE", "NEXT (UTC)", "FROM → TO");
            printer.line(printer.bold(&head))?;
        }
        shown += 1;
        line(info, printer)
    };
    let more = match source {
        Source::Running(client) => {
            client.ask(Order::QueueList { filter, limit: Some(limit) }).await.map_err(failure)?;
            loop {
                match client.next::<QueuedInfo>().await.map_err(failure)? {
                    Answer::Item(info) => show(&info)?,
                    Answer::End { more } => break more,
                }
            }
        }
        Source::Stopped(view) => {
            let mut listing = view.list(&filter).map_err(failure)?;
            let mut left = limit;
            'all: loop {
                let batch = listing.next().await.map_err(failure)?;
                if batch.is_empty() {
                    break false;
                }
                for info in batch {
                    if left == 0 {
                        break 'all true;
                    }
                    left -= 1;
                    show(&info)?;
                }
            }
        }
    };
    if more {
        printer.line(printer.dim(&format!("there are more than {limit}: see --limit and the filters")))?;
    } else if shown == 0 {
        printer.line(if is_filtered { "no letter waits that is meant by that" } else { "no letter waits" })?;
    }
    Ok(())
}

fn line(info: &QueuedInfo, printer: &Printer) -> Result<(), Failure> {
    let to = match info.waiting.saturating_sub(1) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let state = format!("{:10}", state(info.state));
    let state = if info.state == QueuedState::Held { printer.red(&state) } else { state };
    let (age, size, next) = (text::age(info.age), text::size(info.size), text::time(&info.next));
    let addresses = format!("{} → {}{to}", text::sender(&info.from), info.to.first().map_or("", String::as_str));
    printer.line(format_args!("{}  {state} {age:>5} {size:>5}  {next:19}  {}", info.id, one_line(&addresses)))?;
    if let Some(reason) = &info.reason {
        printer.line(printer.dim(&format!("{:28}{}", "", one_line(reason))))?;
    }
    printer.json(info)
}

fn state(state: QueuedState) -> &'static str {
    match state {
        QueuedState::New => "new",
        QueuedState::Deferred => "deferred",
        QueuedState::Held => "held",
        QueuedState::Delivering => "delivering",
    }
}

pub(super) async fn summary(source: &mut Source, printer: &Printer) -> Result<(), Failure> {
    let summary: Summary = match source {
        Source::Running(client) => client.one(Order::QueueSummary).await.map_err(failure)?,
        Source::Stopped(view) => view.summary().await.map_err(failure)?,
    };
    for line in table(&summary, printer) {
        printer.line(line)?;
    }
    printer.json(&summary)
}

/// `example.net is suspended by alice since 2026-11-24 03:12:09 until …: reason`
pub(in crate::cli) fn suspended(suspension: &SuspensionInfo) -> String {
    let SuspensionInfo { destination, since, until, by, reason } = suspension;
    let what = destination.as_deref().unwrap_or("everything");
    let mut line = format!("{} is suspended by {} since {}", one_line(what), one_line(by), text::time(since));
    if let Some(until) = until {
        line.push_str(&format!(" until {}", text::time(until)));
    }
    if let Some(reason) = reason {
        line.push_str(&format!(": {}", one_line(reason)));
    }
    line
}

/// The summary as lines.
pub(in crate::cli) fn table(summary: &Summary, printer: &Printer) -> Vec<String> {
    let mut lines = vec![format!("{} letters, {} octets", summary.letters, text::size(summary.octets))];
    lines.extend(summary.suspensions.iter().map(|suspension| printer.red(&suspended(suspension))));
    if summary.destinations.is_empty() {
        return lines;
    }
    let head = format!(
        "{:32} {:9} {:>8} {:>6} {:>6}  {:19}  {}",
        "DESTINATION", "STATE", "LETTERS", "SIZE", "OLDEST", "NEXT (UTC)", "LAST ERROR"
    );
    lines.push(printer.bold(&head));
    lines.extend(summary.destinations.iter().map(|place| {
        let next = place.next.as_deref().map(text::time).unwrap_or_default();
        let reason = place.reason.as_deref().map(one_line).unwrap_or_default();
        let line = format!(
            "{:32} {:9} {:>8} {:>6} {:>6}  {next:19}  {reason}",
            one_line(&place.destination),
            place.state,
            place.letters,
            text::size(place.octets),
            text::age(place.age)
        );
        line.trim_end().to_owned()
    }));
    lines
}

pub(super) async fn show(source: &mut Source, data: &Path, id: String, printer: &Printer) -> Result<(), Failure> {
    let letter: Result<QueuedLetter, AdminError> = match source {
        Source::Running(client) => client.one(Order::QueueShow { id }).await,
        Source::Stopped(view) => view.show(&id, &Reader::new(&data.join("journal.sqlite"))).await,
    };
    let letter = letter.map_err(failure)?;
    for line in details(&letter, printer) {
        printer.line(line)?;
    }
    printer.json(&letter)
}

fn details(letter: &QueuedLetter, printer: &Printer) -> Vec<String> {
    let info = &letter.info;
    let mut lines = vec![printer.bold(&format!("letter {}", info.id)), format!("  {}", one_line(&letter.why))];
    let mut what = format!("  from {}, {} octets, {}", one_line(text::sender(&info.from)), info.size, state(info.state));
    if info.priority != 0 {
        what.push_str(&format!(", priority {}", info.priority));
    }
    if let Some(via) = &info.via {
        what.push_str(&format!(", redirected to {}", one_line(via)));
    }
    lines.push(what);
    let mut came = format!("  came {} on {}", text::time(&info.arrived), letter.listener);
    for (word, value) in [("from", &letter.peer), ("as", &letter.helo), ("by", &letter.account), ("envelope id", &letter.envid)] {
        if let Some(value) = value {
            came.push_str(&format!(", {word} {}", one_line(value)));
        }
    }
    lines.push(came);
    lines.push(printer.bold("recipients"));
    for recipient in &letter.recipients {
        let mut line = format!("  {:9} {}", recipient.state, one_line(&recipient.address));
        if recipient.attempts > 0 {
            line.push_str(&format!(", attempts: {}", recipient.attempts));
        }
        if let Some(next) = &recipient.next {
            line.push_str(&format!(", next {}", text::time(next)));
        }
        lines.push(line);
        lines.extend(recipient.reason.as_ref().map(|reason| printer.dim(&format!("            {}", one_line(reason)))));
    }
    lines.push(printer.bold("header"));
    // A folded line may begin with a tab.
    lines.extend(letter.header.iter().map(|line| format!("  {}", one_line(&line.replace('\t', "    ")))));
    lines.push(printer.bold("timeline"));
    lines.extend(letter.timeline.iter().map(|entry| format!("  {}  {}", printer.dim(&text::time(&entry.at)), entry.text)));
    lines
}
