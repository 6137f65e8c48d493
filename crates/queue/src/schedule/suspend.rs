//! What an operator has suspended: everything, or what goes to one destination or site. Kept in `suspended-N` ([`crate::notes`]).

use std::collections::BTreeMap;
use std::io;

use posthouse_mail::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::notes;
use crate::storage::Storage;

const PREFIX: &str = "suspended-";

/// What is suspended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All delivery, into mailboxes too.
    Everything,
    /// What goes to a destination domain or a site of this name.
    Name(String),
}

/// Since when, by whom, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// When it began, in milliseconds since 1970.
    pub since: u64,
    /// When it ends by itself, in milliseconds since 1970.
    pub until: Option<u64>,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

/// All that is suspended.
#[derive(Debug, Default, Clone)]
pub(crate) struct Suspended {
    everything: Option<Suspension>,
    names: BTreeMap<String, Suspension>,
}

impl Suspended {
    pub(crate) fn set(&mut self, scope: Scope, suspension: Suspension) {
        match scope {
            Scope::Everything => self.everything = Some(suspension),
            Scope::Name(name) => drop(self.names.insert(name.to_lowercase(), suspension)),
        }
    }

    /// Whether there was one.
    pub(crate) fn clear(&mut self, scope: &Scope) -> bool {
        match scope {
            Scope::Everything => self.everything.take().is_some(),
            Scope::Name(name) => self.names.remove(&name.to_lowercase()).is_some(),
        }
    }

    pub(crate) fn everything(&self) -> Option<&Suspension> {
        self.everything.as_ref()
    }

    /// What holds for a destination or site; that of a host holds for all its lines.
    pub(crate) fn name(&self, name: &str) -> Option<&Suspension> {
        if self.names.is_empty() {
            return None;
        }
        self.names.get(name).or_else(|| self.names.get(name.split_once(' ')?.0))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.everything.is_none() && self.names.is_empty()
    }

    pub(crate) fn list(&self) -> Vec<(Scope, Suspension)> {
        let everything = self.everything.iter().map(|suspension| (Scope::Everything, suspension.clone()));
        let names = self.names.iter().map(|(name, suspension)| (Scope::Name(name.clone()), suspension.clone()));
        everything.chain(names).collect()
    }

    /// Ends those whose time is over; whether there were any.
    pub(crate) fn expire(&mut self, now: UnixMillis) -> bool {
        let is_over = |suspension: &Suspension| suspension.until.is_some_and(|until| until <= now.0);
        let before = (self.everything.is_some(), self.names.len());
        self.everything = self.everything.take().filter(|suspension| !is_over(suspension));
        self.names.retain(|_, suspension| !is_over(suspension));
        before != (self.everything.is_some(), self.names.len())
    }

    /// When the next one ends by itself.
    pub(crate) fn next_end(&self) -> Option<UnixMillis> {
        self.everything.iter().chain(self.names.values()).filter_map(|suspension| suspension.until).min().map(UnixMillis)
    }

    /// Reads what an earlier run left.
    pub(crate) fn load(storage: &dyn Storage) -> io::Result<Self> {
        let mut suspended = Self::default();
        for (scope, suspension) in notes::load::<Vec<(Scope, Suspension)>>(storage, PREFIX)?.unwrap_or_default() {
            suspended.set(scope, suspension);
        }
        Ok(suspended)
    }

    /// The same, for one who serves by it: what it gives is durable.
    pub(crate) fn open(storage: &dyn Storage) -> io::Result<Self> {
        let suspended = Self::load(storage)?;
        notes::keep(storage, PREFIX, &suspended.list())?;
        Ok(suspended)
    }

    /// Makes it durable.
    pub(crate) fn store(&self, storage: &dyn Storage) -> io::Result<()> {
        notes::store(storage, PREFIX, &self.list())
    }
}

#[cfg(test)]
mod tests;
