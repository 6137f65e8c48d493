//! What became of the letters of a long run, kept in a file so that the run can be taken up again.
//!
//! A line for each letter that needs no other: `accepted`, `kept` in the maildrop, or `unknown` where nobody can say whether it arrived; then a tab and its recipients;
//! and for the second letter to the same ones a tab and a 2, and so on. A line that was not written to its end, because the machine stopped, is none. Whatever else
//! is in it is a mistake: a line that is passed over would be a letter that is sent twice.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use posthouse_client::{Message, RecipientResult, SendReport};
use posthouse_runtime::clock;

use super::way::End;
use crate::cli::{Exit, Failure};

const ACCEPTED: &str = "accepted";
const KEPT: &str = "kept";
const UNKNOWN: &str = "unknown";
/// When the machine stops, no more than this is forgotten; when the process does, nothing.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The file, open.
pub(super) struct State {
    path: PathBuf,
    file: File,
    known: HashSet<String>,
    synced: Instant,
}

impl State {
    /// Reads what is known, and goes on behind it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::say(Exit::CannotCreate, format_args!("{}: {error}", path.display()));
        let wrong = |words: &str| Failure::say(Exit::Data, format_args!("{}: {words}", path.display()));
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(wrong("it is no file that can be read again"));
        }
        file.try_lock().map_err(|_| wrong("another run uses it"))?;
        let mut octets = Vec::new();
        file.read_to_end(&mut octets).map_err(failed)?;
        let end = octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |at| at + 1);
        let (whole, torn) = octets.split_at_checked(end).unwrap_or((&octets, &[]));
        let mut known = HashSet::new();
        for (number, line) in whole.split_inclusive(|&octet| octet == b'\n').enumerate() {
            let line = str::from_utf8(line).ok().and_then(|line| read(line.trim_end_matches(['\r', '\n'])));
            let line = line.ok_or_else(|| {
                wrong(&format!("line {} is not one that this program wrote: mend it, or name another file", number + 1))
            })?;
            known.extend(line);
        }
        if !torn.is_empty() {
            let begins = |word: &&str| torn.starts_with(word.as_bytes()) || word.as_bytes().starts_with(torn);
            if ![ACCEPTED, KEPT, UNKNOWN].iter().any(begins) {
                return Err(wrong("it is not one that this program wrote"));
            }
            file.set_len(u64::try_from(end).unwrap_or(u64::MAX)).map_err(failed)?;
        }
        Ok(Self { path: path.to_owned(), file, known, synced: clock::now() })
    }

    /// The keys of the letters that need no sending any more, as they were when the file was opened.
    pub(super) fn known(&mut self) -> HashSet<String> {
        std::mem::take(&mut self.known)
    }

    /// Remembers a letter, by its key, that needs no sending any more.
    pub(super) fn remember(&mut self, key: &str, end: &End) -> Result<(), Failure> {
        let Some(word) = word(end) else { return Ok(()) };
        let now = clock::now();
        let mut written = self.file.write_all(format!("{word}\t{key}\n").as_bytes());
        if now.duration_since(self.synced) >= SYNC_EVERY {
            self.synced = now;
            written = written.and_then(|()| self.file.sync_data());
        }
        let failed = |error| {
            let words = format!("{}: {error}: the letter to {key} is not remembered", self.path.display());
            Failure::say(Exit::Io, words)
        };
        written.map_err(failed)
    }
}

fn word(end: &End) -> Option<&'static str> {
    let End::Answered(report) = end else { return Some(KEPT) };
    let is_over = |report: &SendReport| {
        let mut results = report.recipients.iter().map(|recipient| &recipient.result);
        results.all(|result| matches!(result, RecipientResult::Unknown(_) | RecipientResult::Accepted(_)))
    };
    if report.is_complete() { Some(ACCEPTED) } else { is_over(report).then_some(UNKNOWN) }
}

/// A line: none if it is not one of ours, and no key if it is empty.
fn read(line: &str) -> Option<Option<String>> {
    if line.trim().is_empty() {
        return Some(None);
    }
    let mut fields = line.split('\t');
    let is_word = matches!(fields.next()?, ACCEPTED | KEPT | UNKNOWN);
    let who = fields.next().filter(|who| who.contains('@'))?.to_owned();
    let number = fields.next().map_or(Some(1), |number| number.parse().ok())?;
    (is_word && fields.next().is_none()).then(|| Some(numbered(who, number)))
}

/// What a letter is known by: whom it goes to, and how many went to the same ones before, which `met` counts.
pub(super) fn key(letter: &Message, met: &mut HashMap<String, usize>) -> String {
    let each: Vec<String> = letter.envelope().recipients.iter().map(|recipient| recipient.address.to_string()).collect();
    let who = each.join(" ");
    let number = met.entry(who.clone()).or_default();
    *number += 1;
    numbered(who, *number)
}

fn numbered(who: String, number: usize) -> String {
    if number == 1 { who } else { format!("{who}\t{number}") }
}
