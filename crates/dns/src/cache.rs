//! Answers that are still good, positive and negative, within a bound of memory.
//!
//! Trouble is never kept: the next question asks again. When the room is used up the oldest answers go first; losing one costs a
//! question and nothing else.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::proto::rr::{Name, RecordType};

use crate::answer::MxAnswer;
use crate::read::{Data, Negative};

/// What an entry costs beside its records: the key twice, the table's slot.
const ENTRY_BYTES: usize = 256;

/// A question.
pub(crate) type Key = (Name, RecordType);

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) result: Result<Data, Negative>,
    pub(crate) authenticated: bool,
    /// The name at the end of the aliases.
    pub(crate) alias: Option<crate::record::Name>,
}

/// The answers.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    /// Each key once per insertion, oldest first; an entry that was replaced has a later turn.
    order: VecDeque<(Key, u64)>,
    bytes: usize,
    turn: u64,
}

#[derive(Debug)]
struct Entry {
    kept: Kept,
    until: Instant,
    bytes: usize,
    turn: u64,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Mutex::default() }
    }

    pub(crate) fn find(&self, key: &Key, now: Instant) -> Option<Kept> {
        let mut state = self.state();
        let entry = state.entries.get(key)?;
        if now < entry.until {
            return Some(entry.kept.clone());
        }
        state.remove(key);
        None
    }

    /// Keeps an answer for `seconds`; zero keeps nothing.
    pub(crate) fn keep(&self, key: Key, kept: Kept, seconds: u32, now: Instant) {
        let bytes = ENTRY_BYTES + kept.result.as_ref().map_or(0, size);
        let Some(until) = now.checked_add(Duration::from_secs(seconds.into())) else { return };
        if seconds == 0 || bytes > self.bytes_max {
            return;
        }
        let mut state = self.state();
        state.remove(&key);
        state.turn += 1;
        let turn = state.turn;
        state.bytes += bytes;
        state.order.push_back((key.clone(), turn));
        state.entries.insert(key, Entry { kept, until, bytes, turn });
        state.shrink(self.bytes_max);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic half-way through a change that would leave an answer wrong.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
        }
    }

    fn shrink(&mut self, bytes_max: usize) {
        // The second bound: turns of entries that were replaced or ran out pile up at the front of the line.
        while self.bytes > bytes_max || self.order.len() > self.entries.len() * 2 + 16 {
            let Some((key, turn)) = self.order.pop_front() else { return };
            let Some(entry) = self.entries.get(&key) else { continue };
            if entry.turn != turn {
                continue;
            }
            if self.bytes > bytes_max {
                self.remove(&key);
            } else {
                self.order.push_back((key, turn));
            }
        }
    }
}

fn size(data: &Data) -> usize {
    match data {
        Data::Mx(MxAnswer::Null) => 0,
        Data::Mx(MxAnswer::Hosts(hosts)) => hosts.iter().map(|mx| 32 + mx.host.as_str().len()).sum(),
        Data::Addresses(addresses) => addresses.len() * 32,
        Data::Texts(texts) => texts.iter().map(|text| 32 + text.len()).sum(),
        Data::Tlsa(records) => records.iter().map(|record| 32 + record.data.len()).sum(),
        Data::Alias(name) => 32 + name.as_str().len(),
        Data::Names(names) => names.iter().map(|name| 32 + name.as_str().len()).sum(),
    }
}

#[cfg(test)]
mod tests;
