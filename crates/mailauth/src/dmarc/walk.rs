//! The walk up the DNS tree (RFC 9989 §4.10).

use std::collections::HashMap;

use posthouse_dns::{DnsError, Name};

use super::record::{DmarcRecord, Psd};
use crate::lookup::{Looked, Lookups};

/// §4.10: the questions for one name.
const QUESTIONS_MAX: usize = 8;

/// The tree as far as it was looked at, so that nothing is asked twice.
pub(super) struct Tree<'a> {
    lookups: Lookups<'a>,
    known: HashMap<Name, Option<DmarcRecord>>,
}

/// The records on the way up from a name, the lowest first.
pub(super) struct Walk {
    start: Name,
    records: Vec<(Name, DmarcRecord)>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(lookups: Lookups<'a>) -> Self {
        Self { lookups, known: HashMap::new() }
    }

    pub(super) fn lookups(&mut self) -> &mut Lookups<'a> {
        &mut self.lookups
    }

    pub(super) fn into_looked(self) -> Vec<Looked> {
        self.lookups.into_looked()
    }

    /// The one record of a name; several are none (§4.10, step 2).
    pub(super) async fn record(&mut self, name: &Name) -> Result<Option<DmarcRecord>, DnsError> {
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        let texts = match name.below("_dmarc") {
            Ok(place) => self.lookups.texts(&place).await?,
            Err(_) => Vec::new(),
        };
        let mut records = texts.iter().filter_map(|text| DmarcRecord::parse(text));
        let record = records.next().filter(|_| records.next().is_none());
        self.known.insert(name.clone(), record.clone());
        Ok(record)
    }

    /// Walks up from `start`.
    pub(super) async fn walk(&mut self, start: &Name) -> Result<Walk, DnsError> {
        let mut walk = Walk { start: start.clone(), records: Vec::new() };
        for name in steps(start) {
            let Some(record) = self.record(&name).await? else { continue };
            let psd = record.psd;
            walk.records.push((name, record));
            if psd != Psd::Unsaid {
                break;
            }
        }
        Ok(walk)
    }
}

impl Walk {
    /// The organizational domain (§4.10.2).
    pub(super) fn organization(&self) -> Name {
        for (name, record) in &self.records {
            match record.psd {
                Psd::No => return name.clone(),
                Psd::Yes if *name != self.start => return self.start.last_labels(name.label_count() + 1),
                Psd::Yes | Psd::Unsaid => {}
            }
        }
        self.records.last().map_or_else(|| self.start.clone(), |(name, _)| name.clone())
    }

    /// The record that applies to the start: its own, that of the organizational domain, that of the public suffix (§4.10.1).
    pub(super) fn applicable(&self) -> Option<(DmarcRecord, Name)> {
        let organization = self.organization();
        let of = |wanted: &Name| self.records.iter().find(|(name, _)| name == wanted);
        let (name, record) = of(&self.start).or_else(|| of(&organization)).or_else(|| self.records.last())?;
        Some((record.clone(), name.clone()))
    }
}

/// The name, then those above it; from a deep one the way leads at once to seven labels.
fn steps(start: &Name) -> impl Iterator<Item = Name> {
    let above = (start.label_count() - 1).min(QUESTIONS_MAX - 1);
    std::iter::once(start.clone()).chain((1..=above).rev().map(|count| start.last_labels(count)))
}
