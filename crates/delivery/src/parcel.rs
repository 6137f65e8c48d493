//! A leased letter that several couriers carry at once, and whose ends are stored one after the other.

use posthouse_mail::LetterId;
use posthouse_queue::{BodyReader, Lease, Letter, QueueError, RecipientEnd, RecipientState};
use posthouse_runtime::sync::AsyncMutex;

/// One letter for one round. What it shows of the recipients is how they stood when the round began.
pub(crate) struct Parcel {
    id: LetterId,
    letter: Letter,
    recipients: Vec<RecipientState>,
    size: u64,
    lease: AsyncMutex<Lease>,
}

impl Parcel {
    pub(crate) fn new(lease: Lease) -> Self {
        Self {
            id: lease.id(),
            letter: lease.letter().clone(),
            recipients: lease.recipients().to_vec(),
            size: lease.size(),
            lease: AsyncMutex::new(lease),
        }
    }

    pub(crate) fn id(&self) -> LetterId {
        self.id
    }

    pub(crate) fn letter(&self) -> &Letter {
        &self.letter
    }

    pub(crate) fn recipients(&self) -> &[RecipientState] {
        &self.recipients
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) async fn body(&self) -> BodyReader {
        self.lease.lock().await.body()
    }

    /// The recipient's address as text; empty when there is no such recipient.
    pub(crate) fn address(&self, index: usize) -> String {
        self.recipients.get(index).map(|state| state.recipient.address.to_string()).unwrap_or_default()
    }

    /// Stores ends and goes on. Durable when it returns.
    pub(crate) async fn record(&self, ends: Vec<(usize, RecipientEnd)>) -> Result<(), QueueError> {
        self.lease.lock().await.record(ends).await
    }

    /// Stores ends and gives the letter back, or ends it with its last recipient.
    pub(crate) async fn finish(self, ends: Vec<(usize, RecipientEnd)>) -> Result<(), QueueError> {
        self.lease.into_inner().finish(ends).await
    }
}
