//! Opening a spool: from what the disk says to an index that can be served.
//!
//! It loses nothing that was acknowledged and brings nothing back that had ended; `docs/design/queue.md` has the reasoning.
//! Nothing is appended behind what an earlier run wrote: the first record of this run opens a fresh segment.

use std::io::IoSlice;

use posthouse_mail::LetterId;

use crate::error::QueueError;
use crate::index::{Index, Sizes};
use crate::layout::{LogKind, RECORD_HEADER};
use crate::schedule::sources::Sources;
use crate::storage::{self, Storage};
use crate::survey::{self, Found, Survey, TAIL_SEGMENTS};
use crate::writer::log::{Blank, Log, Logs, clear};

/// What was found when a spool was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The queued letters.
    pub letters: usize,
    /// The octets of their bodies.
    pub octets: u64,
    /// Records that were being written when the last run ended. Nobody was told that they were stored.
    pub torn: usize,
    /// What had been stored and is not as it was.
    pub damages: Vec<Damage>,
}

/// Octets of the spool that are not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment's file.
    pub segment: String,
    /// The place in it.
    pub offset: u64,
    /// Whose they are, where that can still be read.
    pub letter: Option<LetterId>,
    /// What does not fit.
    pub what: String,
}

impl Recovered {
    pub(crate) fn log(&self) {
        tracing::info!(letters = self.letters, octets = self.octets, torn = self.torn, "the spool is open");
        for damage in &self.damages {
            let letter = damage.letter.map(tracing::field::display);
            let Damage { segment, offset, what, .. } = damage;
            tracing::error!(segment, offset, letter, what, "the spool is damaged");
        }
    }
}

/// A spool ready to be served.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub(crate) index: Index,
    pub(crate) logs: Logs,
    pub(crate) recovered: Recovered,
}

/// Reads the spool and brings its files in order.
pub(crate) fn recover(storage: &dyn Storage, sizes: Sizes, sources: &Sources) -> Result<Recovery, QueueError> {
    let mut survey = Survey::new(sources.clone());
    let mut logs = Logs::new();
    let mut data = Vec::new();
    let mut blanks = Vec::new();
    for (name, _, _) in survey::files(storage)? {
        match survey.read(storage, &name, &mut data)? {
            Some(Found::Segment(segment, log)) => logs.log(log).segments.push_back(*segment),
            Some(Found::Blank(blank, log, len)) => blanks.push((blank, log, len)),
            None => {}
        }
    }
    for log in [&mut logs.hot, &mut logs.cold] {
        log.segments.make_contiguous().sort_by_key(|segment| segment.header.seq);
        write_back(log, &mut data)?;
    }
    logs.next_lsn = survey.lsn_max.saturating_add(1);
    logs.next_seq = survey.seq_max.saturating_add(1);
    stock(storage, &mut logs, blanks, sizes)?;
    let (index, recovered) = fill(&mut logs, survey)?;
    Ok(Recovery { index, logs, recovered })
}

/// Makes durable what was read from the last segments of a log.
///
/// It may have come from the page cache alone: written by a process that was killed before it synced, or whose sync failed, after
/// which Linux takes the pages for clean. So the same octets are written again, and synced, before anything is done that relies on
/// them (fsyncgate; Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
fn write_back(log: &Log, data: &mut Vec<u8>) -> Result<(), QueueError> {
    for segment in log.segments.iter().rev().take(TAIL_SEGMENTS) {
        let failed = |error| QueueError::io(format!("cannot write {}", segment.name), &error);
        data.clear();
        data.resize(crate::layout::usize_of(segment.end), 0);
        storage::read_exact(segment.file.as_ref(), data, 0).map_err(failed)?;
        storage::write_all(segment.file.as_ref(), &mut [IoSlice::new(data)], 0).map_err(failed)?;
        segment.file.sync_data().map_err(failed)?;
    }
    Ok(())
}

/// Takes files without records as blanks, and removes those that cannot be used.
fn stock(storage: &dyn Storage, logs: &mut Logs, blanks: Vec<(Blank, LogKind, u64)>, sizes: Sizes) -> Result<(), QueueError> {
    for (blank, kind, len) in blanks {
        let log = logs.log(kind);
        let wanted = match kind {
            LogKind::Hot => log.files() < sizes.hot_max,
            LogKind::Cold => log.blanks.is_empty(),
        };
        if wanted && len == u64::from(sizes.segment) {
            if kind == LogKind::Hot {
                // The page cache may show a clearing that the disk has not seen, for the reason of `write_back`.
                clear(blank.file.as_ref()).map_err(|error| QueueError::io(format!("cannot write {}", blank.name), &error))?;
            }
            log.blanks.push_back(blank);
            continue;
        }
        storage.remove(&blank.name).map_err(|error| QueueError::io(format!("cannot remove {}", blank.name), &error))?;
    }
    storage.sync_dir().map_err(|error| QueueError::io("cannot sync the spool's directory", &error))
}

/// Takes the headers of torn records away, durably. Once more segments stand behind theirs they would be taken for damage.
fn forget_torn(logs: &Logs, torn: &[Damage]) -> Result<(), QueueError> {
    for segment in logs.hot.segments.iter().chain(&logs.cold.segments) {
        let mut offsets = torn.iter().filter(|damage| damage.segment == segment.name).map(|damage| damage.offset).peekable();
        if offsets.peek().is_none() {
            continue;
        }
        let failed = |error| QueueError::io(format!("cannot write {}", segment.name), &error);
        for offset in offsets {
            let nothing = vec![0; crate::layout::usize_of(RECORD_HEADER)];
            storage::write_all(segment.file.as_ref(), &mut [IoSlice::new(&nothing)], offset).map_err(failed)?;
        }
        segment.file.sync_data().map_err(failed)?;
    }
    Ok(())
}

fn fill(logs: &mut Logs, mut survey: Survey) -> Result<(Index, Recovered), QueueError> {
    let tails: Vec<_> = [&logs.hot, &logs.cold]
        .into_iter()
        .flat_map(|log| log.segments.iter().rev().take(TAIL_SEGMENTS))
        .map(|segment| (segment.header.seq, segment.name.clone(), segment.end))
        .collect();
    let torn = survey.tell_torn(&tails.iter().map(|(_, name, end)| (name.clone(), *end)).collect::<Vec<_>>());
    forget_torn(logs, &torn)?;
    survey.finish(&tails.iter().map(|(seq, ..)| *seq).collect::<Vec<_>>());
    for id in survey.derived_done() {
        survey.index.remember_done(id);
    }
    let Survey { mut index, torn, damages, .. } = survey;
    let mut recovered = Recovered { letters: index.len(), octets: 0, torn, damages };
    let mut seen = Vec::new();
    for (slot, entry) in index.entries.with_slots() {
        recovered.octets += entry.size;
        seen.clear();
        for piece in entry.pieces() {
            let is_first = !seen.contains(&piece.seq);
            if is_first {
                seen.push(piece.seq);
            }
            logs.add(piece, is_first.then_some(slot));
        }
    }
    index.line_up();
    Ok((index, recovered))
}

#[cfg(test)]
mod tests;
