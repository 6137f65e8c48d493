//! The queue as the rest of Posthouse sees it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use posthouse_mail::{LetterId, UnixMillis};
use posthouse_runtime::{actor, clock, random};

use crate::draft::Draft;
use crate::error::QueueError;
use crate::index::{Shared, Sizes};
use crate::inspect::{self, Inspection};
use crate::lease::Lease;
use crate::limits::Limits;
use crate::ops::Handle;
use crate::recover::{self, Recovered};
use crate::schedule::destinations::Destination;
use crate::schedule::scheduler::Step;
use crate::schedule::site::SiteLimits;
use crate::schedule::suspend::Suspended;
use crate::settings::Settings;
use crate::storage::{Disk, Storage};
use crate::writer::Writer;

/// A hot or cold segment.
const SEGMENT_BYTES: u32 = 16 * 1024 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;
/// What one batch gathers: a fraction of a second on a slow disk, and less than a segment.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// The least ring that can be evacuated while it is written: one written, one in reserve, two to take turns.
const HOT_SEGMENTS_MIN: u64 = 4;
const HOT_SEGMENTS_MAX: u64 = 4096;
/// Nobody sleeps longer than this for a letter that is not due: the clock may be set meanwhile, and letters that cannot go are looked
/// at from time to time.
const NAP_MAX: Duration = Duration::from_secs(5);

/// The queue of undelivered mail. Clones are the same queue; when the last clone, draft and lease is dropped it is closed.
#[derive(Debug, Clone)]
pub struct Queue {
    pub(crate) handle: Arc<Handle>,
}

/// What delivery is to do next.
#[derive(Debug)]
pub enum Work {
    /// Say where this destination's letters go: answered by [`Queue::place`], else they wait.
    Place(Destination),
    /// Try this letter.
    Carry(Box<Lease>),
}

impl Sizes {
    fn of(settings: &Settings) -> Self {
        let segment = u64::from(SEGMENT_BYTES);
        let hot = (settings.spool_size.bytes() / segment).clamp(HOT_SEGMENTS_MIN, HOT_SEGMENTS_MAX);
        let cold = (settings.size_max.bytes() / segment).saturating_sub(hot).max(1);
        Self {
            segment: SEGMENT_BYTES,
            hot_max: usize::try_from(hot).unwrap_or(usize::MAX),
            cold_max: usize::try_from(cold).unwrap_or(usize::MAX),
            chunk: CHUNK_BYTES,
            batch: BATCH_BYTES,
        }
    }
}

impl Queue {
    /// Opens the spool in `dir`, making it if it is not there, and recovers what it holds.
    ///
    /// # Errors
    /// [`QueueError::Locked`] when another process (or another queue of this one) has it open; [`QueueError::Format`];
    /// [`QueueError::Io`].
    pub fn open(settings: &Settings, dir: &Path) -> Result<(Self, Recovered), QueueError> {
        let disk =
            Disk::locked(dir).map_err(|error| QueueError::io(format!("cannot open the spool {}", dir.display()), &error))?;
        let disk = disk.ok_or_else(|| QueueError::Locked(dir.to_owned()))?;
        Self::open_on(Arc::new(disk), Sizes::of(settings), settings.clone())
    }

    /// Reads what a spool holds, whether a server has it open or not. Nothing is changed.
    ///
    /// # Errors
    /// [`QueueError::Format`], [`QueueError::Io`].
    pub fn open_read_only(dir: &Path) -> Result<Inspection, QueueError> {
        let disk =
            Disk::unlocked(dir).map_err(|error| QueueError::io(format!("cannot open the spool {}", dir.display()), &error))?;
        inspect::inspect(&disk)
    }

    pub(crate) fn open_on(storage: Arc<dyn Storage>, sizes: Sizes, settings: Settings) -> Result<(Self, Recovered), QueueError> {
        let mut recovery = recover::recover(storage.as_ref(), sizes, &settings.sources)?;
        let recovered = recovery.recovered.clone();
        recovered.log();
        let limits = Limits::new(&settings);
        let sources = settings.sources.clone();
        recovery.index.scheduler.settings = settings;
        recovery.index.scheduler.suspended =
            Suspended::open(storage.as_ref()).map_err(|error| QueueError::io("cannot read what is suspended", &error))?;
        let shared = Arc::new(Shared::new(recovery.index, sizes, sources));
        let (sender, receiver) = actor::inbox();
        let writer = Writer::new(Arc::clone(&shared), Arc::clone(&storage), recovery.logs, receiver)?;
        let writer = actor::start("spool", writer.run()).map_err(|error| QueueError::io("no thread for the spool", &error))?;
        Ok((Self { handle: Arc::new(Handle::new(shared, storage, sender, writer, limits)) }, recovered))
    }

    /// Takes what may change while the queue is open: everything but the sizes of the spool and the sources. What has been decided stays: an attempt that is
    /// due at a time is made then.
    pub fn configure(&self, settings: &Settings) {
        self.handle.limits.set(settings);
        let mut index = self.handle.shared.index();
        let sources = std::mem::take(&mut index.scheduler.settings.sources);
        index.scheduler.settings = Settings { sources, ..settings.clone() };
    }

    /// Begins a letter with an id of its own.
    ///
    /// # Errors
    /// [`QueueError::Full`] and [`QueueError::Failed`]: the letter is to be refused before it is sent.
    pub fn begin(&self) -> Result<Draft, QueueError> {
        self.handle.admit_new()?;
        let id = LetterId::new(UnixMillis(clock::unix_millis()), random::u128());
        Ok(Draft::new(Arc::clone(&self.handle), id, false))
    }

    /// Begins a letter with an id derived from something else, so that doing it again after a crash does not make two of it.
    ///
    /// # Errors
    /// As [`Queue::begin`].
    pub fn begin_as(&self, id: LetterId) -> Result<Draft, QueueError> {
        self.handle.admit()?;
        Ok(Draft::new(Arc::clone(&self.handle), id, true))
    }

    /// Waits until there is something to do. Cancel-safe. After a failure of the log it waits for ever: what could not be recorded
    /// must not be delivered.
    pub async fn work(&self) -> Work {
        loop {
            let now = UnixMillis(clock::unix_millis());
            if let Some(work) = self.work_at(now) {
                return work;
            }
            let next = self.handle.shared.index().scheduler.wake_at();
            let nap = next.map_or(NAP_MAX, |next| next.since(now).min(NAP_MAX));
            posthouse_runtime::select! {
                () = self.handle.shared.due.notified() => {}
                () = clock::sleep(nap) => {}
            }
        }
    }

    /// What there is to do at `now`, without waiting.
    #[must_use]
    pub fn work_at(&self, now: UnixMillis) -> Option<Work> {
        let shared = &self.handle.shared;
        loop {
            if shared.check().is_err() {
                return None;
            }
            let next = shared.index().next(now)?;
            match next {
                (Step::Place(destination), _) => return Some(Work::Place(destination)),
                (Step::Start { site, blocked, .. }, Some(handed)) => {
                    // One that cannot be read has been logged and put off.
                    if let Ok(lease) = Lease::read(&self.handle, handed, site, blocked) {
                        return Some(Work::Carry(Box::new(lease)));
                    }
                }
                // It ended between two looks.
                (Step::Start { .. }, None) => {}
            }
        }
    }

    /// Says which site a destination belongs to and how that is treated; it holds until `good_until`.
    pub fn place(&self, destination: &Destination, site: &str, limits: SiteLimits, good_until: UnixMillis) {
        self.handle.shared.index().place_at(destination, (site, limits), good_until);
        self.handle.shared.due.notify_one();
    }

    /// Leases one letter whole by its id, due or not: for an operator who removes it.
    ///
    /// # Errors
    /// [`QueueError::Gone`] when it is not queued or is being delivered; [`QueueError::Damaged`]; [`QueueError::Failed`].
    pub fn lease_letter(&self, id: LetterId) -> Result<Lease, QueueError> {
        self.handle.shared.check()?;
        let handed = self.handle.shared.index().lease_whole(id).ok_or(QueueError::Gone(id))?;
        Lease::read(&self.handle, handed, None, None)
    }

    /// How many letters are queued.
    #[must_use]
    pub fn len(&self) -> usize {
        self.handle.shared.index().len()
    }

    /// Whether none are.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether new letters can be taken.
    ///
    /// # Errors
    /// Why not: what [`Queue::begin`] would say.
    pub fn check(&self) -> Result<(), QueueError> {
        self.handle.admit_new()
    }
}
