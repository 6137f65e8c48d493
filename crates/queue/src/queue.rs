//! The queue as the rest of Posthouse sees it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use posthouse_mail::{LetterId, UnixMillis};
use posthouse_runtime::{actor, clock, random};

use crate::body::BodyReader;
use crate::draft::Draft;
use crate::error::QueueError;
use crate::index::{Key, Shared, Sizes};
use crate::inspect::{self, Inspection, Queued};
use crate::lease::{self, Lease};
use crate::ops::Handle;
use crate::recover::{self, Recovered};
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
/// Nobody sleeps longer than this for a letter that is not due; the clock may be set meanwhile.
const NAP_MAX: Duration = Duration::from_secs(60);

/// The queue of undelivered mail. Clones are the same queue; when the last clone, draft and lease is dropped it is closed.
#[derive(Debug, Clone)]
pub struct Queue {
    handle: Arc<Handle>,
}

/// A line of [`Queue::list`]: what is known without reading the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// The letter.
    pub id: LetterId,
    /// Its body's octets.
    pub size: u64,
    /// When it is next to be tried.
    pub due: UnixMillis,
    /// Whether it is being delivered now.
    pub leased: bool,
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
        Self::open_on(Arc::new(disk), Sizes::of(settings))
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

    pub(crate) fn open_on(storage: Arc<dyn Storage>, sizes: Sizes) -> Result<(Self, Recovered), QueueError> {
        let recovery = recover::recover(storage.as_ref(), sizes)?;
        let recovered = recovery.recovered.clone();
        recovered.log();
        let shared = Arc::new(Shared::new(recovery.index, sizes));
        let (sender, receiver) = actor::inbox();
        let writer = Writer::new(Arc::clone(&shared), storage, recovery.logs, receiver)?;
        let writer = actor::start("spool", writer.run()).map_err(|error| QueueError::io("no thread for the spool", &error))?;
        Ok((Self { handle: Arc::new(Handle::new(shared, sender, writer)) }, recovered))
    }

    /// Begins a letter with an id of its own.
    ///
    /// # Errors
    /// [`QueueError::Full`] and [`QueueError::Failed`]: the letter is to be refused before it is sent.
    pub fn begin(&self) -> Result<Draft, QueueError> {
        self.handle.admit()?;
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

    /// Waits until a letter is due and leases it. Cancel-safe. After a failure of the log it waits for ever: what could not be
    /// recorded must not be delivered.
    pub async fn lease(&self) -> Lease {
        loop {
            if let Some(lease) = self.lease_many(1).await.pop() {
                return lease;
            }
        }
    }

    /// Waits until a letter is due and leases up to `max` that are, in the order they are due. Cancel-safe.
    pub async fn lease_many(&self, max: usize) -> Vec<Lease> {
        loop {
            let now = UnixMillis(clock::unix_millis());
            let leases = self.lease_due(now, max.max(1));
            if !leases.is_empty() {
                return leases;
            }
            let next = self.handle.shared.index().next_due();
            let nap = next.map_or(NAP_MAX, |next| next.since(now).min(NAP_MAX));
            posthouse_runtime::select! {
                () = self.handle.shared.due.notified() => {}
                () = clock::sleep(nap) => {}
            }
        }
    }

    /// Leases up to `max` letters that are due at `now`, without waiting.
    #[must_use]
    pub fn lease_due(&self, now: UnixMillis, max: usize) -> Vec<Lease> {
        let shared = &self.handle.shared;
        if shared.check().is_err() {
            return Vec::new();
        }
        let mut leases = Vec::new();
        while leases.len() < max {
            let Some((id, key)) = self.lease_next(now) else { break };
            // One that cannot be read has been logged and put off.
            leases.extend(Lease::read(&self.handle, id, key));
        }
        if !leases.is_empty() && shared.index().next_due().is_some_and(|next| next <= now) {
            // There is more: another one who waits may take it.
            shared.due.notify_one();
        }
        leases
    }

    fn lease_next(&self, now: UnixMillis) -> Option<(LetterId, Key)> {
        let mut index = self.handle.shared.index();
        let key = index.lease_next(now)?;
        Some((index.entry(key)?.id, key))
    }

    /// Leases one letter by its id, due or not: for an operator who retries or removes it.
    ///
    /// # Errors
    /// [`QueueError::Gone`] when it is not queued or is being delivered; [`QueueError::Damaged`]; [`QueueError::Failed`].
    pub fn lease_letter(&self, id: LetterId) -> Result<Lease, QueueError> {
        self.handle.shared.check()?;
        let key = self.handle.shared.index().lease_one(id).ok_or(QueueError::Gone(id))?;
        Lease::read(&self.handle, id, key)
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

    /// All queued letters, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let index = self.handle.shared.index();
        let line = |entry: &crate::index::Entry| Listed { id: entry.id, size: entry.size, due: entry.due, leased: entry.leased };
        let mut list: Vec<_> = index.entries().map(line).collect();
        drop(index);
        list.sort_by_key(|listed| listed.id);
        list
    }

    /// One letter with its envelope and states, read from disk; `None` when it is not queued.
    ///
    /// # Errors
    /// [`QueueError::Damaged`].
    pub fn get(&self, id: LetterId) -> Result<Option<Queued>, QueueError> {
        let shared = &self.handle.shared;
        let Some((key, leased)) = ({
            let index = shared.index();
            index.key(id).and_then(|key| Some((key, index.entry(key)?.leased)))
        }) else {
            return Ok(None);
        };
        match lease::tell(shared, id, key) {
            Ok(told) => {
                Ok(Some(Queued { id, letter: told.letter, recipients: told.recipients, size: told.size, leased: Some(leased) }))
            }
            Err(QueueError::Gone(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first octets of a letter's body, at least `bytes_min` of them where there are so many, without leasing it: for an operator who
    /// looks at its header. Nothing when it is not queued.
    ///
    /// # Errors
    /// [`QueueError::Damaged`].
    pub async fn peek(&self, id: LetterId, bytes_min: usize) -> Result<Vec<u8>, QueueError> {
        let Some(key) = self.handle.shared.index().key(id) else { return Ok(Vec::new()) };
        let told = match lease::tell(&self.handle.shared, id, key) {
            Err(QueueError::Gone(_)) => return Ok(Vec::new()),
            told => told?,
        };
        let mut body = BodyReader::new(Arc::clone(&self.handle), id, key, told.size, told.chunks);
        let mut begin = Vec::new();
        while begin.len() < bytes_min {
            match body.read_next().await {
                Ok(Some(chunk)) => begin.extend_from_slice(&chunk),
                Ok(None) | Err(QueueError::Gone(_)) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(begin)
    }

    /// As [`Queue::peek`], in a spool that no server has open, or that one does.
    ///
    /// # Errors
    /// As [`Queue::open_read_only`].
    pub fn peek_read_only(dir: &Path, id: LetterId, bytes_min: usize) -> Result<Vec<u8>, QueueError> {
        let disk =
            Disk::unlocked(dir).map_err(|error| QueueError::io(format!("cannot open the spool {}", dir.display()), &error))?;
        inspect::peek(&disk, id, bytes_min)
    }

    /// Whether new letters can be taken.
    ///
    /// # Errors
    /// Why not: what [`Queue::begin`] would say.
    pub fn check(&self) -> Result<(), QueueError> {
        self.handle.admit()
    }
}
