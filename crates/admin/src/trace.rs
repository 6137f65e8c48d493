//! The journal, asked by whatever a person has at hand.

use std::collections::{BTreeMap, BTreeSet};

use posthouse_journal::{Entry, Event, Query};
use posthouse_mail::LetterId;

use crate::admin::Admin;
use crate::error::AdminError;
use crate::results::{Timeline, Trace, TraceEntry};

/// The bounces whose own story is told too.
const BOUNCES_MAX: usize = 100;

impl Admin {
    /// What happened to a letter (by its id or Message-ID), or to the letters and logins of an address. Empty if nothing is known.
    /// Where a bounce was sent its story follows.
    ///
    /// # Errors
    /// There is no journal; storage errors.
    pub async fn trace(&self, key: &str) -> Result<Trace, AdminError> {
        let mut entries = Vec::new();
        for query in queries(key) {
            entries.extend(self.journal.query(query).await?);
        }
        let known: BTreeSet<LetterId> = entries.iter().filter_map(|entry| entry.letter).collect();
        let bounces: BTreeSet<LetterId> = entries.iter().filter_map(bounce).filter(|bounce| !known.contains(bounce)).collect();
        for bounce in bounces.into_iter().take(BOUNCES_MAX) {
            entries.extend(self.journal.query(Query::Letter(bounce)).await?);
        }
        Ok(group(entries))
    }
}

/// What `key` may be. With an `@` it is an address or a Message-ID, and nobody can tell which.
fn queries(key: &str) -> Vec<Query> {
    let key = key.trim();
    if let Ok(letter) = key.parse() {
        return vec![Query::Letter(letter)];
    }
    vec![Query::Address(key.to_owned()), Query::MessageId(key.to_owned())]
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other events, also those to come, name no bounce")]
fn bounce(entry: &Entry) -> Option<LetterId> {
    match &entry.event {
        Event::Bounced { bounce, .. } => Some(*bounce),
        _ => None,
    }
}

fn group(mut entries: Vec<Entry>) -> Trace {
    // Stable: entries of one millisecond stay in the order of the journal.
    entries.sort_by_key(|entry| entry.at);
    let mut order = Vec::new();
    let mut stories: BTreeMap<Option<LetterId>, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        let story = stories.entry(entry.letter).or_default();
        if story.is_empty() {
            order.push(entry.letter);
        }
        // The two queries for a text with an `@` may both find it.
        if !story.contains(&entry) {
            story.push(entry);
        }
    }
    // What has no letter comes last.
    order.sort_by_key(Option::is_none);
    let timelines = order.into_iter().filter_map(|letter| {
        let entries = stories.remove(&letter)?.into_iter().map(TraceEntry::from).collect();
        Some(Timeline { letter: letter.map(|letter| letter.to_string()), entries })
    });
    Trace { timelines: timelines.collect() }
}

impl From<Entry> for TraceEntry {
    fn from(entry: Entry) -> Self {
        Self { at: entry.at.to_string(), text: entry.event.to_string(), event: entry.event }
    }
}

#[cfg(test)]
mod tests;
