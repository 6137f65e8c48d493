//! Where the next record goes: the active segment, a blank, an old segment made blank, a new file; or nowhere, because it is full.
//!
//! Room is kept back for the records that end letters: new letters are refused one segment before the end, copies one cold
//! segment before. A lack of room loses nothing and passes.

use std::io;
use std::sync::Arc;

use posthouse_runtime::clock;
use rustix::io::Errno;

use crate::error::QueueError;
use crate::layout::LogKind;

use super::batch::Batch;
use super::log::{Blank, clear, file_name, zero};
use super::{Broken, Writer};

/// How long the disk is left alone after it was full.
const BLOCKED_MILLIS: u64 = 1000;

/// How many hot segments there must be to open before one is opened for a letter.
pub(super) const HOT_SPARE: usize = 2;

/// What a record is for, and how near to the end of the room it may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// New letters.
    Letter,
    /// Copies of letters from the hot log into the cold one.
    Copy,
    /// Copies inside the cold log: they free more than they take.
    Compact,
    /// Progress and Done: they make room.
    State,
}

/// Whether there is room.
#[derive(Debug)]
pub(super) enum Room {
    /// The log's active segment takes it.
    Ready,
    /// When this batch is durable.
    Later,
    /// No.
    Full(QueueError),
}

impl Writer {
    /// Sees to it that the log's active segment has room for a record of this many octets.
    pub(super) fn room(&mut self, batch: &mut Batch, kind: LogKind, class: Class, octets: u32) -> Result<Room, Broken> {
        if octets > self.shared.sizes.record_max() {
            return Ok(Room::Full(QueueError::EnvelopeTooLarge {
                bytes: octets.into(),
                bytes_max: self.shared.sizes.record_max().into(),
            }));
        }
        if self.logs.log(kind).active_with_room(octets).is_some() {
            return Ok(Room::Ready);
        }
        if self.logs.log(kind).opening_unsynced {
            batch.must_sync = true;
            return Ok(Room::Later);
        }
        if self.may_open(kind, class)? && self.open(batch, kind)? {
            return Ok(Room::Ready);
        }
        if !batch.is_empty() {
            return Ok(Room::Later);
        }
        let open = self.make_room(kind, class)? && self.may_open(kind, class)? && self.open(batch, kind)?;
        if open || (class == Class::State && self.find_room_for_state(batch, kind, octets)?) {
            return Ok(Room::Ready);
        }
        Ok(Room::Full(self.full()))
    }

    /// The last resort for what ends letters, without which the queue could never shrink again: the segment that the last run left,
    /// for each start takes one more; then one beyond the configured size.
    fn find_room_for_state(&mut self, batch: &mut Batch, kind: LogKind, octets: u32) -> Result<bool, Broken> {
        Ok(self.reopen(kind, octets)? || self.open(batch, kind)?)
    }

    /// Goes on in the last segment of an earlier run. What stands behind its last record is not known (a torn batch, parts of which
    /// may be whole), so it is cleared first, durably.
    fn reopen(&mut self, kind: LogKind, octets: u32) -> Result<bool, Broken> {
        let log = self.logs.log(kind);
        let Some(last) = log.segments.back().filter(|_| !log.open) else { return Ok(false) };
        let (end, capacity) = (last.end, last.header.capacity);
        if capacity.saturating_sub(end) < octets {
            return Ok(false);
        }
        zero(last.file.as_ref(), end.into(), capacity.into())
            .map_err(|cause| Broken { what: "a segment could not be cleared", cause })?;
        log.open = true;
        Ok(true)
    }

    fn full(&self) -> QueueError {
        QueueError::Full(match &self.blocked {
            Some((_, why)) => why.clone(),
            None => "the configured size of the queue is reached".to_owned(),
        })
    }

    /// How many segments can be opened for new records without copying anything first.
    pub(super) fn usable_hot(&self) -> usize {
        let hot = &self.logs.hot;
        let to_make = if self.may_create() { self.shared.sizes.hot_max.saturating_sub(hot.files()) } else { 0 };
        hot.reusable() + hot.blanks.len() + to_make
    }

    fn may_open(&mut self, kind: LogKind, class: Class) -> Result<bool, Broken> {
        match (kind, class) {
            (LogKind::Hot, Class::Letter) => Ok(self.usable_hot() >= HOT_SPARE && self.stock_hot()?),
            (LogKind::Hot, Class::State | Class::Copy | Class::Compact) => Ok(self.usable_hot() >= 1),
            (LogKind::Cold, Class::Letter | Class::Copy | Class::Compact) => self.stock_cold(2, self.cold_limit(class)),
            (LogKind::Cold, Class::State) => self.stock_cold(1, usize::MAX),
        }
    }

    /// How many cold files there may be before one more is made. One above the configured number is the reserve for what ends
    /// letters; a compaction takes one more for a while.
    pub(super) fn cold_limit(&self, class: Class) -> usize {
        let configured = self.shared.sizes.cold_max;
        match class {
            Class::Letter | Class::Copy => configured,
            Class::Compact => configured + 1,
            Class::State => usize::MAX,
        }
    }

    /// Sees to it that there are two hot segments to open, on the disk and not in the mind alone: when it becomes full, one is there
    /// for what ends letters.
    fn stock_hot(&mut self) -> Result<bool, Broken> {
        while self.logs.hot.spare() < HOT_SPARE {
            match self.create(LogKind::Hot)? {
                Some(blank) => self.logs.hot.blanks.push_back(blank),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Sees to it that there are so many cold blanks, making files up to `files_max` in all.
    pub(super) fn stock_cold(&mut self, blanks: usize, files_max: usize) -> Result<bool, Broken> {
        while self.logs.cold.blanks.len() < blanks {
            if self.logs.cold.files() > files_max {
                return Ok(false);
            }
            match self.create(LogKind::Cold)? {
                Some(blank) => self.logs.cold.blanks.push_back(blank),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Opens the next segment of a log; `false` when there is none.
    fn open(&mut self, batch: &mut Batch, kind: LogKind) -> Result<bool, Broken> {
        let Some(blank) = self.take_blank(kind)? else { return Ok(false) };
        let (seq, first_lsn, capacity) = (self.logs.take_seq(), self.logs.next_lsn, self.shared.sizes.segment);
        let file = Arc::clone(&blank.file);
        let header = self.logs.log(kind).open_on(blank, seq, first_lsn, capacity);
        batch.open(&header, &file);
        self.shared.index().add_file(seq, kind, file);
        Ok(true)
    }

    fn take_blank(&mut self, kind: LogKind) -> Result<Option<Blank>, Broken> {
        while kind == LogKind::Hot && self.logs.hot.blanks.is_empty() && self.logs.hot.reusable() > 0 {
            self.blank_oldest()?;
        }
        match self.logs.log(kind).blanks.pop_front() {
            Some(blank) => Ok(Some(blank)),
            None => self.create(kind),
        }
    }

    /// Makes a blank of the oldest hot segment, which holds nothing that counts.
    ///
    /// Its header goes first, and durably. If new records were written under the old header, a power cut in that write could leave
    /// the old header with an old letter, and the Done that ended it overwritten.
    pub(super) fn blank_oldest(&mut self) -> Result<(), Broken> {
        let surplus = self.logs.hot.files() > self.shared.sizes.hot_max;
        let Some(dead) = self.logs.hot.segments.front() else { return Ok(()) };
        let fits = dead.header.capacity == self.shared.sizes.segment && !surplus;
        let gone =
            if fits { clear(dead.file.as_ref()) } else { self.storage.remove(&dead.name).and_then(|()| self.storage.sync_dir()) };
        gone.map_err(|cause| Broken { what: "a segment could not be cleared", cause })?;
        let Some(dead) = self.logs.hot.segments.pop_front() else { return Ok(()) };
        self.shared.index().forget_file(dead.header.seq);
        if fits {
            self.logs.hot.blanks.push_back(Blank { name: dead.name, file: dead.file });
        }
        Ok(())
    }

    pub(super) fn may_create(&self) -> bool {
        let now = clock::unix_millis();
        self.blocked.as_ref().is_none_or(|(since, _)| now.abs_diff(*since) >= BLOCKED_MILLIS)
    }

    /// A new segment could not be made. When there is no room, that passes; a disk that fails is no longer written to.
    pub(super) fn not_made(&mut self, error: io::Error) -> Result<(), Broken> {
        if error.raw_os_error() == Some(Errno::IO.raw_os_error()) {
            return Err(Broken { what: "a segment could not be made", cause: error });
        }
        tracing::warn!(%error, "no new segment can be made");
        self.blocked = Some((clock::unix_millis(), error.to_string()));
        Ok(())
    }

    /// Makes a file with its room reserved; `None`, with the reason kept, when the disk does not let us. Nothing is lost then.
    fn create(&mut self, kind: LogKind) -> Result<Option<Blank>, Broken> {
        if !self.may_create() {
            return Ok(None);
        }
        let name = file_name(kind, self.logs.take_seq());
        match create_file(self, &name) {
            Ok(blank) => {
                self.blocked = None;
                Ok(Some(blank))
            }
            Err(error) => {
                // What there is of it only takes room; recovery removes it otherwise.
                let _ = self.storage.remove(&name);
                self.not_made(error)?;
                Ok(None)
            }
        }
    }

    /// Frees a hot segment by copying what is left in the oldest; `false` when there is no room for that either. For what ends letters
    /// the cold log is compacted, too, at once.
    fn make_room(&mut self, kind: LogKind, class: Class) -> Result<bool, Broken> {
        if kind == LogKind::Cold {
            return Ok(false);
        }
        while self.usable_hot() < HOT_SPARE {
            if !(self.evacuate()? || (class == Class::State && self.tidy_cold()?)) {
                return Ok(self.usable_hot() >= 1);
            }
        }
        Ok(true)
    }
}

fn create_file(writer: &Writer, name: &str) -> io::Result<Blank> {
    let file = writer.storage.create(name)?;
    file.reserve(writer.shared.sizes.segment.into())?;
    // Its length and its name must be on the disk before a letter in it is acknowledged.
    file.sync_data()?;
    writer.storage.sync_dir()?;
    Ok(Blank { name: name.to_owned(), file })
}
