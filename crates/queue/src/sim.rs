//! A disk of a simulated world, which forgets what was not synced when its host loses power.
//!
//! Behind the feature `sim`, which no binary of ours has on. Small segments, so that a short run goes round the spool many times.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::QueueError;
use crate::index::Sizes;
use crate::queue::Queue;
use crate::recover::Recovered;
use crate::settings::Settings;
use crate::storage::{File, Storage};

const SIZES: Sizes = Sizes { segment: 64 * 1024, hot_max: 5, cold_max: 200, chunk: 8 * 1024, batch: 32 * 1024 };
const SECTOR: usize = 512;
const EIO: i32 = 5;

/// The disk. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    names: Names,
    durable_names: Names,
    /// What was made and removed, and is not durable.
    naming: Vec<Naming>,
    files: Vec<Content>,
    /// The changes until the power goes, and what is called then.
    cut: Option<(u64, OnCut)>,
    is_dead: bool,
}

type Names = BTreeMap<String, usize>;

#[derive(Debug, Clone)]
enum Naming {
    Made(String, usize),
    Removed(String),
}

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Writes that are not durable: where, and what.
    pending: Vec<(usize, Vec<u8>)>,
}

struct OnCut(Box<dyn FnOnce() + Send>);

#[derive(Debug)]
struct Open {
    disk: Disk,
    id: usize,
}

impl Disk {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the spool that is on it, or makes one.
    ///
    /// # Errors
    /// As [`Queue::open`].
    pub fn open(&self) -> Result<(Queue, Recovered), QueueError> {
        Queue::open_on(Arc::new(self.clone()), SIZES, Settings::default())
    }

    /// Has the power go after so many further changes (writes, syncs, makings, removals): `call` is called, and nothing can be
    /// changed any more.
    pub fn cut_after(&self, changes: u64, call: impl FnOnce() + Send + 'static) {
        self.state().cut = Some((changes, OnCut(Box::new(call))));
    }

    /// Takes [`Disk::cut_after`] back.
    pub fn cut_never(&self) {
        self.state().cut = None;
    }

    /// The disk after its host lost power now: what was not synced is there, gone, or torn into sectors, as the seed says. Nothing can be
    /// changed on this one any more.
    #[must_use]
    pub fn after_crash(&self, seed: u64) -> Self {
        let mut state = self.state();
        state.is_dead = true;
        let mut dice = Dice(seed);
        let (all, none) = (dice.roll(4) == 0, dice.roll(4) == 0);
        let keep = move |dice: &mut Dice| all || (!none && dice.roll(2) == 0);
        let mut names = state.durable_names.clone();
        // A file system's journal keeps the order of these.
        let kept = if all { state.naming.len() } else { dice.roll(state.naming.len() + 1) };
        state.naming.iter().take(kept).for_each(|naming| naming.apply(&mut names));
        let files = state.files.iter().map(|file| file.after_crash(|| keep(&mut dice))).collect();
        Self(Arc::new(Mutex::new(State { durable_names: names.clone(), names, files, ..State::default() })))
    }

    /// The octets of all files that are there.
    #[must_use]
    pub fn octets(&self) -> usize {
        let state = self.state();
        state.names.values().filter_map(|&id| state.files.get(id)).map(|file| file.now.len()).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a change, unless the power is gone.
    fn change(&mut self) -> io::Result<()> {
        match self.cut.take() {
            Some((0, OnCut(call))) => {
                self.is_dead = true;
                call();
            }
            Some((left, call)) => self.cut = Some((left - 1, call)),
            None => {}
        }
        if self.is_dead { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }

    fn file(&mut self, id: usize) -> io::Result<&mut Content> {
        self.files.get_mut(id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Naming {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Made(name, id) => drop(names.insert(name.clone(), *id)),
            Self::Removed(name) => drop(names.remove(name)),
        }
    }
}

impl Content {
    fn sync(&mut self) {
        self.durable.resize(self.now.len(), 0);
        for (at, octets) in self.pending.drain(..) {
            overwrite(&mut self.durable, at, &octets);
        }
    }

    fn after_crash(&self, mut keep: impl FnMut() -> bool) -> Self {
        let mut durable = self.durable.clone();
        if keep() {
            durable.resize(self.now.len(), 0);
        }
        for (at, octets) in &self.pending {
            let mut at = *at;
            let mut rest = octets.as_slice();
            while !rest.is_empty() {
                let (sector, after) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
                if keep() {
                    durable.resize(durable.len().max(at + sector.len()), 0);
                    overwrite(&mut durable, at, sector);
                }
                at += sector.len();
                rest = after;
            }
        }
        Self { now: durable.clone(), durable, pending: Vec::new() }
    }
}

fn overwrite(file: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(place) = file.get_mut(at..at + octets.len()) {
        place.copy_from_slice(octets);
    }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Chance that follows from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        usize_of(self.0 >> 33) % sides.max(1)
    }
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let id = *self.state().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Open { disk: self.clone(), id }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.state();
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.change()?;
        let id = state.files.len();
        state.files.push(Content::default());
        state.names.insert(name.to_owned(), id);
        state.naming.push(Naming::Made(name.to_owned(), id));
        Ok(Arc::new(Open { disk: self.clone(), id }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change()?;
        state.names.remove(name);
        state.naming.push(Naming::Removed(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.durable_names = state.names.clone();
        state.naming.clear();
        Ok(())
    }

    /// It has room without end.
    fn free(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl File for Open {
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.change()?;
        let octets: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let (at, count) = (usize_of(offset), octets.len());
        let file = state.file(self.id)?;
        file.now.resize(file.now.len().max(at + count), 0);
        overwrite(&mut file.now, at, &octets);
        file.pending.push((at, octets));
        Ok(count)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let rest = state.file(self.id)?.now.get(usize_of(offset)..).unwrap_or_default();
        let some = rest.get(..buffer.len()).unwrap_or(rest);
        overwrite(buffer, 0, some);
        Ok(some.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change()?;
        state.file(self.id)?.sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let len = self.disk.state().file(self.id)?.now.len();
        Ok(u64::try_from(len).unwrap_or(u64::MAX))
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change()?;
        let file = state.file(self.id)?;
        file.now.resize(file.now.len().max(usize_of(len)), 0);
        Ok(())
    }
}

impl fmt::Debug for OnCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnCut")
    }
}
