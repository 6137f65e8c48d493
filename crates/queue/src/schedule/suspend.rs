//! What an operator has suspended: everything, or what goes to one destination or site.
//!
//! Kept in small files of the spool's directory, `suspended-N`, of which the one with the highest number that can be read counts: a
//! new one is durable before the older is removed.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};

use posthouse_mail::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::storage::{self, Storage};

const PREFIX: &str = "suspended-";
/// More is no list that an operator made.
const BYTES_MAX: u64 = 4 << 20;

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

    pub(crate) fn name(&self, name: &str) -> Option<&Suspension> {
        if self.names.is_empty() { None } else { self.names.get(name) }
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

    /// Reads what an earlier run left. What cannot be read counts as nothing, for an older one may stand beside it.
    pub(crate) fn load(storage: &dyn Storage) -> io::Result<Self> {
        for (_, name) in files(storage)?.into_iter().rev() {
            let file = storage.open(&name)?;
            let mut octets = vec![0; usize::try_from(file.len()?.min(BYTES_MAX)).unwrap_or_default()];
            let read = storage::read_up_to(file.as_ref(), &mut octets, 0)?;
            octets.truncate(read);
            if let Some(list) = decode(&octets) {
                let mut suspended = Self::default();
                for (scope, suspension) in list {
                    suspended.set(scope, suspension);
                }
                return Ok(suspended);
            }
        }
        Ok(Self::default())
    }

    /// Makes it durable.
    pub(crate) fn store(&self, storage: &dyn Storage) -> io::Result<()> {
        let before = files(storage)?;
        let number = before.last().map_or(0, |(number, _)| number + 1);
        let octets = encode(&self.list());
        let file = storage.create(&format!("{PREFIX}{number}"))?;
        storage::write_all(file.as_ref(), &mut [IoSlice::new(&octets)], 0)?;
        file.sync_data()?;
        storage.sync_dir()?;
        for (_, name) in before {
            storage.remove(&name)?;
        }
        storage.sync_dir()
    }
}

fn files(storage: &dyn Storage) -> io::Result<Vec<(u64, String)>> {
    let number = |name: String| name.strip_prefix(PREFIX)?.parse().ok().map(|number| (number, name));
    let mut files: Vec<_> = storage.list()?.into_iter().filter_map(number).collect();
    files.sort_unstable();
    Ok(files)
}

/// `crc SP json LF`: a file cut short or rotten is known by its checksum.
fn encode(list: &[(Scope, Suspension)]) -> Vec<u8> {
    let json = serde_json::to_string(list).unwrap_or_default();
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).into_bytes()
}

fn decode(octets: &[u8]) -> Option<Vec<(Scope, Suspension)>> {
    let (crc, json) = std::str::from_utf8(octets).ok()?.strip_suffix('\n')?.split_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests;
