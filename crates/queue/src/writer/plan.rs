//! From a wish to records in a batch.

use bytes::Bytes;

use crate::error::QueueError;
use crate::index::Piece;
use crate::layout::{Kind, LogKind, RecordHeader, u32_of, usize_of};
use crate::ops::{Commit, Op, Record};

use super::batch::{Batch, Effect};
use super::room::{Class, Room};
use super::{Broken, Writer};

/// What came of asking for room.
pub(super) enum Planned<T> {
    Done,
    /// Not in this batch.
    Later(T),
}

impl Writer {
    /// Adds a wish to the batch, or answers it at once. Gives it back when it has to wait for the next batch.
    pub(super) fn plan(&mut self, batch: &mut Batch, op: Op) -> Result<Option<Op>, Broken> {
        let planned = match op {
            Op::Chunk { id, draft, number, body, answer } => {
                let header = RecordHeader { number, word: draft, ..header(Kind::Chunk, false, id, &[&body]) };
                match self.room(batch, LogKind::Hot, Class::Letter, header.stride())? {
                    Room::Ready => {
                        if let Some(piece) = self.put(batch, LogKind::Hot, header, &[&body]) {
                            batch.effects.push(Effect::Chunk { id, draft, piece, answer });
                        }
                        Planned::Done
                    }
                    Room::Later => Planned::Later(Op::Chunk { id, draft, number, body, answer }),
                    Room::Full(error) => {
                        self.refuse(Op::Chunk { id, draft, number, body, answer }, &error);
                        Planned::Done
                    }
                }
            }
            Op::Commit(commit) => self.plan_commit(batch, commit)?,
            Op::Record(record) => self.plan_record(batch, record)?,
            Op::Abandon { draft } => {
                self.give_up(draft);
                Planned::Done
            }
            Op::Probe => {
                self.blocked = None;
                Planned::Done
            }
        };
        Ok(match planned {
            Planned::Done => None,
            Planned::Later(op) => Some(op),
        })
    }

    fn plan_commit(&mut self, batch: &mut Batch, commit: Box<Commit>) -> Result<Planned<Op>, Broken> {
        // Only an id that its maker gave can be there already; the others are random.
        if commit.derived && (self.shared.index().knows(commit.id) || batch.commits(commit.id)) {
            // The other one of this batch is durable when the batch is.
            batch.effects.push(Effect::Again(commit));
            return Ok(Planned::Done);
        }
        let meta = Bytes::clone(&commit.meta);
        let bodies = [&meta, &commit.tail];
        let header = RecordHeader {
            number: commit.chunks,
            word: commit.draft,
            ..header(Kind::Letter, commit.derived, commit.id, &bodies)
        };
        match self.room(batch, LogKind::Hot, Class::Letter, header.stride())? {
            // Asked only now: making room may have found one of the chunks damaged.
            Room::Ready if !self.has_chunks(&commit) => {
                let error = QueueError::Damaged { id: commit.id, what: "a part of its body was lost in the spool".to_owned() };
                self.give_up(commit.draft);
                self.refuse(Op::Commit(commit), &error);
                Ok(Planned::Done)
            }
            Room::Ready => {
                let lsn = self.logs.next_lsn;
                if let Some(piece) = self.put(batch, LogKind::Hot, header, &bodies) {
                    batch.must_sync = true;
                    batch.effects.push(Effect::Commit { lsn, piece, commit });
                }
                Ok(Planned::Done)
            }
            Room::Later => Ok(Planned::Later(Op::Commit(commit))),
            Room::Full(error) => {
                self.give_up(commit.draft);
                self.refuse(Op::Commit(commit), &error);
                Ok(Planned::Done)
            }
        }
    }

    /// Whether all of a draft's chunks are in the log.
    fn has_chunks(&self, commit: &Commit) -> bool {
        let chunks = self.drafts.get(&commit.draft).map_or(0, |draft| draft.pieces.len());
        chunks == usize_of(commit.chunks)
    }

    fn plan_record(&mut self, batch: &mut Batch, record: Record) -> Result<Planned<Op>, Broken> {
        let body = record.progress.as_ref().map(|(body, _)| Bytes::clone(body)).unwrap_or_default();
        let kind = if record.progress.is_some() { Kind::Progress } else { Kind::Done };
        let word = record.progress.as_ref().map_or(0, |(_, next)| next.0);
        let mut header = RecordHeader { word, ..header(kind, false, record.id, &[&body]) };
        loop {
            let Some((log, derived)) = self.home(&record) else {
                let error = QueueError::Gone(record.id);
                self.refuse(Op::Record(record), &error);
                return Ok(Planned::Done);
            };
            header.derived = derived;
            match self.room(batch, log, Class::State, header.stride())? {
                // Making room may just have copied this very letter to the cold log.
                Room::Ready if self.home(&record) != Some((log, derived)) => {}
                Room::Ready => {
                    self.put_record(batch, log, header, &body, record);
                    return Ok(Planned::Done);
                }
                Room::Later => return Ok(Planned::Later(Op::Record(record))),
                Room::Full(error) => {
                    self.refuse(Op::Record(record), &error);
                    return Ok(Planned::Done);
                }
            }
        }
    }

    /// The log that holds the letter's record. What is written about the letter goes there as well, so that the log that holds a
    /// copy of the letter also holds the Done that ends it.
    fn home(&self, record: &Record) -> Option<(LogKind, bool)> {
        let index = self.shared.index();
        let entry = index.entry(record.key)?;
        let log = if self.logs.cold.holds(entry.letter) { LogKind::Cold } else { LogKind::Hot };
        Some((log, entry.derived))
    }

    fn put_record(&mut self, batch: &mut Batch, log: LogKind, header: RecordHeader, body: &Bytes, record: Record) {
        let lsn = self.logs.next_lsn;
        let Some(piece) = self.put(batch, log, header, &[body]) else { return };
        batch.must_sync = true;
        let tomb = (log == LogKind::Cold).then_some((piece.seq, RecordHeader { lsn, ..header }));
        batch.effects.push(match record.progress {
            Some(_) => Effect::Progress { piece, record },
            None => Effect::Done { record, tomb },
        });
    }

    /// Puts a record with a new LSN where [`Writer::room`] has found room.
    fn put(&mut self, batch: &mut Batch, log: LogKind, mut header: RecordHeader, bodies: &[&Bytes]) -> Option<Piece> {
        header.lsn = self.logs.take_lsn();
        let segment = self.logs.log(log).active_with_room(header.stride())?;
        Some(batch.put(segment, &header, bodies))
    }

    /// A draft's chunks count no more.
    pub(super) fn give_up(&mut self, draft: u64) {
        for piece in self.drafts.remove(&draft).map(|draft| draft.pieces).unwrap_or_default() {
            self.logs.drop_piece(piece);
        }
    }
}

/// A header whose LSN is not known yet.
fn header(kind: Kind, derived: bool, id: posthouse_mail::LetterId, bodies: &[&Bytes]) -> RecordHeader {
    let mut crc = crc32fast::Hasher::new();
    let mut len = 0usize;
    for body in bodies {
        crc.update(body);
        len = len.saturating_add(body.len());
    }
    RecordHeader { kind, derived, lsn: 0, id, len: u32_of(len), number: 0, word: 0, body_crc: crc.finalize() }
}
