//! One group commit while it is gathered: the octets to write, and what happens when they are durable.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use posthouse_mail::LetterId;

use crate::index::Piece;
use crate::layout::{ALIGN, RECORD_HEADER, RecordHeader, SegmentHeader, usize_of};
use crate::ops::{Answer, Commit, Record};
use crate::storage::{self, File};

use super::log::Segment;
use super::upkeep::Copy;

/// Shorter bodies are copied beside their headers: one more slice costs more than that.
const COPIED_BYTES_MAX: usize = 1024;

/// What a batch does when it is written, and durable where it must be.
#[derive(Debug)]
pub(super) enum Effect {
    Chunk {
        id: LetterId,
        draft: u64,
        piece: Piece,
        answer: Answer,
    },
    Commit {
        lsn: u64,
        piece: Piece,
        commit: Box<Commit>,
    },
    /// A commit of an id that is known, or that another commit of this batch has.
    Again(Box<Commit>),
    Progress {
        piece: Piece,
        record: Record,
    },
    Done {
        record: Record,
        tomb: Option<(u32, RecordHeader)>,
    },
    Copied {
        copy: Copy,
        to: Piece,
    },
    Tomb {
        seq: u32,
        header: RecordHeader,
    },
}

/// Contiguous octets of one segment.
#[derive(Debug)]
struct Run {
    file: Arc<dyn File>,
    offset: u64,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    /// A range of the arena.
    Arena(Range<usize>),
    Body(Bytes),
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Batch {
    arena: Vec<u8>,
    runs: Vec<Run>,
    /// The run that is being added to.
    run: usize,
    pub(super) effects: Vec<Effect>,
    /// The octets it will write.
    pub(super) bytes: u64,
    /// Whether somebody waits for durability.
    pub(super) must_sync: bool,
}

impl Batch {
    /// One that is synced whether somebody waits or not.
    pub(super) fn synced() -> Self {
        Self { must_sync: true, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.effects.is_empty() && self.runs.is_empty()
    }

    /// Whether it commits a letter with this id.
    pub(super) fn commits(&self, id: LetterId) -> bool {
        self.effects.iter().any(|effect| matches!(effect, Effect::Commit { commit, .. } if commit.id == id))
    }

    /// The files it writes to.
    pub(super) fn files(&self) -> impl Iterator<Item = &Arc<dyn File>> {
        self.runs.iter().map(|run| &run.file)
    }

    /// Begins a segment: its header is written before, and with, its first records.
    pub(super) fn open(&mut self, header: &SegmentHeader, file: &Arc<dyn File>) {
        self.turn_to(file, 0);
        let start = self.arena.len();
        self.arena.extend_from_slice(&header.encode());
        self.arena_part(start);
    }

    /// Adds a record at the end of a segment that has room for it.
    pub(super) fn put(&mut self, segment: &mut Segment, header: &RecordHeader, bodies: &[&Bytes]) -> Piece {
        let offset = segment.end;
        let piece = Piece { seq: segment.header.seq, offset, len: header.len };
        segment.end = segment.end.saturating_add(header.stride());
        self.turn_to(&segment.file, u64::from(offset));
        let mut start = self.arena.len();
        header.encode(segment.header.salt, &mut self.arena);
        for body in bodies {
            if body.len() <= COPIED_BYTES_MAX {
                self.arena.extend_from_slice(body);
                continue;
            }
            self.arena_part(start);
            self.part(Part::Body(Bytes::clone(body)), body.len());
            start = self.arena.len();
        }
        let padding = header.stride() - RECORD_HEADER - header.len;
        debug_assert!(padding < ALIGN, "a record is padded to the next place only");
        self.arena.resize(self.arena.len() + usize_of(padding), 0);
        self.arena_part(start);
        piece
    }

    /// What follows goes into this file, at `offset` if it is the first of this batch.
    fn turn_to(&mut self, file: &Arc<dyn File>, offset: u64) {
        self.run = self.runs.iter().position(|run| Arc::ptr_eq(&run.file, file)).unwrap_or_else(|| {
            self.runs.push(Run { file: Arc::clone(file), offset, parts: Vec::new() });
            self.runs.len() - 1
        });
    }

    fn arena_part(&mut self, start: usize) {
        let end = self.arena.len();
        if start == end {
            return;
        }
        // Neighbours in the arena that are neighbours in the file are one slice.
        if let Some(Part::Arena(range)) = self.runs.get_mut(self.run).and_then(|run| run.parts.last_mut())
            && range.end == start
        {
            range.end = end;
            self.bytes += u64::try_from(end - start).unwrap_or(u64::MAX);
            return;
        }
        self.part(Part::Arena(start..end), end - start);
    }

    fn part(&mut self, part: Part, len: usize) {
        self.bytes += u64::try_from(len).unwrap_or(u64::MAX);
        if let Some(run) = self.runs.get_mut(self.run) {
            run.parts.push(part);
        }
    }

    /// Writes everything, one vectored write per segment where the system lets it.
    pub(super) fn write(&self) -> io::Result<()> {
        for run in &self.runs {
            let mut slices: Vec<_> = run.parts.iter().map(|part| IoSlice::new(self.octets(part))).collect();
            storage::write_all(run.file.as_ref(), &mut slices, run.offset)?;
        }
        Ok(())
    }

    fn octets<'b>(&'b self, part: &'b Part) -> &'b [u8] {
        match part {
            Part::Arena(range) => self.arena.get(range.clone()).unwrap_or_default(),
            Part::Body(bytes) => bytes.as_ref(),
        }
    }
}
