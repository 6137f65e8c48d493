//! The steps of a run again, as a disk sees them: what is synced stays, what is not may be lost in many ways.

use super::{Names, Step, World};

const SECTOR: usize = 512;
/// Less than any disk tears: the size of a record's header.
const SHRED: usize = 64;

/// What becomes of steps that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// All of them are lost.
    Everything,
    /// None is.
    Nothing,
    /// The first half is kept; the last write of it ends in the middle.
    Tail,
    /// Only the last one is kept: the disk wrote it first.
    Head,
    /// Of each write every other slice of those it was given is kept; the number says which.
    Slices(usize),
    /// Each sector by itself, by chance.
    Sectors(u64),
    /// Each run of 64 octets by itself, by chance.
    Shreds(u64),
    /// Each sector, counted over all steps, as the bits say: every outcome there can be, when there are few.
    Chosen(u64),
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Replay {
    names: Names,
    files: Vec<Vec<u8>>,
    steps: Vec<Step>,
    at: usize,
    waiting: Vec<Step>,
    at_failure: Loss,
}

impl Replay {
    pub(super) fn new(names: Names, mut files: Vec<Vec<u8>>, count: usize, steps: Vec<Step>, at_failure: Loss) -> Self {
        files.resize(count, Vec::new());
        Self { names, files, steps, at: 0, waiting: Vec::new(), at_failure }
    }

    /// Goes on until so many steps are done.
    pub(crate) fn advance_to(&mut self, steps: usize) {
        while self.at < steps.min(self.steps.len()) {
            let step = self.steps[self.at].clone();
            self.at += 1;
            self.take(step);
        }
    }

    fn take(&mut self, step: Step) {
        let settled = |other: &Step| match (&step, other) {
            (Step::Sync(id) | Step::FailedSync(id), Step::Grow(other, _) | Step::Write(other, ..)) => id == other,
            (Step::SyncDir, Step::Create(..) | Step::Remove(..)) => true,
            _ => false,
        };
        let (done, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().partition(settled);
        self.waiting = waiting;
        let loss = if matches!(step, Step::FailedSync(_)) { self.at_failure } else { Loss::Nothing };
        lose(&done, loss, &mut self.names, &mut self.files);
        if !matches!(step, Step::Sync(_) | Step::FailedSync(_) | Step::SyncDir) {
            self.waiting.push(step);
        }
    }

    /// How many sectors and other single changes wait for a sync: so many things a power cut may keep or lose.
    pub(crate) fn at_stake(&self) -> usize {
        self.waiting.iter().map(|step| sectors(step).len()).sum()
    }

    /// The world a power cut here may leave.
    pub(crate) fn world(&self, loss: Loss) -> World {
        let (mut names, mut files) = (self.names.clone(), self.files.clone());
        lose(&self.waiting, loss, &mut names, &mut files);
        World::of(names, files)
    }
}

/// The numbers of the sectors a step touches.
fn sectors(step: &Step) -> std::ops::Range<usize> {
    match step {
        Step::Write(_, offset, octets, _) => offset / SECTOR..(offset + octets.len()).div_ceil(SECTOR),
        Step::Create(..) | Step::Remove(_) | Step::Grow(..) => 0..1,
        Step::SyncDir | Step::Sync(_) | Step::FailedSync(_) => 0..0,
    }
}

fn lose(waiting: &[Step], loss: Loss, names: &mut Names, files: &mut [Vec<u8>]) {
    let last = waiting.len().saturating_sub(1);
    let mut chance = 0x9e37_79b9_7f4a_7c15u64;
    let mut flip = move |seed: u64| {
        chance = (chance ^ seed).wrapping_mul(0x2545_f491_4f6c_dd1d);
        chance ^= chance >> 29;
        chance & 4 != 0
    };
    let mut counted = 0;
    for (number, step) in waiting.iter().enumerate() {
        let first = sectors(step).start;
        let mut keep: Box<dyn FnMut(usize) -> bool> = match loss {
            Loss::Everything => Box::new(|_| false),
            Loss::Nothing => Box::new(|_| true),
            Loss::Tail if number < last / 2 => Box::new(|_| true),
            Loss::Tail if number == last / 2 => {
                let half = if let Step::Write(_, offset, octets, _) = step { offset + octets.len() / 2 } else { 0 };
                Box::new(move |at| at < half)
            }
            Loss::Tail => Box::new(|_| false),
            Loss::Head => Box::new(move |_| number == last),
            Loss::Slices(odd) => by_slice(step, odd),
            Loss::Sectors(seed) => by_chance(SECTOR, move || flip(seed)),
            Loss::Shreds(seed) => by_chance(SHRED, move || flip(seed)),
            Loss::Chosen(bits) => Box::new(move |at| bits >> (counted + at / SECTOR - first).min(63) & 1 != 0),
        };
        perform(step, names, files, &mut keep);
        counted += sectors(step).len();
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

fn by_slice(step: &Step, odd: usize) -> Box<dyn FnMut(usize) -> bool> {
    let Step::Write(_, offset, _, slices) = step else { return Box::new(move |_| odd == 0) };
    let ends: Vec<usize> = slices
        .iter()
        .scan(*offset, |end, len| {
            *end += len;
            Some(*end)
        })
        .collect();
    Box::new(move |at| ends.partition_point(|&end| end <= at) % 2 == odd)
}

/// Does a step, octet by octet as `keep` (by offset) lets it; what is not an octet is asked for as offset 0.
pub(super) fn perform(step: &Step, names: &mut Names, files: &mut [Vec<u8>], keep: &mut dyn FnMut(usize) -> bool) {
    match step {
        Step::Create(name, id) if keep(0) => drop(names.insert(name.clone(), *id)),
        Step::Remove(name) if keep(0) => drop(names.remove(name)),
        Step::Grow(id, len) if keep(0) && files[*id].len() < *len => files[*id].resize(*len, 0),
        Step::Write(id, offset, octets, _) => {
            for (at, octet) in (*offset..).zip(octets) {
                if keep(at) {
                    if files[*id].len() <= at {
                        files[*id].resize(at + 1, 0);
                    }
                    files[*id][at] = *octet;
                }
            }
        }
        Step::Create(..) | Step::Remove(..) | Step::Grow(..) | Step::SyncDir | Step::Sync(_) | Step::FailedSync(_) => {}
    }
}
