//! Changing the queue of the server that runs here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use posthouse_delivery::Context;
use posthouse_journal::{Entry, Event};
use posthouse_mail::{Domain, LetterId, Priority};
use posthouse_queue::{Lease, NextHop, QueueError, Scope, Suspension};
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
    /// It is tried now, and so is the host it goes to.
    Retry,
    /// It is not tried until it is released.
    Hold,
    /// It is no longer held.
    Release,
    /// It goes by this host (`host` or `host:port`), or again to where its recipients say.
    Redirect {
        /// The host.
        to: Option<String>,
    },
    /// It goes before letters with less, and behind those with more.
    Priority {
        /// From −9 to 9.
        level: i8,
    },
    /// It is taken out of the queue.
    Remove {
        /// Whether its sender is told.
        bounce: bool,
    },
}

/// What is suspended, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Suspend {
    /// A destination or next hop; `None`: everything.
    pub destination: Option<String>,
    /// It ends by itself after so many seconds.
    pub seconds: Option<u64>,
    /// Why.
    pub reason: Option<String>,
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
            Self::Retry => "retry",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Redirect { .. } => "redirect",
            Self::Priority { .. } => "priority",
            Self::Remove { .. } => "remove",
        }
    }

    /// What is said when it is done: `removed 3 letters`.
    #[must_use]
    pub fn done(&self) -> &'static str {
        match self {
            Self::Retry => "now due:",
            Self::Hold => "held",
            Self::Release => "released",
            Self::Redirect { .. } => "redirected",
            Self::Priority { .. } => "changed",
            Self::Remove { .. } => "removed",
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Retry | Self::Hold | Self::Release => None,
            Self::Redirect { to } => Some(to.as_ref().map_or_else(|| "no more".to_owned(), |to| format!("to {to}"))),
            Self::Priority { level } => Some(level.to_string()),
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

    /// Stops delivery to a destination or a next hop, or all of it, for a time or until it is resumed. Letters are taken as before. Durable when it
    /// returns.
    ///
    /// # Errors
    /// [`AdminError::Queue`]; [`AdminError::Invalid`] for what no letter could ever go to, and for no time at all.
    pub async fn suspend(&self, suspend: Suspend, who: &Who) -> Result<(), AdminError> {
        let Suspend { destination, seconds, reason } = suspend;
        if let Some(name) = destination.as_deref().filter(|name| !is_destination(name)) {
            return Err(AdminError::Invalid(format!("`{name}` is neither a domain nor a next hop")));
        }
        if seconds == Some(0) {
            return Err(AdminError::Invalid("a suspension for no time is none".to_owned()));
        }
        let since = now();
        let until = seconds.map(|seconds| since.plus(Duration::from_secs(seconds)));
        let suspension =
            Suspension { since: since.0, until: until.map(|until| until.0), by: who.name.clone(), reason: reason.clone() };
        self.delivery.queue.suspend(scope(destination.as_deref()), suspension).await?;
        let until = until.map(|until| format!("until {until}"));
        let detail = [until, reason].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let detail = Some(detail).filter(|detail| !detail.is_empty());
        self.note(None, "suspend", Some(destination.unwrap_or_else(|| "everything".to_owned())), detail, who);
        Ok(())
    }

    /// Takes a suspension back. Durable when it returns.
    ///
    /// # Errors
    /// [`AdminError::NotSuspended`], [`AdminError::Queue`].
    pub async fn resume(&self, destination: Option<String>, who: &Who) -> Result<(), AdminError> {
        let was = self.delivery.queue.resume(&scope(destination.as_deref())).await?;
        let destination = destination.unwrap_or_else(|| "everything".to_owned());
        if !was {
            return Err(AdminError::NotSuspended(destination));
        }
        self.note(None, "resume", Some(destination), None, who);
        Ok(())
    }

    /// Writes down that another process takes over, and who wanted that.
    pub(crate) async fn restarted(&self, pid: u32, who: &Who) {
        self.note(None, "restart", None, Some(format!("process {pid} takes over")), who);
        self.flush().await;
    }

    async fn apply(&self, id: LetterId, change: &Change) -> Result<(), AdminError> {
        let queue = &self.delivery.queue;
        match change {
            Change::Retry => Ok(queue.change(id, posthouse_queue::Change::RetryNow).await?),
            Change::Hold => Ok(queue.change(id, posthouse_queue::Change::Hold).await?),
            Change::Release => Ok(queue.change(id, posthouse_queue::Change::Release).await?),
            Change::Redirect { to } => {
                let to = to.as_deref().map(str::parse).transpose().map_err(AdminError::Invalid)?;
                Ok(queue.change(id, posthouse_queue::Change::Redirect(to)).await?)
            }
            Change::Priority { level } => {
                let priority =
                    Priority::new(*level).ok_or_else(|| AdminError::Invalid(format!("{level} is no priority: from -9 to 9")))?;
                Ok(queue.change(id, posthouse_queue::Change::Priority(priority)).await?)
            }
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

/// Whether letters could go there: a domain, or a next hop as the summary names it, with the address of ours that it is spoken to from.
fn is_destination(name: &str) -> bool {
    let host = name.split_once(" by ").map_or(name, |(host, _)| host);
    host.parse::<Domain>().is_ok() || host.parse::<NextHop>().is_ok()
}

/// The name under which the queue knows a destination: as DNS does.
fn scope(destination: Option<&str>) -> Scope {
    let name = |text: &str| text.parse::<Domain>().map_or_else(|_| text.to_owned(), |domain| domain.to_string());
    destination.map_or(Scope::Everything, |text| Scope::Name(name(text)))
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}
