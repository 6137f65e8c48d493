//! Whether a data directory is whole: spool, directory, journal and every mailbox. Nothing is changed. Of a spool that is written
//! meanwhile the moment may be caught when a record is half there; on a stopped server what is reported is so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use posthouse_queue::{Queue, Salvaged};
use serde::Serialize;

use crate::error::AdminError;

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Letters in the queue.
    pub letters: usize,
    /// Records at the end of the log that were being written when the server last ended, or that are damaged: it cannot be told. Nobody
    /// was told that the former were stored.
    pub torn: usize,
    /// Mailboxes.
    pub mailboxes: usize,
    /// Messages in them.
    pub messages: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What was written by a salvage.
    pub salvaged: Vec<SalvagedLetter>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The part it is in: `queue`, `directory`, `journal`, `mailbox` with the account's id.
    pub part: String,
    /// What was found.
    pub what: String,
    /// What that means, and what to do.
    pub advice: String,
}

/// A letter that was written out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SalvagedLetter {
    /// Its id.
    pub letter: String,
    /// The file with its octets; the envelope is beside it.
    pub file: PathBuf,
    /// What is missing or not to be trusted.
    pub notes: Vec<String>,
}

const QUEUE: &str = "the letter is not delivered from this record; `posthouse check --salvage DIR` writes out what is left of it, and `posthouse \
    trace` tells what became of it so far";
const FILE: &str = "the file is damaged: stop the server, and put it back from a backup";
const MAILBOX: &str = "the message cannot be read whole; put the mailbox back from a backup, or remove the message";
const JOURNAL: &str = "only the history is affected, no mail: stop the server and move the file away; a new one is begun";

impl Report {
    fn add(&mut self, part: &str, what: impl ToString, advice: &str) {
        self.problems.push(Problem { part: part.to_owned(), what: what.to_string(), advice: advice.to_owned() });
    }
}

/// Checks a data directory. `salvage`: where to write what is left of damaged letters.
///
/// # Errors
/// [`AdminError::NoData`]; [`AdminError::Folder`] when the salvage cannot be written. What is wrong with the data is in the report.
pub fn check(data: &Path, salvage: Option<&Path>) -> Result<Report, AdminError> {
    if !data.is_dir() {
        return Err(AdminError::NoData(data.to_owned()));
    }
    let mut report = Report::default();
    let queue = data.join("queue");
    if queue.is_dir() {
        check_queue(&queue, &mut report);
        if let Some(to) = salvage {
            report.salvaged = write_out(&queue, to)?;
        }
    }
    let (directory, journal) = (data.join("directory.sqlite"), data.join("journal.sqlite"));
    if directory.exists() {
        match posthouse_directory::check(&directory) {
            Ok(problems) => problems.into_iter().for_each(|what| report.add("directory", what, FILE)),
            Err(error) => report.add("directory", error, FILE),
        }
    }
    if journal.exists() {
        match posthouse_journal::check(&journal) {
            Ok(problems) => problems.into_iter().for_each(|what| report.add("journal", what, JOURNAL)),
            Err(error) => report.add("journal", error, JOURNAL),
        }
    }
    check_mailboxes(&data.join("accounts"), &mut report)?;
    Ok(report)
}

fn check_queue(queue: &Path, report: &mut Report) {
    match Queue::open_read_only(queue) {
        Ok(seen) => {
            (report.letters, report.torn) = (seen.letters.len(), seen.found.torn);
            for damage in seen.found.damages {
                let letter = damage.letter.map_or_else(|| "a letter that cannot be told".to_owned(), |id| format!("letter {id}"));
                report.add("queue", format!("{}, octet {}, {letter}: {}", damage.segment, damage.offset, damage.what), QUEUE);
            }
        }
        Err(error) => report.add("queue", error, "the queue cannot be read: see that the disk is sound and the version is right"),
    }
    let names = fs::read_dir(queue).into_iter().flatten().filter_map(Result::ok);
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.starts_with("damaged-")) {
        report.add("queue", format!("{name}: a letter that was damaged has left the queue"), QUEUE);
    }
}

fn check_mailboxes(accounts: &Path, report: &mut Report) -> Result<(), AdminError> {
    let entries = match fs::read_dir(accounts) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|cause| AdminError::Folder { path: accounts.to_owned(), cause })?,
    };
    let mut folders: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    folders.sort();
    for folder in folders {
        let part = format!("mailbox {}", folder.file_name().unwrap_or_default().to_string_lossy());
        match posthouse_mailbox::check(&folder) {
            Ok(None) => {}
            Ok(Some(checked)) => {
                report.mailboxes += 1;
                report.messages += checked.messages;
                checked.problems.into_iter().for_each(|what| report.add(&part, what, MAILBOX));
            }
            Err(error) => report.add(&part, error, FILE),
        }
    }
    Ok(())
}

/// Writes what is left of damaged letters: `ID.eml`, and `ID.envelope` beside it.
fn write_out(queue: &Path, to: &Path) -> Result<Vec<SalvagedLetter>, AdminError> {
    let failed = |cause| AdminError::Folder { path: to.to_owned(), cause };
    fs::create_dir_all(to).map_err(failed)?;
    let mut written = Vec::new();
    for Salvaged { id, letter, body, notes } in posthouse_queue::salvage(queue)? {
        let file = to.join(format!("{id}.eml"));
        fs::write(&file, body).map_err(failed)?;
        if let Some(letter) = letter {
            let mut envelope = format!("from {}\n", letter.envelope.reverse_path);
            for recipient in &letter.envelope.recipients {
                envelope.push_str(&format!("to {}\n", recipient.address));
            }
            fs::write(to.join(format!("{id}.envelope")), envelope).map_err(failed)?;
        }
        written.push(SalvagedLetter { letter: id.to_string(), file, notes });
    }
    Ok(written)
}

#[cfg(test)]
mod tests;
