//! What became of the letters of a long run, kept in a file so that the run can be taken up again.
//!
//! A line for each letter that needs no other: `accepted`, or `unknown` where nobody can say whether it arrived; then a tab and its recipients. A line that was
//! not written to its end, because the machine stopped, is none.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use posthouse_client::{Message, RecipientResult, SendReport};

use crate::cli::{Exit, Failure};

/// The file, open.
pub(super) struct State {
    path: PathBuf,
    file: File,
    done: HashSet<String>,
}

impl State {
    /// Reads what is known, and goes on behind it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::say(Exit::CannotCreate, format_args!("{}: {error}", path.display()));
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n").map_err(failed)?;
        }
        let done = whole.lines().filter_map(|line| line.split_once('\t')).map(|(_, who)| who.to_owned()).collect();
        Ok(Self { path: path.to_owned(), file, done })
    }

    /// Whether a letter needs no sending any more.
    pub(super) fn knows(&self, letter: &Message) -> bool {
        self.done.contains(&key(letter))
    }

    /// Remembers a letter that needs no sending any more.
    pub(super) fn remember(&mut self, letter: &str, report: &SendReport) -> Result<(), Failure> {
        let results = || report.recipients.iter().map(|recipient| &recipient.result);
        let word = if report.is_complete() {
            "accepted"
        } else if results().all(|result| matches!(result, RecipientResult::Unknown(_) | RecipientResult::Accepted(_))) {
            "unknown"
        } else {
            return Ok(());
        };
        self.write(word, letter)
    }

    /// Remembers a letter that the maildrop has.
    pub(super) fn kept(&mut self, letter: &str) -> Result<(), Failure> {
        self.write("kept", letter)
    }

    fn write(&mut self, word: &str, letter: &str) -> Result<(), Failure> {
        let written = self.file.write_all(format!("{word}\t{letter}\n").as_bytes());
        written.map_err(|error| Failure::say(Exit::Io, format_args!("{}: {error}", self.path.display())))
    }
}

/// What a letter is known by: whom it goes to.
pub(super) fn key(letter: &Message) -> String {
    let each: Vec<String> = letter.envelope().recipients.iter().map(|recipient| recipient.address.to_string()).collect();
    each.join(" ")
}
