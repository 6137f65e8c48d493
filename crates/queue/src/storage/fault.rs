//! Files in memory that can lose power.
//!
//! Every change is kept as a step. [`World::after_cut`] makes the world as a disk may show it when the power went after so many
//! steps: what was synced is there, what was not is lost, kept, torn or reordered as the [`Loss`] says. Faults can be ordered: an error
//! at the n-th step, short writes, a full disk.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{File, Storage};

const SECTOR: usize = 512;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What becomes of steps that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// All of them are lost.
    Everything,
    /// None is: the process was killed, the page cache lives on.
    Nothing,
    /// The first half is kept; the last write of it ends in the middle.
    Tail,
    /// Only the last one is kept: the disk wrote it first.
    Head,
    /// Each sector by itself, by chance.
    Sectors(u64),
    /// Each run of 64 octets by itself, by chance.
    Shreds(u64),
}

#[derive(Debug, Clone)]
enum Step {
    Create(String, usize),
    Remove(String),
    SyncDir,
    Grow(usize, usize),
    Write(usize, usize, Vec<u8>),
    Sync(usize),
}

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    first_names: BTreeMap<String, usize>,
    first_files: Vec<Vec<u8>>,
    steps: Vec<Step>,
    fail_at: Option<usize>,
    failed: bool,
    space: Option<usize>,
    write_max: Option<usize>,
}

/// The directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct World(Arc<Mutex<State>>);

#[derive(Debug)]
struct Memory {
    world: World,
    id: usize,
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// How many steps there have been.
    pub(crate) fn steps(&self) -> usize {
        self.state().steps.len()
    }

    /// The `n`-th write or sync from now on fails, and all that come after it.
    pub(crate) fn fail_after(&self, n: usize) {
        let mut state = self.state();
        state.fail_at = Some(state.steps.len() + n);
    }

    /// No more than this can be reserved in all.
    pub(crate) fn limit_space(&self, octets: Option<usize>) {
        self.state().space = octets;
    }

    /// The octets of all files.
    pub(crate) fn size(&self) -> usize {
        let state = self.state();
        state.names.values().map(|&id| state.files[id].len()).sum()
    }

    /// A write takes no more than this at once.
    pub(crate) fn shorten_writes(&self, octets: usize) {
        self.state().write_max = Some(octets);
    }

    /// Changes one octet behind the spool's back.
    pub(crate) fn rot(&self, name: &str, offset: usize) {
        let mut state = self.state();
        let id = state.names[name];
        state.files[id][offset] ^= 0x40;
    }

    /// A file's octets now.
    pub(crate) fn octets(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.files[state.names[name]].clone()
    }

    /// The world a crash after `steps` steps may leave.
    pub(crate) fn after_cut(&self, steps: usize, loss: Loss) -> Self {
        let state = self.state();
        let (mut names, mut files) = (state.first_names.clone(), state.first_files.clone());
        files.resize(state.files.len(), Vec::new());
        let mut waiting: Vec<&Step> = Vec::new();
        for step in state.steps.iter().take(steps) {
            let settled = |other: &Step| match (step, other) {
                (Step::Sync(id), Step::Grow(other, _) | Step::Write(other, _, _)) => id == other,
                (Step::SyncDir, Step::Create(..) | Step::Remove(..)) => true,
                _ => false,
            };
            waiting.retain(|other| {
                if settled(other) {
                    replay(other, &mut names, &mut files, &mut |_| true);
                }
                !settled(other)
            });
            if !matches!(step, Step::Sync(_) | Step::SyncDir) {
                waiting.push(step);
            }
        }
        lose(&waiting, loss, &mut names, &mut files);
        let after = State { first_names: names.clone(), first_files: files.clone(), names, files, ..State::default() };
        Self(Arc::new(Mutex::new(after)))
    }
}

fn lose(waiting: &[&Step], loss: Loss, names: &mut BTreeMap<String, usize>, files: &mut [Vec<u8>]) {
    let last = waiting.len().saturating_sub(1);
    let mut chance = 0x9e37_79b9_7f4a_7c15u64;
    let mut flip = move |seed: u64| {
        chance = (chance ^ seed).wrapping_mul(0x2545_f491_4f6c_dd1d);
        chance ^= chance >> 29;
        chance & 4 != 0
    };
    for (number, step) in waiting.iter().enumerate() {
        let mut keep: Box<dyn FnMut(usize) -> bool> = match loss {
            Loss::Everything => Box::new(|_| false),
            Loss::Nothing => Box::new(|_| true),
            Loss::Tail if number < last / 2 => Box::new(|_| true),
            Loss::Tail if number == last / 2 => {
                let half = if let Step::Write(_, offset, octets) = step { offset + octets.len() / 2 } else { 0 };
                Box::new(move |at| at < half)
            }
            Loss::Tail => Box::new(|_| false),
            Loss::Head => Box::new(move |_| number == last),
            Loss::Sectors(seed) => by_chance(SECTOR, move || flip(seed)),
            Loss::Shreds(seed) => by_chance(64, move || flip(seed)),
        };
        replay(step, names, files, &mut keep);
    }
}

fn by_chance(run: usize, mut flip: impl FnMut() -> bool + 'static) -> Box<dyn FnMut(usize) -> bool> {
    let mut current = (usize::MAX, false);
    Box::new(move |at| {
        if current.0 != at / run {
            current = (at / run, flip());
        }
        current.1
    })
}

/// Does a step, octet by octet as `keep` (by offset) lets it; what is not an octet is asked for as offset 0.
fn replay(step: &Step, names: &mut BTreeMap<String, usize>, files: &mut [Vec<u8>], keep: &mut dyn FnMut(usize) -> bool) {
    match step {
        Step::Create(name, id) if keep(0) => drop(names.insert(name.clone(), *id)),
        Step::Remove(name) if keep(0) => drop(names.remove(name)),
        Step::Grow(id, len) if keep(0) && files[*id].len() < *len => files[*id].resize(*len, 0),
        Step::Write(id, offset, octets) => {
            for (at, octet) in (*offset..).zip(octets) {
                if keep(at) {
                    if files[*id].len() <= at {
                        files[*id].resize(at + 1, 0);
                    }
                    files[*id][at] = *octet;
                }
            }
        }
        Step::Create(..) | Step::Remove(..) | Step::Grow(..) | Step::SyncDir | Step::Sync(_) => {}
    }
}

impl State {
    fn step(&mut self, step: Step) -> io::Result<()> {
        if self.failed || self.fail_at.is_some_and(|at| self.steps.len() >= at) {
            self.failed = true;
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.steps.push(step);
        Ok(())
    }
}

impl Storage for World {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let id = *self.state().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Memory { world: self.clone(), id }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.state();
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.files.len();
        state.step(Step::Create(name.to_owned(), id))?;
        state.files.push(Vec::new());
        state.names.insert(name.to_owned(), id);
        Ok(Arc::new(Memory { world: self.clone(), id }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.step(Step::Remove(name.to_owned()))?;
        state.names.remove(name);
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.state().step(Step::SyncDir)
    }
}

impl File for Memory {
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let mut state = self.world.state();
        let mut octets: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        octets.truncate(state.write_max.unwrap_or(usize::MAX));
        let offset = usize::try_from(offset).unwrap();
        state.step(Step::Write(self.id, offset, octets.clone()))?;
        let file = &mut state.files[self.id];
        if file.len() < offset + octets.len() {
            file.resize(offset + octets.len(), 0);
        }
        file[offset..offset + octets.len()].copy_from_slice(&octets);
        Ok(octets.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.world.state();
        let rest = state.files[self.id].get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.world.state().step(Step::Sync(self.id))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.world.state().files[self.id].len().try_into().unwrap())
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap();
        let used = self.world.size();
        if self.world.state().space.is_some_and(|space| used + len > space) {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        let mut state = self.world.state();
        state.step(Step::Grow(self.id, len))?;
        if state.files[self.id].len() < len {
            state.files[self.id].resize(len, 0);
        }
        Ok(())
    }
}
