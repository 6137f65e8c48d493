//! The queued letters in memory, each in a slot.
//!
//! About 130 octets for a simple letter; envelopes and bodies stay on disk. It does no IO.

use std::sync::Arc;

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

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Entries {
    slots: Vec<Option<Entry>>,
    unused: Vec<u32>,
}

impl Entries {
    pub(crate) fn insert(&mut self, entry: Entry) -> u32 {
        let slot = self.unused.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32_of(self.slots.len() - 1)
        });
        if let Some(place) = self.slots.get_mut(usize_of(slot)) {
            *place = Some(entry);
        }
        slot
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<Entry> {
        let place = self.slots.get_mut(usize_of(key.slot))?;
        let entry = place.take_if(|entry| entry.lsn == key.lsn)?;
        self.unused.push(key.slot);
        Some(entry)
    }

    /// How many slots there are, used or not.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn slot(&self, slot: u32) -> Option<&Entry> {
        self.slots.get(usize_of(slot))?.as_ref()
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Entry> {
        self.slot(key.slot).filter(|entry| entry.lsn == key.lsn)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Entry> {
        self.slots.get_mut(usize_of(key.slot))?.as_mut().filter(|entry| entry.lsn == key.lsn)
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
        self.slots.iter().flatten()
    }

    /// All of them, with their slots.
    pub(crate) fn with_slots(&self) -> impl Iterator<Item = (u32, &Entry)> {
        self.slots.iter().enumerate().filter_map(|(slot, entry)| Some((u32_of(slot), entry.as_ref()?)))
    }

    /// Every part of every letter.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Unit, &Entry, &Part)> {
        self.with_slots().flat_map(|(slot, entry)| {
            entry.parts.iter().enumerate().map(move |(number, part)| (entry.unit(slot, number), entry, part))
        })
    }
}
