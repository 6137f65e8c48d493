//! A letter in the hands of delivery.
//!
//! Nobody else gets it while the lease lives. What happened is told by [`Lease::record`] (and go on) or [`Lease::finish`]; a lease
//! that is dropped gives the letter back as it was.

use std::sync::Arc;
use std::time::Duration;

use posthouse_mail::{LetterId, UnixMillis};
use posthouse_runtime::clock;
use posthouse_runtime::sync::oneshot;

use crate::body::{BodyReader, Fetched, fetch};
use crate::error::QueueError;
use crate::index::{Key, Shared, Which};
use crate::layout;
use crate::letter::{self, DeliveryState, Letter, RecipientEnd, RecipientState};
use crate::ops::{Handle, Op, Record};

/// When a letter that was given back without a word is due again.
pub(crate) const GIVEN_BACK: Duration = Duration::from_secs(10);

/// One letter, leased.
#[derive(Debug)]
pub struct Lease {
    handle: Arc<Handle>,
    key: Key,
    id: LetterId,
    letter: Letter,
    recipients: Vec<RecipientState>,
    size: u64,
    chunks: usize,
    /// Whether this lease still has to give the letter back.
    held: bool,
}

/// A letter as its records tell it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) letter: Letter,
    pub(crate) recipients: Vec<RecipientState>,
    pub(crate) size: u64,
    pub(crate) chunks: usize,
}

/// Reads envelope and states from disk.
pub(crate) fn tell(shared: &Shared, id: LetterId, key: Key) -> Result<Told, QueueError> {
    let fetched = fetch(shared, id, key, Which::Letter)?.ok_or(QueueError::Gone(id))?;
    let progress = fetch(shared, id, key, Which::Progress)?;
    told(id, &fetched, progress.as_ref())
}

pub(crate) fn told(id: LetterId, fetched: &Fetched, progress: Option<&Fetched>) -> Result<Told, QueueError> {
    let damaged = |why: layout::LayoutError| QueueError::Damaged { id, what: why.to_string() };
    let body = layout::decode_letter(&fetched.body).map_err(damaged)?;
    let arrived = body.letter.arrived;
    let mut recipients: Vec<_> =
        body.letter.envelope.recipients.iter().cloned().map(|recipient| RecipientState::new(recipient, arrived)).collect();
    if let Some(progress) = progress {
        let standings = layout::decode_progress(&progress.body).map_err(damaged)?;
        if standings.len() != recipients.len() {
            return Err(damaged(layout::LayoutError::Value));
        }
        for (recipient, standing) in recipients.iter_mut().zip(standings) {
            recipient.attempts = standing.attempts;
            recipient.state = standing.state;
            recipient.last = standing.last;
        }
    }
    Ok(Told { letter: body.letter, recipients, size: body.size, chunks: layout::usize_of(fetched.header.number) })
}

impl Lease {
    /// Reads what was leased under `key`. When that fails the letter is put off, so that a damaged one does not stop the rest.
    pub(crate) fn read(handle: &Arc<Handle>, id: LetterId, key: Key) -> Result<Self, QueueError> {
        match tell(&handle.shared, id, key) {
            Ok(told) => Ok(Self::new(handle, id, key, told)),
            Err(error) => {
                tracing::error!(letter = %id, %error, "a queued letter cannot be read; it is tried again later");
                let later = UnixMillis(clock::unix_millis()).plus(GIVEN_BACK * 60);
                handle.shared.index().release(key, later);
                Err(error)
            }
        }
    }

    fn new(handle: &Arc<Handle>, id: LetterId, key: Key, told: Told) -> Self {
        let Told { letter, recipients, size, chunks } = told;
        Self { handle: Arc::clone(handle), key, id, letter, recipients, size, chunks, held: true }
    }

    /// The letter's id.
    #[must_use]
    pub fn id(&self) -> LetterId {
        self.id
    }

    /// Its envelope and origin.
    #[must_use]
    pub fn letter(&self) -> &Letter {
        &self.letter
    }

    /// What has become of each recipient, in the envelope's order.
    #[must_use]
    pub fn recipients(&self) -> &[RecipientState] {
        &self.recipients
    }

    /// The body's octets.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The body from its first octet. It stays readable until the letter ends, also when it moves inside the spool.
    #[must_use]
    pub fn body(&self) -> BodyReader {
        BodyReader::new(Arc::clone(&self.handle), self.id, self.key, self.size, self.chunks)
    }

    /// Stores how attempts ended and keeps the lease: for a letter to many places, after each of them. Durable when it returns.
    /// Each index names a recipient; those not named stay as they are. When the last recipient ends the letter ends.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::Failed`]: nothing was stored, and what was delivered may be delivered again.
    pub async fn record(&mut self, ends: Vec<(usize, RecipientEnd)>) -> Result<(), QueueError> {
        self.store(ends, false).await
    }

    /// Stores how attempts ended and ends the lease. Durable when it returns. A recipient that is still pending is due when its
    /// state says.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::Failed`]: nothing was stored, and what was delivered may be delivered again.
    pub async fn finish(mut self, ends: Vec<(usize, RecipientEnd)>) -> Result<(), QueueError> {
        self.store(ends, true).await
    }

    async fn store(&mut self, ends: Vec<(usize, RecipientEnd)>, release: bool) -> Result<(), QueueError> {
        if !self.held {
            return Err(QueueError::Gone(self.id));
        }
        let mut recipients = self.recipients.clone();
        letter::apply(&mut recipients, ends);
        if recipients == self.recipients && letter::next_due(&recipients).is_some() {
            // Nothing new to store; an ending lease gives the letter back when it is dropped.
            return Ok(());
        }
        let progress = letter::next_due(&recipients).map(|next| (layout::encode_progress(&recipients).into(), next));
        let over = progress.is_none();
        let (answer, done) = oneshot::channel();
        // From here on the writer gives the letter back, also when nobody waits for the answer any more.
        self.held = !(release || over);
        let record = Record { id: self.id, key: self.key, progress, release, answer };
        self.handle.send(Op::Record(record));
        self.handle.answer(done).await?;
        self.recipients = recipients;
        Ok(())
    }

    /// Whether every recipient has come to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.recipients.iter().any(|recipient| matches!(recipient.state, DeliveryState::Pending { .. }))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.held {
            let due = UnixMillis(clock::unix_millis()).plus(GIVEN_BACK);
            self.handle.shared.index().release(self.key, due);
            self.handle.shared.due.notify_one();
        }
    }
}
