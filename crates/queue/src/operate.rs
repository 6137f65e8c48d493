//! The queue as its operator sees it: what waits, where, and why; and what may be done about it.
//!
//! Everything that changes something is durable when it returns. Who did it is the caller's to write down.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use posthouse_mail::{LetterId, Reply, UnixMillis};
use posthouse_runtime::{clock, task};

use crate::body::BodyReader;
use crate::entries::{Entry, Part, Phase};
use crate::error::QueueError;
use crate::inspect::{self, Queued};
use crate::lease::{self, Told};
use crate::letter::Change;
use crate::queue::Queue;
use crate::schedule::scheduler::Scheduler;
use crate::schedule::suspend::{Scope, Suspended, Suspension};
use crate::storage::Disk;

/// A line of [`Queue::list`]: what is known without reading the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The letter.
    pub id: LetterId,
    /// Its body's octets.
    pub size: u64,
    /// When it was accepted.
    pub arrived: UnixMillis,
    /// Whether an operator holds it.
    pub held: bool,
    /// What is left of it, by destination.
    pub parts: Vec<ListedPart>,
}

/// A letter's recipients at one destination, that have not all ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPart {
    /// The domain, or the host it was redirected to.
    pub destination: String,
    /// When it is to be tried, or was due.
    pub due: UnixMillis,
    /// What it does now.
    pub state: PartState,
    /// Why nothing goes there now.
    pub blocked: Option<Reply>,
}

/// What a part of a letter does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartState {
    /// It is being delivered.
    Active,
    /// It is due and waits for its turn.
    Ready,
    /// It waits for its time.
    Deferred,
    /// An operator holds it.
    Held,
}

/// What is queued for one site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteStatus {
    /// Its name: the next hop's, or a destination's whose next hop is not known yet.
    pub name: String,
    /// The destinations behind it.
    pub destinations: Vec<String>,
    /// Letters by what they do.
    pub active: usize,
    /// See [`PartState::Ready`].
    pub ready: usize,
    /// See [`PartState::Deferred`].
    pub deferred: usize,
    /// See [`PartState::Held`].
    pub held: usize,
    /// Their bodies' octets.
    pub octets: u64,
    /// When the oldest of them came.
    pub oldest: UnixMillis,
    /// When the next of them is due.
    pub next: Option<UnixMillis>,
    /// How many it gets at a time now; `None` while it is not known.
    pub window: Option<u32>,
    /// Until when it is left alone, and the reason.
    pub closed: Option<(UnixMillis, Reply)>,
    /// Whether it, or everything, is suspended.
    pub suspended: Option<Suspension>,
}

/// A site that answers nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilentSite {
    /// Its name.
    pub name: String,
    /// Since when.
    pub since: UnixMillis,
    /// What came of the last attempt.
    pub why: Reply,
    /// The letters that wait for it.
    pub letters: usize,
}

impl PartState {
    fn of(entry: &Entry, part: &Part, now: UnixMillis) -> Option<Self> {
        match part.phase {
            Phase::Over => None,
            Phase::Leased => Some(Self::Active),
            Phase::Ready | Phase::Waiting if entry.held => Some(Self::Held),
            Phase::Ready => Some(Self::Ready),
            Phase::Waiting if part.due <= now => Some(Self::Ready),
            Phase::Waiting => Some(Self::Deferred),
        }
    }
}

impl Queue {
    /// All queued letters, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let now = UnixMillis(clock::unix_millis());
        let index = self.handle.shared.index();
        let mut list: Vec<_> = index.entries.iter().map(|entry| (entry.lsn, listed(&index.scheduler, entry, now))).collect();
        drop(index);
        // In the order in which they were stored: several may have come in one millisecond.
        list.sort_by_key(|(lsn, _)| *lsn);
        list.into_iter().map(|(_, listed)| listed).collect()
    }

    /// The ids of all queued letters, oldest first: less than [`Queue::list`] takes, for those who read each letter anyway.
    #[must_use]
    pub fn ids(&self) -> Vec<LetterId> {
        let mut order: Vec<_> = self.handle.shared.index().entries.iter().map(|entry| (entry.lsn, entry.id)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, id)| id).collect()
    }

    /// The line of one letter; `None` when it is not queued.
    #[must_use]
    pub fn line(&self, id: LetterId) -> Option<Listed> {
        let now = UnixMillis(clock::unix_millis());
        let index = self.handle.shared.index();
        let entry = index.entry(index.key(id)?)?;
        Some(listed(&index.scheduler, entry, now))
    }

    /// The octets of all queued letters.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.handle.shared.index().entries.iter().map(|entry| entry.size).sum()
    }

    /// The octets that are left where the spool lies; `None` when the file system does not say.
    #[must_use]
    pub fn disk_free(&self) -> Option<u64> {
        self.handle.storage.free().ok()
    }

    /// One letter with its envelope and states, read from disk; `None` when it is not queued.
    ///
    /// # Errors
    /// [`QueueError::Damaged`].
    pub fn get(&self, id: LetterId) -> Result<Option<Queued>, QueueError> {
        let shared = &self.handle.shared;
        let Some((key, leased)) = ({
            let index = shared.index();
            index.key(id).and_then(|key| Some((key, index.entry(key)?.is_leased())))
        }) else {
            return Ok(None);
        };
        match lease::tell(shared, id, key) {
            Ok(Told { letter, state, size, .. }) => Ok(Some(Queued::new(id, letter, state, size, Some(leased)))),
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

    /// Changes what is to be done with a letter.
    ///
    /// # Errors
    /// [`QueueError::Gone`], [`QueueError::Damaged`], [`QueueError::Full`], [`QueueError::Failed`].
    pub async fn change(&self, id: LetterId, change: Change) -> Result<(), QueueError> {
        lease::change(&self.handle, id, change, UnixMillis(clock::unix_millis())).await
    }

    /// What is queued for each site, by name.
    #[must_use]
    pub fn sites(&self) -> Vec<SiteStatus> {
        let now = UnixMillis(clock::unix_millis());
        let index = self.handle.shared.index();
        let scheduler = &index.scheduler;
        let mut sites: BTreeMap<String, SiteStatus> = BTreeMap::new();
        let mut destinations: BTreeMap<u32, String> = BTreeMap::new();
        for (_, site) in scheduler.sites() {
            if !site.is_idle() {
                sites.insert(site.name.to_string(), status(scheduler, &site.name, now));
            }
        }
        for (_, entry, part) in index.entries.parts() {
            let Some(state) = PartState::of(entry, part, now) else { continue };
            let name = destinations.entry(part.destination).or_insert_with(|| site_name(scheduler, part.destination));
            let site = sites.entry(name.clone()).or_insert_with(|| status(scheduler, name, now));
            site.count(entry, part, state);
        }
        for (number, name) in destinations {
            if let (Some(site), Some(known)) = (sites.get_mut(&name), scheduler.destinations.get(number)) {
                site.destinations.push(known.destination.to_string());
            }
        }
        sites.into_values().collect()
    }

    /// The sites that have answered nothing since `before` or earlier, with how many letters wait for each. Where all is well it costs nothing.
    #[must_use]
    pub fn silent_sites(&self, before: UnixMillis) -> Vec<SilentSite> {
        let index = self.handle.shared.index();
        let scheduler = &index.scheduler;
        let silent = scheduler.sites().filter_map(|(number, site)| {
            let closed = site.trouble().filter(|closed| closed.since <= before)?;
            let (since, why) = (closed.since, closed.why.clone());
            Some((number, SilentSite { name: site.name.to_string(), since, why, letters: 0 }))
        });
        let mut silent: BTreeMap<u32, SilentSite> = silent.collect();
        if silent.is_empty() {
            return Vec::new();
        }
        for (_, _, part) in index.entries.parts().filter(|(_, _, part)| part.phase != Phase::Over) {
            let site = scheduler.destinations.get(part.destination).and_then(|known| known.site);
            if let Some(site) = site.and_then(|number| silent.get_mut(&number)) {
                site.letters += 1;
            }
        }
        silent.into_values().filter(|site| site.letters > 0).collect()
    }

    /// Stops delivery to a destination or a site, or all of it; letters are taken as before. It lasts until it is taken back or its
    /// time is over, also over restarts.
    ///
    /// # Errors
    /// [`QueueError::Io`]: it could not be stored, and nothing is suspended.
    pub async fn suspend(&self, scope: Scope, suspension: Suspension) -> Result<(), QueueError> {
        self.store_suspended(|suspended| suspended.set(scope, suspension)).await
    }

    /// Takes a suspension back; says whether there was one.
    ///
    /// # Errors
    /// [`QueueError::Io`]: it could not be stored, and it lasts.
    pub async fn resume(&self, scope: &Scope) -> Result<bool, QueueError> {
        let mut was = false;
        self.store_suspended(|suspended| was = suspended.clear(scope)).await?;
        self.handle.shared.index().resume(UnixMillis(clock::unix_millis()));
        self.handle.shared.due.notify_one();
        Ok(was)
    }

    /// All that is suspended.
    #[must_use]
    pub fn suspensions(&self) -> Vec<(Scope, Suspension)> {
        self.handle.shared.index().scheduler.suspended.list()
    }

    async fn store_suspended(&self, change: impl FnOnce(&mut Suspended)) -> Result<(), QueueError> {
        let _one_at_a_time = self.handle.suspending.lock().await;
        let mut suspended = self.handle.shared.index().scheduler.suspended.clone();
        change(&mut suspended);
        let (storage, next) = (Arc::clone(&self.handle.storage), suspended.clone());
        let stored = task::blocking(move || next.store(storage.as_ref())).await;
        stored.map_err(|error| QueueError::io("cannot store what is suspended", &error))?;
        self.handle.shared.index().scheduler.suspended = suspended;
        Ok(())
    }
}

fn listed(scheduler: &Scheduler, entry: &Entry, now: UnixMillis) -> Listed {
    let parts = entry.parts.iter().filter_map(|part| {
        let state = PartState::of(entry, part, now)?;
        let destination = scheduler.destinations.get(part.destination)?.destination.to_string();
        let blocked = scheduler.why_blocked(part.destination, now);
        Some(ListedPart { destination, due: part.due.max(entry.arrived), state, blocked })
    });
    Listed { id: entry.id, size: entry.size, arrived: entry.arrived, held: entry.held, parts: parts.collect() }
}

fn site_name(scheduler: &Scheduler, destination: u32) -> String {
    let Some(known) = scheduler.destinations.get(destination) else { return String::new() };
    let site = known.site.and_then(|number| scheduler.site(number));
    site.map_or_else(|| known.destination.to_string(), |site| site.name.to_string())
}

fn status(scheduler: &Scheduler, name: &str, now: UnixMillis) -> SiteStatus {
    let site = scheduler.find(name);
    let trouble = site.and_then(|site| site.closed_at(now).or(site.trouble()));
    SiteStatus {
        name: name.to_owned(),
        destinations: Vec::new(),
        active: 0,
        ready: 0,
        deferred: 0,
        held: 0,
        octets: 0,
        oldest: now,
        next: None,
        window: site.map(crate::schedule::site::Site::window),
        closed: trouble.map(|closed| (closed.until, closed.why.clone())),
        suspended: scheduler.suspended.everything().or_else(|| scheduler.suspended.name(name)).cloned(),
    }
}

impl SiteStatus {
    fn count(&mut self, entry: &Entry, part: &Part, state: PartState) {
        let count = match state {
            PartState::Active => &mut self.active,
            PartState::Ready => &mut self.ready,
            PartState::Deferred => &mut self.deferred,
            PartState::Held => &mut self.held,
        };
        *count += 1;
        self.octets = self.octets.saturating_add(entry.size);
        self.oldest = self.oldest.min(entry.arrived);
        if matches!(state, PartState::Ready | PartState::Deferred) {
            let due = part.due.max(entry.arrived);
            self.next = Some(self.next.map_or(due, |next| next.min(due)));
        }
    }
}
