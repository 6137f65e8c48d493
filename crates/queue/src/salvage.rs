//! What can still be read of letters that are damaged on the disk: in their segments, or set aside.
//!
//! It reads records whose header is whole, whether their body's checksum matches or not, and puts together what belongs together. It
//! changes nothing. What it gives is not what was accepted; it is for people, who decide what to do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bytes::Bytes;
use posthouse_mail::LetterId;

use crate::error::QueueError;
use crate::inspect;
use crate::layout::{self, ALIGN, Kind, RECORD_HEADER, RecordHeader, SegmentHeader, usize_of};
use crate::letter::Letter;
use crate::storage::{self, Disk, Storage};
use crate::writer::log::aside_id;

/// What is left of one letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// The letter.
    pub id: LetterId,
    /// Envelope and origin, where they can be read.
    pub letter: Option<Letter>,
    /// The octets that were found, in their order.
    pub body: Vec<u8>,
    /// What is missing or not to be trusted, one sentence each.
    pub notes: Vec<String>,
}

/// A record whose header is whole.
#[derive(Debug)]
struct Found {
    header: RecordHeader,
    body: Bytes,
    is_whole: bool,
}

/// Reads what is left of every damaged letter of the spool in `dir`.
///
/// # Errors
/// [`QueueError::Format`], [`QueueError::Io`].
pub fn salvage(dir: &Path) -> Result<Vec<Salvaged>, QueueError> {
    let disk = Disk::unlocked(dir).map_err(|error| QueueError::io(format!("cannot open the spool {}", dir.display()), &error))?;
    salvage_from(&disk)
}

pub(crate) fn salvage_from(storage: &dyn Storage) -> Result<Vec<Salvaged>, QueueError> {
    let damages = inspect::inspect(storage)?.found.damages;
    let mut wanted: BTreeSet<LetterId> = damages.into_iter().filter_map(|damage| damage.letter).collect();
    let names = storage.list().map_err(|error| QueueError::io("cannot list the spool", &error))?;
    wanted.extend(names.iter().filter_map(|name| aside_id(name)));
    let mut found: BTreeMap<LetterId, Vec<Found>> = BTreeMap::new();
    for name in names.iter().filter(|_| !wanted.is_empty()) {
        let octets = read(storage, name).map_err(|error| QueueError::io(format!("cannot read {name}"), &error))?;
        for record in records(name, &octets).into_iter().filter(|record| wanted.contains(&record.header.id)) {
            found.entry(record.header.id).or_default().push(record);
        }
    }
    Ok(wanted.into_iter().map(|id| put_together(id, found.remove(&id).unwrap_or_default())).collect())
}

fn read(storage: &dyn Storage, name: &str) -> std::io::Result<Bytes> {
    let file = storage.open(name)?;
    let mut octets = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    let end = storage::read_up_to(file.as_ref(), &mut octets, 0)?;
    octets.truncate(end);
    Ok(octets.into())
}

/// All records with a whole header, of a segment or of a letter that was set aside.
fn records(name: &str, octets: &Bytes) -> Vec<Found> {
    let salt = SegmentHeader::decode(octets).ok().flatten().map(|segment| segment.salt);
    // A letter that was set aside brings the salts of its segments.
    if salt.is_none() && aside_id(name).is_none() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
        let header = salt.map_or_else(|| RecordHeader::decode_any(rest), |salt| RecordHeader::decode(rest, salt));
        let Ok(header) = header else {
            at += usize_of(ALIGN);
            continue;
        };
        let end = (at + usize_of(RECORD_HEADER) + usize_of(header.len)).min(octets.len());
        let body = octets.slice((at + usize_of(RECORD_HEADER)).min(end)..end);
        let is_whole = layout::check_body(&header, &body).is_ok();
        found.push(Found { header, body, is_whole });
        at += usize_of(header.stride());
    }
    found
}

fn put_together(id: LetterId, mut found: Vec<Found>) -> Salvaged {
    let mut salvaged = Salvaged { id, letter: None, body: Vec::new(), notes: Vec::new() };
    // Of two copies the whole one.
    found.sort_by_key(|record| !record.is_whole);
    let record = found.iter().find(|record| record.header.kind == Kind::Letter);
    let told = record.and_then(|record| layout::decode_letter(&record.body).ok());
    let draft = record.or(found.first()).map_or(0, |record| record.header.word);
    let count = record.map(|record| record.header.number);
    let chunk = |number| {
        let fits =
            |found: &&Found| found.header.kind == Kind::Chunk && found.header.word == draft && found.header.number == number;
        found.iter().find(fits)
    };
    for number in 0..count.unwrap_or(u32::try_from(found.len()).unwrap_or(u32::MAX)) {
        match chunk(number) {
            Some(chunk) => {
                salvaged.body.extend_from_slice(&chunk.body);
                if !chunk.is_whole {
                    salvaged.notes.push(format!("part {number} is damaged"));
                }
            }
            None if count.is_some() => salvaged.notes.push(format!("part {number} is missing")),
            None => {}
        }
    }
    match (told, record) {
        (Some(told), record) => {
            salvaged.body.splice(0..0, told.front.into_bytes());
            salvaged.body.extend_from_slice(&told.tail);
            salvaged.letter = Some(told.letter);
            if record.is_some_and(|record| !record.is_whole) {
                salvaged.notes.push("the envelope or the last part of the text is damaged".to_owned());
            }
        }
        (None, Some(record)) => {
            salvaged.body.extend_from_slice(&record.body);
            salvaged.notes.push("the envelope cannot be read; it stands before the last part of the text".to_owned());
        }
        (None, None) => salvaged.notes.push("the envelope and the last part of the text are missing".to_owned()),
    }
    salvaged
}

#[cfg(test)]
mod tests;
