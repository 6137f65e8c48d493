//! The queued letters in memory, each in a slot.
//!
//! About 130 octets for a simple letter; envelopes and bodies stay on disk. It does no IO.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use posthouse_mail::{LetterId, UnixMillis};

use crate::index::{Key, Piece};
use crate::layout::{u32_of, usize_of};
use crate::lease::Active;
use crate::schedule::Unit;
use crate::schedule::lanes::Lane;

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
    pub(crate) parts: Parts,
    pub(crate) arrived: UnixMillis,
    /// See [`crate::Letter::begins`].
    pub(crate) begins: UnixMillis,
    /// The end of time when its sender set no deadline.
    pub(crate) deliver_by: UnixMillis,
    /// Whether it goes back at that time; else its sender is told that it is late.
    pub(crate) by_returns: bool,
    /// Whose letters take turns with whose: a hash of the sender.
    pub(crate) flow: u32,
    pub(crate) lane: Lane,
    /// An operator holds it.
    pub(crate) held: bool,
    pub(crate) derived: bool,
    /// The leases and changes that work with it.
    pub(crate) users: u16,
    /// Its state while somebody works with it.
    pub(crate) active: Option<Arc<Active>>,
}

/// A letter's recipients at one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// When it is (or was) to be tried.
    pub(crate) due: UnixMillis,
    pub(crate) destination: u32,
    pub(crate) phase: Phase,
    /// Whether it was tried before.
    pub(crate) tried: bool,
    /// Whether its sender has been told that it is late.
    pub(crate) warned: bool,
}

/// Where a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// For its time; or put aside, while it is held or suspended.
    Waiting,
    /// In the lanes of its site, or for a word where it goes.
    Ready,
    /// In somebody's hands.
    Leased,
    /// All its recipients have ended.
    Over,
}

/// The parts of a letter; most have one.
#[derive(Debug)]
pub(crate) enum Parts {
    One(Part),
    Many(Box<[Part]>),
}

impl Part {
    pub(crate) fn new(destination: u32, due: UnixMillis) -> Self {
        Self { due, destination, phase: Phase::Waiting, tried: false, warned: false }
    }
}

impl Parts {
    pub(crate) fn new(parts: Vec<Part>) -> Self {
        match parts.as_slice() {
            [one] => Self::One(*one),
            _ => Self::Many(parts.into()),
        }
    }

    fn slice(&self) -> &[Part] {
        match self {
            Self::One(part) => std::slice::from_ref(part),
            Self::Many(parts) => parts,
        }
    }

    pub(crate) fn slice_mut(&mut self) -> &mut [Part] {
        match self {
            Self::One(part) => std::slice::from_mut(part),
            Self::Many(parts) => parts,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Part> {
        self.slice().iter()
    }

    pub(crate) fn get(&self, part: u32) -> Option<&Part> {
        self.slice().get(usize_of(part))
    }

    pub(crate) fn get_mut(&mut self, part: u32) -> Option<&mut Part> {
        self.slice_mut().get_mut(usize_of(part))
    }
}

impl Entry {
    /// All its records.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece> {
        std::iter::once(self.letter).chain(self.progress).chain(self.chunks.iter().copied())
    }

    pub(crate) fn is_leased(&self) -> bool {
        self.parts.iter().any(|part| part.phase == Phase::Leased)
    }

    pub(crate) fn unit(&self, slot: u32, part: usize) -> Unit {
        Unit { order: self.lsn, slot, part: u32_of(part) }
    }
}

/// Slots that are made at a time: a million letters are never copied because one more came.
const BLOCK_SLOTS: usize = 4096;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    blocks: Vec<Vec<Option<Entry>>>,
    slots: u32,
    unused: Vec<u32>,
    /// The slot of each letter, by the hash of its id. The id itself is in the slot: five octets here instead of 37.
    by_id: HashTable<u32>,
    hasher: RandomState,
}

impl Entries {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Puts an entry into a slot. There is none with this id.
    pub(crate) fn insert(&mut self, entry: Entry) -> u32 {
        let hash = self.hasher.hash_one(entry.id);
        let slot = self.unused.pop().unwrap_or_else(|| self.new_slot());
        if let Some(place) = self.place(slot) {
            *place = Some(entry);
        }
        let Self { blocks, by_id, hasher, .. } = self;
        by_id.insert_unique(hash, slot, |&slot| in_slot(blocks, slot).map_or(0, |entry| hasher.hash_one(entry.id)));
        slot
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Entry> {
        let hash = self.hasher.hash_one(self.get(key)?.id);
        if let Ok(found) = self.by_id.find_entry(hash, |&slot| slot == key.slot) {
            found.remove();
        }
        let entry = self.place(key.slot)?.take();
        self.unused.push(key.slot);
        entry
    }

    /// The slot of a letter.
    pub(crate) fn find(&self, id: LetterId) -> Option<u32> {
        let hash = self.hasher.hash_one(id);
        self.by_id.find(hash, |&slot| self.slot(slot).is_some_and(|entry| entry.id == id)).copied()
    }

    fn new_slot(&mut self) -> u32 {
        let slot = self.slots;
        self.slots += 1;
        if usize_of(slot).is_multiple_of(BLOCK_SLOTS) {
            self.blocks.push(Vec::with_capacity(BLOCK_SLOTS));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(None);
        }
        slot
    }

    fn place(&mut self, slot: u32) -> Option<&mut Option<Entry>> {
        self.blocks.get_mut(usize_of(slot) / BLOCK_SLOTS)?.get_mut(usize_of(slot) % BLOCK_SLOTS)
    }

    /// How many slots there are, used or not.
    pub(crate) fn slots(&self) -> usize {
        usize_of(self.slots)
    }

    pub(crate) fn slot(&self, slot: u32) -> Option<&Entry> {
        in_slot(&self.blocks, slot)
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Entry> {
        self.slot(key.slot).filter(|entry| entry.lsn == key.lsn)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Entry> {
        self.place(key.slot)?.as_mut().filter(|entry| entry.lsn == key.lsn)
    }

    pub(crate) fn entry_mut(&mut self, unit: Unit) -> Option<&mut Entry> {
        self.get_mut(Key { slot: unit.slot, lsn: unit.order })
    }

    pub(crate) fn part(&self, unit: Unit) -> Option<(&Entry, &Part)> {
        let entry = self.get(Key { slot: unit.slot, lsn: unit.order })?;
        Some((entry, entry.parts.get(unit.part)?))
    }

    pub(crate) fn part_mut(&mut self, unit: Unit) -> Option<&mut Part> {
        self.entry_mut(unit)?.parts.get_mut(unit.part)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.blocks.iter().flatten().flatten()
    }

    /// All of them, with their slots.
    pub(crate) fn with_slots(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.blocks.iter().flatten().enumerate().filter_map(|(slot, entry)| Some((u32_of(slot), entry.as_ref()?)))
    }

    /// Every part of every letter.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Unit, &Entry, &Part)> {
        self.with_slots().flat_map(|(slot, entry)| {
            entry.parts.iter().enumerate().map(move |(number, part)| (entry.unit(slot, number), entry, part))
        })
    }
}

fn in_slot(blocks: &[Vec<Option<Entry>>], slot: u32) -> Option<&Entry> {
    blocks.get(usize_of(slot) / BLOCK_SLOTS)?.get(usize_of(slot) % BLOCK_SLOTS)?.as_ref()
}

#[cfg(test)]
mod tests;
