//! Files in memory that can lose power.
//!
//! Every change is kept as a step. [`Replay`] walks the steps with what is synced and what is not kept apart, and makes at any of
//! them the world as a disk may show it when the power goes there: what was synced is there, what was not is lost, kept, torn or
//! reordered as the [`Loss`] says. [`World::after_kill`] is the other death: the process ends, the page cache lives on, and nothing
//! became durable by it. Faults can be ordered at any step: errors, short writes, a full disk, reads that fail.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{File, Storage};

mod replay;

pub(crate) use replay::{Loss, Replay};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What a step meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An error of the device; half of a write is done. What a failed sync was for is not on the disk, and no later sync brings it there.
    Eio,
    /// No room left.
    Enospc,
    /// A write takes half of what it was given. Nothing else is touched.
    Short,
}

#[derive(Debug, Clone)]
enum Step {
    Create(String, usize),
    Remove(String),
    SyncDir,
    Grow(usize, usize),
    /// File, offset, octets, and the lengths of the slices they came in.
    Write(usize, usize, Vec<u8>, Vec<usize>),
    Sync(usize),
    /// A sync that failed: Linux takes the pages for clean, and they are not on the disk.
    FailedSync(usize),
}

type Names = BTreeMap<String, usize>;

#[derive(Debug, Default)]
struct State {
    names: Names,
    files: Vec<Vec<u8>>,
    first_names: Names,
    first_files: Vec<Vec<u8>>,
    steps: Vec<Step>,
    fault: Option<(usize, Fault)>,
    /// Whether the fault has come, and whether it stays.
    failed: bool,
    lasting: bool,
    reads_until_fault: Option<usize>,
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
    /// A world with these files.
    pub(crate) fn holding(files: BTreeMap<String, Vec<u8>>) -> Self {
        let (names, files): (Names, Vec<_>) =
            files.into_iter().enumerate().map(|(id, (name, octets))| ((name, id), octets)).unzip();
        Self::of(names, files)
    }

    fn of(names: Names, files: Vec<Vec<u8>>) -> Self {
        let after = State { first_names: names.clone(), first_files: files.clone(), names, files, ..State::default() };
        Self(Arc::new(Mutex::new(after)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// How many steps there have been.
    pub(crate) fn steps(&self) -> usize {
        self.state().steps.len()
    }

    /// The `n`-th step from now on fails, and all that come after it.
    pub(crate) fn fail_after(&self, n: usize) {
        self.fault_after(n, Fault::Eio, true);
    }

    /// The `n`-th step from now on meets a fault; if it is `lasting`, so do all that come after it.
    pub(crate) fn fault_after(&self, n: usize, fault: Fault, lasting: bool) {
        let mut state = self.state();
        (state.fault, state.lasting, state.failed) = (Some((state.steps.len() + n, fault)), lasting, false);
    }

    /// Whether the fault that was ordered has come.
    pub(crate) fn has_failed(&self) -> bool {
        self.state().failed
    }

    /// The `n`-th read from now on fails, and no other.
    pub(crate) fn fail_read_after(&self, n: usize) {
        self.state().reads_until_fault = Some(n);
    }

    /// Whether the read that was to fail has.
    pub(crate) fn read_has_failed(&self) -> bool {
        self.state().reads_until_fault.is_none()
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
        self.flip(name, offset, 0x40);
    }

    /// Changes some bits of one octet behind the spool's back.
    pub(crate) fn flip(&self, name: &str, offset: usize, bits: u8) {
        let mut state = self.state();
        let id = state.names[name];
        state.files[id][offset] ^= bits;
    }

    /// A file's octets now.
    pub(crate) fn octets(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.files[state.names[name]].clone()
    }

    /// The world a power cut after `steps` steps may leave.
    pub(crate) fn after_cut(&self, steps: usize, loss: Loss) -> Self {
        let mut replay = self.replay(loss);
        replay.advance_to(steps);
        replay.world(loss)
    }

    /// A walk over the steps so far. `at_failure`: what became of what a failed sync was for.
    pub(crate) fn replay(&self, at_failure: Loss) -> Replay {
        let state = self.state();
        Replay::new(state.first_names.clone(), state.first_files.clone(), state.files.len(), state.steps.clone(), at_failure)
    }

    /// The same world after the process was killed behind `steps` steps, the last of which, if it is a write, is done by half when
    /// `torn`. Nothing becomes durable by that: steps count on from there, and a later cut may still lose what was not synced.
    pub(crate) fn after_kill(&self, steps: usize, torn: bool) -> Self {
        let state = self.state();
        let mut steps: Vec<Step> = state.steps.iter().take(steps).cloned().collect();
        if torn && let Some(Step::Write(_, _, octets, _)) = steps.last_mut() {
            octets.truncate(octets.len() / 2);
        }
        let (first_names, first_files) = (state.first_names.clone(), state.first_files.clone());
        let (mut names, mut files) = (first_names.clone(), first_files.clone());
        files.resize(state.files.len(), Vec::new());
        for step in &steps {
            replay::perform(step, &mut names, &mut files, &mut |_| true);
        }
        Self(Arc::new(Mutex::new(State { names, files, first_names, first_files, steps, ..State::default() })))
    }
}

impl State {
    /// What the next step meets.
    fn meets(&mut self) -> Option<Fault> {
        let (at, fault) = self.fault?;
        if self.steps.len() < at || (self.failed && !self.lasting) {
            return None;
        }
        self.failed = true;
        Some(fault)
    }

    /// A step that is done as a whole or not at all.
    fn step(&mut self, step: Step) -> io::Result<()> {
        if let Some(error) = self.meets().and_then(Fault::error) {
            if let Step::Sync(id) = step {
                self.steps.push(Step::FailedSync(id));
            }
            return Err(error);
        }
        self.steps.push(step);
        Ok(())
    }

    fn write(&mut self, id: usize, offset: usize, octets: Vec<u8>, slices: Vec<usize>) {
        let file = &mut self.files[id];
        if file.len() < offset + octets.len() {
            file.resize(offset + octets.len(), 0);
        }
        file[offset..offset + octets.len()].copy_from_slice(&octets);
        self.steps.push(Step::Write(id, offset, octets, slices));
    }
}

impl Fault {
    fn error(self) -> Option<io::Error> {
        match self {
            Self::Eio => Some(io::Error::from_raw_os_error(EIO)),
            Self::Enospc => Some(io::Error::from_raw_os_error(ENOSPC)),
            Self::Short => None,
        }
    }
}

impl Storage for World {
    fn free(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

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
        let lengths = slices.iter().map(|slice| slice.len()).collect();
        let mut octets: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        octets.truncate(state.write_max.unwrap_or(usize::MAX));
        let fault = state.meets();
        if fault.is_some() {
            // Of one octet none is left, which is no short write but one that cannot go on.
            octets.truncate(octets.len().div_ceil(2));
        }
        let len = octets.len();
        state.write(self.id, usize::try_from(offset).unwrap(), octets, lengths);
        fault.and_then(Fault::error).map_or(Ok(len), Err)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.world.state();
        state.reads_until_fault = match state.reads_until_fault {
            Some(0) => {
                state.reads_until_fault = None;
                return Err(io::Error::from_raw_os_error(EIO));
            }
            left => left.map(|left| left - 1),
        };
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
