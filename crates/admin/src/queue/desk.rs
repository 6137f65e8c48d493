//! Changing the queue of the server that runs here.

use serde::{Deserialize, Serialize};

use posthouse_delivery::Context;
use posthouse_journal::{Entry, Event};
use posthouse_mail::LetterId;
use posthouse_queue::{Lease, QueueError};
use posthouse_runtime::local::Peer;
use posthouse_runtime::users;

use super::filter::Filter;
use super::results::{Changed, QueuedLetter};
use super::view::{Listing, View, now};
use crate::error::AdminError;

/// The desk where an operator changes the queue.
#[derive(Clone)]
pub struct Desk {
    delivery: Context,
}

/// Who changes it, for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The user's name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The process that asks.
    pub pid: Option<u32>,
}

/// What is done to a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// It is taken out of the queue.
    Remove {
        /// Whether its sender is told.
        bounce: bool,
    },
}

/// The letters of one change, a batch at a time.
#[derive(Debug)]
pub enum Affected {
    /// Those that were named.
    Named(Vec<LetterId>),
    /// Those that were found.
    Found(Box<Listing>),
}

impl Affected {
    /// The next letters; none at the end.
    ///
    /// # Errors
    /// As [`Listing::next`].
    pub async fn next(&mut self) -> Result<Vec<LetterId>, AdminError> {
        match self {
            Self::Named(ids) => Ok(std::mem::take(ids)),
            Self::Found(listing) => Ok(listing.batch().await?.into_iter().map(|(queued, _)| queued.id).collect()),
        }
    }
}

impl From<Peer> for Who {
    fn from(peer: Peer) -> Self {
        let Peer { uid, pid } = peer;
        Self { name: users::name(uid).unwrap_or_else(|| uid.to_string()), uid, pid }
    }
}

impl Change {
    /// Its name, in commands and in the journal.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Remove { .. } => "remove",
        }
    }

    /// What is said when it is done: `removed 3 letters`.
    #[must_use]
    pub fn done(&self) -> &'static str {
        match self {
            Self::Remove { .. } => "removed",
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Remove { bounce } => Some(if *bounce { "with a report to its sender" } else { "without a report" }.to_owned()),
        }
    }
}

impl Desk {
    /// The desk of the server that delivers with `delivery`.
    #[must_use]
    pub fn new(delivery: Context) -> Self {
        Self { delivery }
    }

    /// Its queue, to look into.
    #[must_use]
    pub fn view(&self) -> View {
        View::Live(self.delivery.queue.clone())
    }

    /// One letter with all that is known of it.
    ///
    /// # Errors
    /// As [`View::show`].
    pub async fn show(&self, id: &str) -> Result<QueuedLetter, AdminError> {
        self.view().show(id, &self.delivery.journal.reader()).await
    }

    /// The letters that a change to what a filter means is for. Letters named by their ids alone are all of them tried, so that it is told of one
    /// that is not queued.
    ///
    /// # Errors
    /// [`AdminError::Invalid`].
    pub fn affected(&self, filter: &Filter) -> Result<Affected, AdminError> {
        let ids = if filter.is_ids_alone() { filter.sieve()?.ids().map(<[_]>::to_vec) } else { None };
        match ids {
            Some(ids) => Ok(Affected::Named(ids)),
            None => Ok(Affected::Found(Box::new(self.view().list(filter)?))),
        }
    }

    /// Returns when the journal has what was changed before.
    pub async fn flush(&self) {
        self.delivery.journal.flush().await;
    }

    /// Changes one letter. Durable when it returns.
    pub async fn change(&self, id: LetterId, change: &Change, who: &Who) -> Changed {
        let done = self.apply(id, change).await;
        if done.is_ok() {
            self.note(Some(id), change.action(), None, change.detail(), who);
        }
        let error = done.err();
        Changed { id: id.to_string(), kind: error.as_ref().map(AdminError::kind), error: error.map(|error| error.to_string()) }
    }

    async fn apply(&self, id: LetterId, change: &Change) -> Result<(), AdminError> {
        match change {
            Change::Remove { bounce } => {
                let lease = self.lease(id)?;
                Ok(posthouse_delivery::remove(&self.delivery, lease, *bounce).await?)
            }
        }
    }

    fn lease(&self, id: LetterId) -> Result<Lease, AdminError> {
        match self.delivery.queue.lease_letter(id) {
            Err(QueueError::Gone(_)) if self.delivery.queue.get(id)?.is_some() => {
                Err(AdminError::Busy(format!("letter {id} is being delivered now; try again in a moment")))
            }
            leased => Ok(leased?),
        }
    }

    fn note(&self, letter: Option<LetterId>, action: &str, destination: Option<String>, detail: Option<String>, who: &Who) {
        let Who { name, uid, pid } = who.clone();
        let event = Event::Operator { by: name, uid, pid, action: action.to_owned(), destination, detail };
        self.delivery.journal.record(Entry { at: now(), letter, event });
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}
