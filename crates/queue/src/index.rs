//! The index in memory: which letters are queued, where their records lie, and what is to be done with them next.
//!
//! Locations are changed by the writer alone, and only when what they point to has been written; leasing changes the phase of a
//! letter's parts alone. It does no IO.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use posthouse_mail::{ByMode, LetterId, Priority, UnixMillis};
use posthouse_runtime::sync::Notify;

use crate::entries::{Entries, Entry, Part, Parts, Phase};
use crate::error::QueueError;
use crate::layout::{self, LogKind};
use crate::lease::Active;
use crate::letter::{Change, Facts};
use crate::ops::Leased;
use crate::schedule::Unit;
use crate::schedule::destinations::{Destination, NextHop, Towards};
use crate::schedule::lanes::Lane;
use crate::schedule::scheduler::{Scheduler, Step};
use crate::schedule::site::SiteLimits;
use crate::schedule::sources::Sources;
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
    pub(crate) entries: Entries,
    pub(crate) scheduler: Scheduler,
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
        self.entries.len()
    }

    /// Whether this id is queued, or was given by its maker and has ended.
    pub(crate) fn knows(&self, id: LetterId) -> bool {
        self.entries.find(id).is_some() || self.done.known.contains(&id)
    }

    pub(crate) fn key(&self, id: LetterId) -> Option<Key> {
        let slot = self.entries.find(id)?;
        Some(Key { slot, lsn: self.entries.slot(slot)?.lsn })
    }

    pub(crate) fn entry(&self, key: Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(crate) fn entry_mut(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    /// Makes an entry of a letter, due when it says.
    pub(crate) fn admit(&mut self, new: New) -> Key {
        let key = self.insert(new);
        self.put_in_line(key);
        key
    }

    /// Makes an entry of a letter; nothing of it waits for anything yet.
    pub(crate) fn insert(&mut self, new: New) -> Key {
        let New { id, lsn, derived, piece, chunks, size, facts } = new;
        let due = facts.due();
        let destinations = &mut self.scheduler.destinations;
        let parts = facts.destinations.iter().map(|destination| Part::new(destinations.enter(destination), due));
        let entry = Entry {
            id,
            lsn,
            letter: piece,
            progress: None,
            chunks,
            size,
            parts: Parts::new(parts.collect()),
            arrived: facts.arrived,
            begins: facts.begins(),
            deliver_by: facts.deliver_by.map_or(UnixMillis(u64::MAX), |by| by.at),
            by_returns: facts.deliver_by.is_some_and(|by| by.mode == ByMode::Return),
            flow: facts.flow,
            lane: facts.lane,
            held: false,
            derived,
            users: 0,
            active: None,
        };
        let slot = self.entries.insert(entry);
        Key { slot, lsn }
    }

    /// Gives a letter what its last Progress record says: of each part, when it is due (`None`: it is over) and whether its sender was
    /// warned.
    pub(crate) fn stand(&mut self, key: Key, held: bool, priority: Option<Priority>, stands: &[(Option<UnixMillis>, bool)]) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.held = held;
        entry.lane = priority.map_or(entry.lane, |priority| Lane::of(priority.level(), 1));
        for (part, &(due, warned)) in entry.parts.slice_mut().iter_mut().zip(stands) {
            (part.tried, part.warned) = (true, warned);
            part.phase = if due.is_some() { Phase::Waiting } else { Phase::Over };
            part.due = due.unwrap_or(part.due);
        }
    }

    /// Has everything wait for its time: once, when the spool has been read.
    pub(crate) fn line_up(&mut self) {
        let waiting = self.entries.parts().filter(|(_, entry, part)| part.phase == Phase::Waiting && !entry.held);
        self.scheduler.line_up(self.entries.len(), waiting.map(|(unit, _, part)| (part.due, unit)));
    }

    /// Has every part that waits wait for its time.
    fn put_in_line(&mut self, key: Key) {
        let Some(entry) = self.entries.get(key).filter(|entry| !entry.held) else { return };
        for (number, part) in entry.parts.iter().enumerate() {
            if part.phase == Phase::Waiting {
                self.scheduler.wait(entry.unit(key.slot, number), part.due);
            }
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        for part in entry.parts.iter() {
            self.scheduler.destinations.leave(part.destination);
        }
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

    /// What to do next. A unit to start is leased from then on.
    pub(crate) fn next(&mut self, now: UnixMillis) -> Option<(Step, Option<Handed>)> {
        let step = self.scheduler.next(&mut self.entries, now)?;
        let handed = match &step {
            Step::Place(_) => None,
            Step::Start { unit, site, .. } => {
                let key = Key { slot: unit.slot, lsn: unit.order };
                let (id, active) = self.activate(key)?;
                let leased = self.with_siblings(*unit, *site, now);
                Some(Handed { id, key, leased, active })
            }
        };
        Some((step, handed))
    }

    /// Leases what travels together with a unit that was started.
    fn with_siblings(&mut self, unit: Unit, site: Option<u32>, now: UnixMillis) -> Leased {
        let alone = Leased::Part(unit.part);
        let together = site.filter(|&site| self.scheduler.site(site).is_some_and(|site| site.limits.together));
        let (Some(site), Some(entry)) = (together, self.entries.entry_mut(unit)) else { return alone };
        let mut parts = vec![unit.part];
        for (number, part) in entry.parts.slice_mut().iter_mut().enumerate() {
            let is_in_line = part.phase == Phase::Ready || (part.phase == Phase::Waiting && part.due <= now);
            if is_in_line && self.scheduler.may_go_to(part.destination, site, now) {
                part.phase = Phase::Leased;
                parts.push(layout::u32_of(number));
            }
        }
        if parts.len() == 1 { alone } else { Leased::Several(parts.into()) }
    }

    /// See [`Scheduler::place`].
    pub(crate) fn place_at(&mut self, destination: &Destination, site: (&str, SiteLimits), good_until: UnixMillis) {
        self.scheduler.place(&self.entries, destination, site, good_until);
    }

    /// See [`Scheduler::resume`].
    pub(crate) fn resume(&mut self, now: UnixMillis) {
        self.scheduler.resume(&self.entries, now);
    }

    /// Leases a whole letter, due or not. `None` when it is not there or a part of it is leased.
    pub(crate) fn lease_whole(&mut self, id: LetterId) -> Option<Handed> {
        let key = self.key(id)?;
        let entry = self.entries.get_mut(key).filter(|entry| !entry.is_leased())?;
        for part in entry.parts.slice_mut().iter_mut().filter(|part| part.phase != Phase::Over) {
            part.phase = Phase::Leased;
        }
        let (id, active) = self.activate(key)?;
        Some(Handed { id, key, leased: Leased::All, active })
    }

    /// One more works with the letter's state.
    pub(crate) fn activate(&mut self, key: Key) -> Option<(LetterId, Arc<Active>)> {
        let entry = self.entries.get_mut(key)?;
        entry.users = entry.users.saturating_add(1);
        Some((entry.id, Arc::clone(entry.active.get_or_insert_with(Arc::default))))
    }

    /// One fewer does.
    pub(crate) fn deactivate(&mut self, key: Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.users = entry.users.saturating_sub(1);
        if entry.users == 0 {
            entry.active = None;
        }
    }

    /// Ends a lease without news: what was leased waits until `due`.
    pub(crate) fn give_back(&mut self, key: Key, leased: &Leased, due: UnixMillis) {
        self.settle(key, leased, &mut |_, part| Some((due, part.warned)));
    }

    /// Ends a lease with news: when each part of the letter is due (`None`: it is over), and whether its sender was warned.
    pub(crate) fn release_as(&mut self, key: Key, leased: &Leased, stands: &[(Option<UnixMillis>, bool)]) {
        self.settle(key, leased, &mut |number, part| {
            let &(due, warned) = stands.get(number)?;
            part.tried = true;
            due.map(|due| (due, warned))
        });
    }

    fn settle(&mut self, key: Key, leased: &Leased, stands: &mut Stands<'_>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        for (number, part) in entry.parts.slice_mut().iter_mut().enumerate() {
            if !leased.covers(number) || part.phase != Phase::Leased {
                continue;
            }
            match stands(number, part) {
                None => part.phase = Phase::Over,
                Some((due, warned)) => {
                    (part.phase, part.due, part.warned) = (Phase::Waiting, due, warned);
                    if !entry.held {
                        let unit = Unit { order: entry.lsn, slot: key.slot, part: layout::u32_of(number) };
                        self.scheduler.wait(unit, due);
                    }
                }
            }
        }
        if *leased != Leased::Nothing {
            self.deactivate(key);
        }
    }

    /// Has the parts of a letter go by another host, or (`None`) where its recipients say. By which of our addresses does not change.
    pub(crate) fn redirect(&mut self, key: Key, via: Option<&NextHop>, original: &[Destination]) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let destinations = &mut self.scheduler.destinations;
        for (number, part) in entry.parts.slice_mut().iter_mut().enumerate() {
            let source = destinations.get(part.destination).and_then(|known| known.destination.source.clone());
            let by = via.map(|hop| Destination { to: Towards::Host(hop.clone()), source });
            if let Some(to) = by.as_ref().or(original.get(number)) {
                let before = std::mem::replace(&mut part.destination, destinations.enter(to));
                destinations.leave(before);
            }
        }
    }

    /// Does what an operator asked for and what is durable by now.
    pub(crate) fn change(&mut self, key: Key, change: &Change, original: &[Destination], now: UnixMillis) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        match change {
            Change::Hold => entry.held = true,
            Change::Release => entry.held = false,
            Change::Priority(priority) => entry.lane = Lane::of(priority.level(), 1),
            Change::RetryNow | Change::Redirect(_) => {}
        }
        if let Change::Redirect(via) = change {
            self.redirect(key, via.as_ref(), original);
        }
        let Some(entry) = self.entries.get_mut(key) else { return };
        for part in entry.parts.slice_mut() {
            if !matches!(part.phase, Phase::Waiting | Phase::Ready) {
                continue;
            }
            // Whatever line it stood in, it is found there no more.
            part.phase = Phase::Waiting;
            if matches!(change, Change::RetryNow | Change::Redirect(_)) {
                part.due = now;
                self.scheduler.open(part.destination, now);
            }
        }
        self.put_in_line(key);
    }

    pub(crate) fn add_file(&mut self, seq: u32, log: LogKind, file: Arc<dyn File>) {
        self.files.insert(seq, (log, file));
    }

    pub(crate) fn log_of(&self, seq: u32) -> Option<LogKind> {
        self.files.get(&seq).map(|(log, _)| *log)
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

/// Says how a part that was leased stands now: when it is due, and whether its sender was warned; `None` when it is over.
type Stands<'a> = dyn FnMut(usize, &mut Part) -> Option<(UnixMillis, bool)> + 'a;

/// A letter that enters the index.
#[derive(Debug)]
pub(crate) struct New {
    pub(crate) id: LetterId,
    pub(crate) lsn: u64,
    pub(crate) derived: bool,
    pub(crate) piece: Piece,
    pub(crate) chunks: Box<[Piece]>,
    pub(crate) size: u64,
    pub(crate) facts: Facts,
}

/// A letter that was leased, or a part of one.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) id: LetterId,
    pub(crate) key: Key,
    pub(crate) leased: Leased,
    pub(crate) active: Arc<Active>,
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
    pub(crate) sources: Sources,
}

impl Shared {
    pub(crate) fn new(index: Index, sizes: Sizes, sources: Sources) -> Self {
        let (failed, room) = (OnceLock::new(), AtomicBool::new(true));
        Self { index: Mutex::new(index), due: Notify::new(), failed, room, sizes, sources }
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
