//! The public face: record, flush, query.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use posthouse_mail::LetterId;
use posthouse_runtime::task;

use crate::entry::Entry;
use crate::error::JournalError;
use crate::follow::{Follow, Span, Step};
use crate::settings::Settings;
use crate::store;
use crate::tally::{Count, Tally};
use crate::writer::Writer;

/// The journal of a running server. A clone is another handle to the same; when the last is dropped the rest is written and the
/// writer ends.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    writer: Writer,
    reader: Reader,
    tally: Tally,
    follower: OnceLock<Arc<dyn Follow>>,
}

/// Reads a journal that this or another process writes.
#[derive(Debug, Clone)]
pub struct Reader {
    path: PathBuf,
}

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// One letter.
    Letter(LetterId),
    /// Every letter, refusal and login that names the address, whatever its case; an IP address finds the refusals and logins of who came from it.
    Address(String),
    /// The letters with this Message-ID, with or without angle brackets.
    MessageId(String),
}

impl Journal {
    /// Opens the file, making it where there is none, with the default [`Settings`].
    ///
    /// # Errors
    /// [`JournalError`]: the file cannot be had.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Self::open_with(path, &Settings::default())
    }

    /// Opens the file, making it where there is none.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, settings: &Settings) -> Result<Self, JournalError> {
        let writer = Writer::start(path, settings.clone())?;
        Ok(Self(Arc::new(Inner {
            writer,
            reader: Reader { path: path.to_owned() },
            tally: Tally::new(),
            follower: OnceLock::new(),
        })))
    }

    /// Takes other limits, within half a minute.
    pub fn configure(&self, settings: &Settings) {
        self.0.writer.configure(settings.clone());
    }

    /// Writes an entry down, soon. Never waits; when more comes than can be written the entry is counted as lost.
    pub fn record(&self, entry: Entry) {
        let at = entry.at;
        self.record_span(entry, Span::at(at));
    }

    /// As [`Self::record`], for a step that took its time.
    pub fn record_span(&self, entry: Entry, lasted: Span) {
        self.0.tally.count(&entry.event);
        if let Some(letter) = entry.letter {
            self.show(letter, Step::Event(&entry.event), lasted);
        }
        self.0.writer.record(entry);
    }

    /// Shows a step to whoever follows; one that is an event is shown by being recorded.
    pub fn show(&self, letter: LetterId, step: Step<'_>, lasted: Span) {
        if let Some(follower) = self.0.follower.get().filter(|follower| follower.wants(letter)) {
            follower.step(letter, step, lasted);
        }
    }

    /// Shows every step from now on to somebody; who comes second is shown nothing.
    pub fn follow(&self, follower: Arc<dyn Follow>) {
        // One is all that is needed.
        let _ = self.0.follower.set(follower);
    }

    /// Waits until every entry recorded before can be queried.
    pub async fn flush(&self) {
        self.0.writer.flush().await;
    }

    /// How many entries were lost since the journal was opened.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.writer.lost()
    }

    /// How many events of each kind were recorded since the journal was opened, those that were lost included.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        self.0.tally.counts()
    }

    /// A reader of the same file.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.0.reader.clone()
    }

    /// As [`Reader::query`].
    ///
    /// # Errors
    /// As [`Reader::query`].
    pub async fn query(&self, query: Query) -> Result<Vec<Entry>, JournalError> {
        self.0.reader.query(query).await
    }
}

impl Reader {
    /// A reader of the file at `path`. The file is opened by each query.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Finds entries, oldest first; of very many the newest ten thousand. An address or a Message-ID finds the whole timelines of the
    /// letters that name it.
    ///
    /// # Errors
    /// [`JournalError::Missing`] when there is no journal yet; storage errors.
    pub async fn query(&self, query: Query) -> Result<Vec<Entry>, JournalError> {
        let path = self.path.clone();
        task::blocking(move || store::find(&store::open_reader(&path)?, &query)).await
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("path", &self.0.reader.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
