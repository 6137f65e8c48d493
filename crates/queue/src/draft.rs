//! A letter that is coming in.
//!
//! Its octets go into the log while they arrive, in chunks; at most one chunk waits to be handed over. What is not committed
//! never was: dropping a draft, or a crash, leaves nothing of it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use posthouse_mail::LetterId;
use posthouse_runtime::random;
use posthouse_runtime::sync::oneshot;

use crate::error::QueueError;
use crate::layout;
use crate::letter::{Facts, Letter};
use crate::ops::{Commit, Handle, Op};

/// The octets a recipient's state can take in a Progress record.
const STANDING_BYTES_MAX: u64 = 2048;

/// A letter before it is queued. Made by [`crate::Queue::begin`].
#[derive(Debug)]
pub struct Draft {
    handle: Arc<Handle>,
    id: LetterId,
    derived: bool,
    /// Tells this draft's chunks from those of another with the same id.
    nonce: u64,
    buffer: BytesMut,
    front: String,
    size: u64,
    chunks: u32,
    outstanding: Option<oneshot::Receiver<Result<(), QueueError>>>,
    /// What made the draft useless; every later call says so again.
    broken: Option<QueueError>,
}

impl Draft {
    pub(crate) fn new(handle: Arc<Handle>, id: LetterId, derived: bool) -> Self {
        let (buffer, nonce) = (BytesMut::new(), random::u64());
        let front = String::new();
        Self { handle, id, derived, nonce, buffer, front, size: 0, chunks: 0, outstanding: None, broken: None }
    }

    /// The id the letter will have.
    #[must_use]
    pub fn id(&self) -> LetterId {
        self.id
    }

    /// The octets written so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds octets. When it returns they are buffered or on their way into the log, with at most one chunk outstanding.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::Failed`]; the draft is then useless. When the future is dropped half-way the draft is
    /// useless as well.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), QueueError> {
        self.usable()?;
        let before = self.broken.replace(QueueError::Failed("a write was given up half-way".to_owned()));
        let result = self.add(bytes).await;
        self.broken = result.as_ref().err().cloned().or(before);
        result
    }

    /// Puts fields in front of everything written, before or after: what is known only at the letter's end, and must stand at its beginning.
    pub fn put_in_front(&mut self, fields: &str) {
        self.size += u64::try_from(fields.len()).unwrap_or(u64::MAX);
        self.front.insert_str(0, fields);
    }

    async fn add(&mut self, mut bytes: Bytes) -> Result<(), QueueError> {
        let chunk = self.handle.shared.sizes.chunk;
        while !bytes.is_empty() {
            if self.buffer.len() >= chunk {
                self.hand_over().await?;
            }
            let some = bytes.split_to(bytes.len().min(chunk - self.buffer.len()));
            self.size += u64::try_from(some.len()).unwrap_or(u64::MAX);
            self.buffer.extend_from_slice(&some);
        }
        Ok(())
    }

    /// Sends the buffer as a chunk, once the one before has been taken.
    async fn hand_over(&mut self) -> Result<(), QueueError> {
        self.settle().await?;
        let (answer, outstanding) = oneshot::channel();
        let body = self.buffer.split().freeze();
        self.handle.send(Op::Chunk { id: self.id, draft: self.nonce, number: self.chunks, body, answer });
        self.chunks += 1;
        self.outstanding = Some(outstanding);
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), QueueError> {
        match self.outstanding.take() {
            None => Ok(()),
            Some(outstanding) => self.handle.answer(outstanding).await,
        }
    }

    /// Makes the draft a letter. When it returns the letter is on stable storage and due, at once or when its envelope releases it.
    ///
    /// An id that is queued already, or was given to [`crate::Queue::begin_as`] and has ended, is not stored again: the answer
    /// is the same as if it had been. When the future is dropped half-way the letter may or may not be queued.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::Failed`], [`QueueError::EnvelopeTooLarge`]; the letter is not queued then, except that
    /// after [`QueueError::Failed`] it may be found when the spool is next opened.
    pub async fn commit(mut self, letter: Letter) -> Result<LetterId, QueueError> {
        self.usable()?;
        self.settle().await?;
        let meta = layout::encode_letter(&letter, self.size, &self.front);
        self.check_envelope(&letter, meta.len())?;
        let (answer, done) = oneshot::channel();
        let commit = Commit {
            id: self.id,
            derived: self.derived,
            draft: self.nonce,
            // From here on the writer owns the chunks: dropping the draft gives nothing up.
            chunks: std::mem::take(&mut self.chunks),
            meta: meta.into(),
            tail: self.buffer.split().freeze(),
            size: self.size,
            facts: Facts::of(&letter, &self.handle.shared.sources),
            answer,
        };
        self.handle.send(Op::Commit(Box::new(commit)));
        self.handle.answer(done).await?;
        Ok(self.id)
    }

    fn usable(&self) -> Result<(), QueueError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Both the letter's record and the largest state it can come to must fit into one record.
    fn check_envelope(&self, letter: &Letter, meta: usize) -> Result<(), QueueError> {
        let bytes_max = u64::from(self.handle.shared.sizes.record_max().saturating_sub(layout::RECORD_HEADER));
        let recipients = u64::try_from(letter.envelope.recipients.len()).unwrap_or(u64::MAX);
        let record = u64::try_from(meta.saturating_add(self.buffer.len())).unwrap_or(u64::MAX);
        let bytes = record.max(recipients.saturating_mul(STANDING_BYTES_MAX));
        if bytes > bytes_max { Err(QueueError::EnvelopeTooLarge { bytes, bytes_max }) } else { Ok(()) }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.chunks > 0 {
            self.handle.send(Op::Abandon { draft: self.nonce });
        }
    }
}
