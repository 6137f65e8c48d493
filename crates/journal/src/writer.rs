//! The one thread that writes.
//!
//! It takes whatever waits in the channel, writes it in one transaction (fifty of them a second at most, while nobody waits for one), answers those who asked to be told, and prunes now and then.
//! It ends when the last [`crate::Journal`] is dropped and the channel is empty. A failed write is logged and its entries are lost.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use posthouse_mail::UnixMillis;
use posthouse_runtime::actor::{self, BoundedSender, Inbox, Received, Sender};
use posthouse_runtime::sync::oneshot;
use posthouse_runtime::{clock, task};

use crate::entry::Entry;
use crate::error::JournalError;
use crate::recent::Recent;
use crate::settings::Settings;
use crate::store;

/// Entries that wait for the writer: a few seconds of a busy server, some megabytes.
const WAITING_MAX: usize = 16_384;
/// Entries of one transaction.
const BATCH_MAX: usize = 2_048;
/// While entries keep coming, how long after one transaction the next begins: what comes meanwhile is written at once, and costs a fraction.
const PACE: Duration = Duration::from_millis(20);
/// How often the limits are looked at.
const PRUNE_EVERY: Duration = Duration::from_secs(30);
/// Entries removed in one transaction, so that recording does not wait for long.
const PRUNE_BATCH: u32 = 2_000;

/// What is sent to the thread.
enum Order {
    Write(Box<Entry>),
    Flushed(oneshot::Sender<()>),
}

/// The way to the thread.
pub(crate) struct Writer {
    orders: BoundedSender<Order>,
    /// Somebody waits: the next transaction begins now.
    hurry: Sender<()>,
    lost: Arc<AtomicU64>,
    settings: Arc<Mutex<Settings>>,
}

impl Writer {
    /// Opens the file and starts the thread.
    pub(crate) fn start(path: &Path, settings: Settings) -> Result<Self, JournalError> {
        let connection = store::open_writer(path)?;
        let (orders, waiting) = actor::bounded_inbox(WAITING_MAX);
        let (hurry, hurried) = actor::inbox();
        let lost = Arc::new(AtomicU64::new(0));
        let (recent, shared) = (Recent::default(), Arc::clone(&lost));
        let settings = Arc::new(Mutex::new(settings));
        let thread = Thread {
            connection,
            recent,
            settings: Arc::clone(&settings),
            hurried,
            lost: shared,
            told: 0,
            written: None,
            pruned: None,
        };
        actor::start("journal", thread.run(waiting)).map_err(|error| JournalError::at(path, error))?;
        Ok(Self { orders, hurry, lost, settings })
    }

    /// From the next look at the limits on, these hold.
    pub(crate) fn configure(&self, settings: Settings) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// Hands an entry over, or counts it as lost.
    pub(crate) fn record(&self, entry: Entry) {
        // Full; or the thread died of a fault of ours, which was logged there.
        if self.orders.try_send(Order::Write(Box::new(entry))).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything recorded before is in the file, or lost.
    pub(crate) async fn flush(&self) {
        let (done, told) = oneshot::channel();
        let (orders, hurry) = (self.orders.clone(), self.hurry.clone());
        // The channel may be full, and this order must not be lost.
        let sent = task::blocking(move || orders.send(Order::Flushed(done)).is_ok() && hurry.send(()).is_ok()).await;
        if sent {
            // An error means that the thread is gone, and there is nothing to wait for.
            let _ = told.await;
        }
    }

    /// How many entries were not written.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

struct Thread {
    connection: Connection,
    recent: Recent,
    settings: Arc<Mutex<Settings>>,
    hurried: Inbox<()>,
    lost: Arc<AtomicU64>,
    /// How many lost entries the log knows of.
    told: u64,
    /// When the last transaction began.
    written: Option<Instant>,
    /// When the limits were last looked at; none when there is more to remove.
    pruned: Option<Instant>,
}

impl Thread {
    async fn run(mut self, mut waiting: Inbox<Order>) {
        loop {
            let wait = if self.pruned.is_some() { PRUNE_EVERY } else { Duration::ZERO };
            match waiting.recv_within(wait).await {
                Received::Message(first) => {
                    self.pace().await;
                    self.batch(first, &mut waiting);
                }
                Received::Nothing => {}
                Received::Closed => return,
            }
            self.tell_lost();
            self.prune_when_due();
        }
    }

    /// Lets entries gather, unless it is long since the last were written or somebody waits.
    async fn pace(&mut self) {
        let rest =
            self.written.map_or(Duration::ZERO, |written| PACE.saturating_sub(clock::now().saturating_duration_since(written)));
        if !rest.is_zero() {
            // Hurried by whoever asked, or by the end of all who could: in each case it is time.
            let _ = self.hurried.recv_within(rest).await;
        }
        self.written = Some(clock::now());
    }

    fn batch(&mut self, first: Order, waiting: &mut Inbox<Order>) {
        let mut entries = Vec::new();
        let mut flushed = Vec::new();
        let mut next = Received::Message(first);
        while let Received::Message(order) = next {
            match order {
                Order::Write(entry) => entries.push(*entry),
                Order::Flushed(done) => flushed.push(done),
            }
            next = if entries.len() + flushed.len() < BATCH_MAX { waiting.try_recv() } else { Received::Nothing };
        }
        if !entries.is_empty()
            && let Err(error) = store::append(&mut self.connection, &entries, &mut self.recent)
        {
            // What it knows was rolled back.
            self.recent = Recent::default();
            tracing::error!(%error, entries = entries.len(), "the journal could not be written");
            self.lost.fetch_add(u64::try_from(entries.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        for done in flushed {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }

    fn tell_lost(&mut self) {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > self.told {
            tracing::warn!(entries = lost - self.told, "journal entries were lost: more came than could be written");
            self.told = lost;
        }
    }

    fn prune_when_due(&mut self) {
        let now = clock::now();
        if self.pruned.is_some_and(|last| now.saturating_duration_since(last) < PRUNE_EVERY) {
            return;
        }
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let keep = u64::try_from(settings.keep.duration().as_millis()).unwrap_or(u64::MAX);
        let before = UnixMillis(clock::unix_millis().saturating_sub(keep));
        match store::prune(&mut self.connection, before, settings.size_max, PRUNE_BATCH) {
            Ok(gone) if u32::try_from(gone).is_ok_and(|gone| gone >= PRUNE_BATCH) => self.pruned = None,
            Ok(_) => self.pruned = Some(now),
            Err(error) => {
                tracing::warn!(%error, "the journal could not be pruned");
                self.pruned = Some(now);
            }
        }
    }
}

#[cfg(test)]
mod tests;
