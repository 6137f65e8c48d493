//! The index in memory: which letters are queued, where their records lie, and when each is due.
//!
//! About 170 octets for a simple letter; envelopes and bodies stay on disk. Locations are changed by the writer alone, and only
//! when what they point to has been written; leasing changes a letter's phase alone. It does no IO.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use posthouse_mail::{LetterId, UnixMillis};
use posthouse_runtime::sync::Notify;

use crate::error::QueueError;
use crate::layout::{self, LogKind};
use crate::schedule::{Due, DueQueue};
use crate::storage::File;

/// How many ended ids that may be given again are remembered.
const DERIVED_DONE_MAX: usize = 65_536;

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The segment's sequence number.
    pub(crate) seq: u32,
    /// The record's place in it.
    pub(crate) offset: u32,
    /// The body's length.
    pub(crate) len: u32,
}

impl Piece {
    /// The octets it takes in its segment.
    pub(crate) fn stride(self) -> u64 {
        u64::from(layout::stride(self.len))
    }
}

/// One queued letter.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: LetterId,
    /// The LSN of its Letter record: unique, in the order of acceptance.
    pub(crate) lsn: u64,
    pub(crate) letter: Piece,
    pub(crate) progress: Option<Piece>,
    pub(crate) chunks: Box<[Piece]>,
    pub(crate) size: u64,
    pub(crate) due: UnixMillis,
    pub(crate) leased: bool,
    pub(crate) derived: bool,
}

impl Entry {
    /// All its records.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> {
        std::iter::once(self.letter).chain(self.progress).chain(self.chunks.iter().copied())
    }
}

/// Names one life of one letter: a slot is used again, an LSN never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) lsn: u64,
}

/// Names one record of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Letter,
    Progress,
    Chunk(usize),
}

/// A record's place with what is needed to read it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) id: LetterId,
    pub(crate) piece: Piece,
    pub(crate) log: LogKind,
    pub(crate) file: Arc<dyn File>,
}

/// All queued letters.
#[derive(Debug, Default)]
pub(crate) struct Index {
    slots: Vec<Option<Entry>>,
    unused: Vec<u32>,
    by_id: HashMap<LetterId, u32>,
    due: DueQueue,
    files: HashMap<u32, (LogKind, Arc<dyn File>)>,
    done: DerivedDone,
}

/// The ended letters whose ids were given by their makers, the latest of them.
#[derive(Debug, Default)]
struct DerivedDone {
    known: HashSet<LetterId>,
    order: VecDeque<LetterId>,
}

impl Index {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().flatten()
    }

    /// Whether this id is queued, or was given by its maker and has ended.
    pub(crate) fn knows(&self, id: LetterId) -> bool {
        self.by_id.contains_key(&id) || self.done.known.contains(&id)
    }

    pub(crate) fn key(&self, id: LetterId) -> Option<Key> {
        let slot = *self.by_id.get(&id)?;
        Some(Key { slot, lsn: self.slot(slot)?.lsn })
    }

    pub(crate) fn slot(&self, slot: u32) -> Option<&Entry> {
        self.slots.get(layout::usize_of(slot))?.as_ref()
    }

    pub(crate) fn entry(&self, key: Key) -> Option<&Entry> {
        self.slot(key.slot).filter(|entry| entry.lsn == key.lsn)
    }

    pub(crate) fn entry_mut(&mut self, key: Key) -> Option<&mut Entry> {
        self.slots.get_mut(layout::usize_of(key.slot))?.as_mut().filter(|entry| entry.lsn == key.lsn)
    }

    /// Adds a letter; it is due from `entry.due` on. `fresh`: it was never tried.
    pub(crate) fn insert(&mut self, entry: Entry, fresh: bool) -> Key {
        let slot = self.unused.pop().unwrap_or_else(|| {
            self.slots.push(None);
            layout::u32_of(self.slots.len() - 1)
        });
        let key = Key { slot, lsn: entry.lsn };
        self.by_id.insert(entry.id, slot);
        self.due.push(Due { at: entry.due, order: entry.lsn, slot }, fresh);
        if let Some(place) = self.slots.get_mut(layout::usize_of(slot)) {
            *place = Some(entry);
        }
        key
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Entry> {
        let place = self.slots.get_mut(layout::usize_of(key.slot))?;
        let entry = place.take_if(|entry| entry.lsn == key.lsn)?;
        self.by_id.remove(&entry.id);
        self.unused.push(key.slot);
        Some(entry)
    }

    pub(crate) fn remember_done(&mut self, id: LetterId) {
        if self.done.known.insert(id) {
            self.done.order.push_back(id);
        }
        if self.done.order.len() > DERIVED_DONE_MAX
            && let Some(oldest) = self.done.order.pop_front()
        {
            self.done.known.remove(&oldest);
        }
    }

    /// Takes the next letter that is due; it is leased from then on.
    pub(crate) fn lease_next(&mut self, now: UnixMillis) -> Option<Key> {
        while let Some(due) = self.due.pop(now) {
            let key = Key { slot: due.slot, lsn: due.order };
            // An item is stale when the letter has ended, is leased, or was put at another time since.
            if let Some(entry) = self.entry_mut(key).filter(|entry| !entry.leased && entry.due == due.at) {
                entry.leased = true;
                return Some(key);
            }
        }
        None
    }

    /// Leases one letter whether it is due or not.
    pub(crate) fn lease_one(&mut self, id: LetterId) -> Option<Key> {
        let key = self.key(id)?;
        let entry = self.entry_mut(key).filter(|entry| !entry.leased)?;
        entry.leased = true;
        Some(key)
    }

    /// Ends a lease; the letter waits until `due`.
    pub(crate) fn release(&mut self, key: Key, due: UnixMillis) {
        let Some(entry) = self.entry_mut(key).filter(|entry| entry.leased) else { return };
        entry.leased = false;
        entry.due = due;
        self.due.push(Due { at: due, order: key.lsn, slot: key.slot }, false);
    }

    pub(crate) fn next_due(&self) -> Option<UnixMillis> {
        self.due.next()
    }

    pub(crate) fn add_file(&mut self, seq: u32, log: LogKind, file: Arc<dyn File>) {
        self.files.insert(seq, (log, file));
    }

    pub(crate) fn forget_file(&mut self, seq: u32) {
        self.files.remove(&seq);
    }

    /// Where a letter's record lies now. `Ok(None)`: it has no such record.
    pub(crate) fn place(&self, key: Key, which: Which) -> Result<Option<Place>, Missing> {
        let entry = self.entry(key).ok_or(Missing)?;
        let piece = match which {
            Which::Letter => Some(entry.letter),
            Which::Progress => entry.progress,
            Which::Chunk(index) => entry.chunks.get(index).copied(),
        };
        let Some(piece) = piece else { return Ok(None) };
        let (log, file) = self.files.get(&piece.seq).ok_or(Missing)?;
        Ok(Some(Place { id: entry.id, piece, log: *log, file: Arc::clone(file) }))
    }
}

/// The letter has left the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Missing;

/// The sizes the spool works with; the tests' own are tiny.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// A segment's length.
    pub(crate) segment: u32,
    /// How many hot segments there are at most.
    pub(crate) hot_max: usize,
    /// How many cold segments copies may fill.
    pub(crate) cold_max: usize,
    /// The body of a Chunk record.
    pub(crate) chunk: usize,
    /// How much one batch, and one step of upkeep, writes before it syncs.
    pub(crate) batch: u64,
}

impl Sizes {
    /// The longest record's octets.
    pub(crate) fn record_max(&self) -> u32 {
        self.segment.saturating_sub(layout::SEGMENT_HEADER)
    }
}

/// What the writer, the drafts and the leases share.
#[derive(Debug)]
pub(crate) struct Shared {
    index: Mutex<Index>,
    /// Rung when a letter has come or its time has changed.
    pub(crate) due: Notify,
    failed: OnceLock<String>,
    room: AtomicBool,
    pub(crate) sizes: Sizes,
}

impl Shared {
    pub(crate) fn new(index: Index, sizes: Sizes) -> Self {
        Self { index: Mutex::new(index), due: Notify::new(), failed: OnceLock::new(), room: AtomicBool::new(true), sizes }
    }

    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        // No code panics while it holds the lock half-way through a change; what a panic elsewhere left is whole.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the log as failed; the first cause stands.
    pub(crate) fn fail(&self, cause: String) {
        if self.failed.set(cause).is_ok() {
            // Those who wait for letters look again, and wait on: nothing more is handed out.
            self.due.notify_waiters();
        }
    }

    pub(crate) fn check(&self) -> Result<(), QueueError> {
        self.failed.get().map_or(Ok(()), |cause| Err(QueueError::Failed(cause.clone())))
    }

    pub(crate) fn has_room(&self) -> bool {
        self.room.load(Ordering::Relaxed)
    }

    pub(crate) fn set_room(&self, room: bool) {
        self.room.store(room, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
