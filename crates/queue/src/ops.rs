//! What the writer is asked to do, and the hand that asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use posthouse_mail::{LetterId, UnixMillis};
use posthouse_runtime::actor::{Actor, Sender};
use posthouse_runtime::clock;
use posthouse_runtime::sync::{AsyncMutex, oneshot};

use crate::error::QueueError;
use crate::index::{Key, Shared};
use crate::layout::usize_of;
use crate::letter::{Change, Facts};
use crate::limits::Limits;
use crate::places;
use crate::schedule::destinations::Destination;
use crate::storage::Storage;

/// How often a full spool is asked whether it still is, at most.
const PROBE_MILLIS: u64 = 1000;

/// The writer's answer: durable, or why not.
pub(crate) type Answer = oneshot::Sender<Result<(), QueueError>>;

/// One wish. Those with an answer are answered exactly once.
#[derive(Debug)]
pub(crate) enum Op {
    /// A draft's chunk. Answered when it is written; it need not be durable before its letter is.
    Chunk { id: LetterId, draft: u64, number: u32, body: Bytes, answer: Answer },
    /// A draft becomes a letter. Answered when that is durable.
    Commit(Box<Commit>),
    /// A draft is given up.
    Abandon { draft: u64 },
    /// A leased letter's recipients have changed. Answered when that is durable.
    Record(Record),
    /// Look whether there is room again.
    Probe,
}

/// See [`Op::Commit`].
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) id: LetterId,
    pub(crate) derived: bool,
    pub(crate) draft: u64,
    pub(crate) chunks: u32,
    pub(crate) meta: Bytes,
    pub(crate) tail: Bytes,
    pub(crate) size: u64,
    pub(crate) facts: Facts,
    pub(crate) answer: Answer,
}

/// See [`Op::Record`].
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) id: LetterId,
    pub(crate) key: Key,
    /// The Progress body and when the letter is next due; `None`: all recipients have come to their end.
    pub(crate) progress: Option<(Bytes, UnixMillis)>,
    /// The lease that ends with it.
    pub(crate) leased: Leased,
    /// How each part stands then.
    pub(crate) stands: Vec<(Option<UnixMillis>, bool)>,
    /// What an operator asked for, with the destinations that the letter itself names.
    pub(crate) change: Option<(Change, Vec<Destination>)>,
    pub(crate) answer: Answer,
}

/// What of a letter is leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leased {
    Nothing,
    /// Its recipients at one destination.
    Part(u32),
    /// Those at several that travel together.
    Several(Arc<[u32]>),
    All,
}

impl Leased {
    pub(crate) fn covers(&self, part: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Part(own) => usize_of(*own) == part,
            Self::Several(own) => own.iter().any(|&own| usize_of(own) == part),
            Self::All => true,
        }
    }
}

impl Op {
    /// Answers with an error.
    pub(crate) fn refuse(self, error: QueueError) {
        match self {
            Self::Chunk { answer, .. } => drop(answer.send(Err(error))),
            Self::Commit(commit) => drop(commit.answer.send(Err(error))),
            Self::Record(record) => drop(record.answer.send(Err(error))),
            Self::Abandon { .. } | Self::Probe => {}
        }
    }
}

/// The hand that asks; the last one to go waits for the writer's end, so that the spool can be opened again at once.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) storage: Arc<dyn Storage>,
    ops: Option<Sender<Op>>,
    writer: Option<Actor>,
    probed: AtomicU64,
    pub(crate) limits: Limits,
    /// Held while a suspension is stored.
    pub(crate) suspending: AsyncMutex<()>,
}

impl Handle {
    pub(crate) fn new(shared: Arc<Shared>, storage: Arc<dyn Storage>, ops: Sender<Op>, writer: Actor, limits: Limits) -> Self {
        let (ops, writer) = (Some(ops), Some(writer));
        Self { shared, storage, ops, writer, probed: AtomicU64::new(0), limits, suspending: AsyncMutex::new(()) }
    }

    /// Hands an op to the writer; one that is not there any more refuses by dropping the answer.
    pub(crate) fn send(&self, op: Op) {
        if let Some(ops) = &self.ops
            && let Err(op) = ops.send(op)
        {
            op.refuse(self.gone());
        }
    }

    /// Whether a letter that comes from outside may be begun.
    pub(crate) fn admit_new(&self) -> Result<(), QueueError> {
        self.admit()?;
        let letters = self.shared.index().len();
        self.limits.check(letters, self.storage.as_ref())
    }

    /// Whether a new letter may be begun.
    pub(crate) fn admit(&self) -> Result<(), QueueError> {
        self.shared.check()?;
        if self.shared.has_room() {
            return Ok(());
        }
        // Nobody else would tell the writer that the disk has been tidied up.
        let now = clock::unix_millis();
        let before = self.probed.load(Ordering::Relaxed);
        if now.abs_diff(before) >= PROBE_MILLIS
            && self.probed.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.send(Op::Probe);
        }
        Err(QueueError::Full("the disk or the configured size of the queue is reached".to_owned()))
    }

    /// Waits for the writer's answer.
    pub(crate) async fn answer(&self, answer: oneshot::Receiver<Result<(), QueueError>>) -> Result<(), QueueError> {
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    fn gone(&self) -> QueueError {
        self.shared.check().err().unwrap_or_else(|| QueueError::Failed("the writer has ended".to_owned()))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.ops = None;
        if let Some(writer) = self.writer.take() {
            // A panic in it has been logged and has marked the log as failed.
            writer.join();
        }
        if self.shared.check().is_ok()
            && let Err(error) = places::store(self.storage.as_ref(), &self.shared.index())
        {
            tracing::warn!(%error, "the next hops cannot be written down; the queue of the stopped server is shown by domain");
        }
    }
}
