//! The one thread that writes the spool.
//!
//! It takes whatever waits, writes it with one vectored write per file, syncs, and answers all who waited; meanwhile the next batch
//! gathers. No delay is added. Between batches, when all it knows is durable, it does the upkeep in small steps. A failed write or
//! sync ends it: everybody who waits, and everybody who comes later, is refused, and nothing is tried again, for after a failed
//! sync nobody knows what is on the disk.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use posthouse_mail::{LetterId, UnixMillis};
use posthouse_runtime::actor::{Inbox, Received};
use posthouse_runtime::clock;
use thiserror::Error;

use crate::error::QueueError;
use crate::index::{Piece, Shared};
use crate::lease::GIVEN_BACK;
use crate::ops::{Op, Record};
use crate::storage::{File, Storage};

mod apply;
mod aside;
mod batch;
mod helper;
pub(crate) mod log;
mod plan;
mod room;
mod upkeep;

use batch::Batch;
use helper::Helper;
use log::Logs;

/// The wishes one batch takes at most.
const BATCH_OPS_MAX: usize = 4096;

/// The log cannot be written any more.
#[derive(Debug, Error)]
#[error("{what}: {cause}")]
struct Broken {
    what: &'static str,
    cause: io::Error,
}

/// A draft's chunks that are in the log.
#[derive(Debug)]
struct OpenDraft {
    id: LetterId,
    pieces: Vec<Piece>,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    storage: Arc<dyn Storage>,
    logs: Logs,
    ops: Inbox<Op>,
    /// Wishes that did not fit into the last batch.
    backlog: VecDeque<Op>,
    drafts: BTreeMap<u64, OpenDraft>,
    /// Written and not synced.
    dirty: Vec<Arc<dyn File>>,
    dirty_bytes: u64,
    helper: Helper,
    /// Since when, and why, no file can be made.
    blocked: Option<(u64, String)>,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, storage: Arc<dyn Storage>, logs: Logs, ops: Inbox<Op>) -> Result<Self, QueueError> {
        let helper = Helper::start(Arc::clone(&storage)).map_err(|error| QueueError::io("no thread for the spool", &error))?;
        Ok(Self {
            shared,
            storage,
            logs,
            ops,
            backlog: VecDeque::new(),
            drafts: BTreeMap::new(),
            dirty: Vec::new(),
            dirty_bytes: 0,
            helper,
            blocked: None,
        })
    }

    /// Serves until the last hand that asks is gone.
    pub(crate) async fn run(mut self) {
        let _guard = FailOnPanic(Arc::clone(&self.shared));
        if let Err(broken) = self.serve().await {
            tracing::error!(%broken, "the spool log has failed; letters are refused until it is opened again");
            self.shared.fail(broken.to_string());
            self.refuse_all().await;
        }
    }

    async fn serve(&mut self) -> Result<(), Broken> {
        let mut busy = true;
        loop {
            match self.next(!busy).await {
                Received::Message(op) => self.commit(op)?,
                Received::Nothing => {}
                Received::Closed => return self.sync(),
            }
            busy = self.upkeep()?;
        }
    }

    async fn next(&mut self, wait: bool) -> Received<Op> {
        if let Some(op) = self.backlog.pop_front() {
            return Received::Message(op);
        }
        if wait {
            return self.ops.recv().await.map_or(Received::Closed, Received::Message);
        }
        self.ops.try_recv()
    }

    /// Gathers a batch that begins with `op`, and makes it durable.
    fn commit(&mut self, op: Op) -> Result<(), Broken> {
        let mut batch = Batch::default();
        let mut next = Some(op);
        while let Some(op) = next {
            match self.plan(&mut batch, op) {
                Ok(None) => {}
                Ok(Some(later)) => {
                    self.backlog.push_front(later);
                    break;
                }
                Err(broken) => {
                    self.refuse_batch(batch, &broken);
                    return Err(broken);
                }
            }
            if batch.bytes >= self.shared.sizes.batch || batch.effects.len() >= BATCH_OPS_MAX {
                break;
            }
            next = self.backlog.pop_front().or_else(|| match self.ops.try_recv() {
                Received::Message(op) => Some(op),
                Received::Nothing | Received::Closed => None,
            });
        }
        self.flush(batch)
    }

    /// Writes a batch, syncs where somebody waits for it, and does what the batch was for.
    fn flush(&mut self, batch: Batch) -> Result<(), Broken> {
        if let Err(broken) = self.write(&batch) {
            self.refuse_batch(batch, &broken);
            return Err(broken);
        }
        self.apply(batch);
        Ok(())
    }

    fn write(&mut self, batch: &Batch) -> Result<(), Broken> {
        batch.write().map_err(|cause| Broken { what: "a write failed", cause })?;
        for file in batch.files() {
            if !self.dirty.iter().any(|dirty| Arc::ptr_eq(dirty, file)) {
                self.dirty.push(Arc::clone(file));
            }
        }
        self.dirty_bytes += batch.bytes;
        // Chunks need not be durable before their letter; but it must not find too much left to sync.
        if batch.must_sync || self.dirty_bytes >= self.shared.sizes.batch { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), Broken> {
        for file in self.dirty.drain(..) {
            file.sync_data().map_err(|cause| Broken { what: "a sync failed", cause })?;
        }
        self.dirty_bytes = 0;
        self.logs.hot.opening_unsynced = false;
        self.logs.cold.opening_unsynced = false;
        Ok(())
    }

    fn refuse_batch(&self, batch: Batch, broken: &Broken) {
        self.shared.fail(broken.to_string());
        for effect in batch.effects {
            if let Some(op) = effect.into_op() {
                self.refuse(op, &QueueError::Failed(broken.to_string()));
            }
        }
    }

    /// Refuses one wish. A letter whose lease was to end with it is given back.
    fn refuse(&self, op: Op, error: &QueueError) {
        if let Op::Record(Record { key, leased, change, .. }) = &op {
            let later = UnixMillis(clock::unix_millis()).plus(GIVEN_BACK);
            let mut index = self.shared.index();
            index.give_back(*key, leased, later);
            if change.is_some() {
                index.deactivate(*key);
            }
        }
        op.refuse(error.clone());
    }

    /// After a failure: answers everybody until nobody is left.
    async fn refuse_all(&mut self) {
        loop {
            match self.next(true).await {
                Received::Message(op) => {
                    let error = self.shared.check().err();
                    self.refuse(op, &error.unwrap_or_else(|| QueueError::Failed("the writer has ended".to_owned())));
                }
                Received::Nothing => {}
                Received::Closed => return,
            }
        }
    }
}

/// A fault of ours in the writer must not leave letters accepted into nothing.
struct FailOnPanic(Arc<Shared>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("the spool's writer ended by a panic; this is a fault of ours");
            self.0.fail("the writer ended by a fault of its own".to_owned());
        }
    }
}
