//! What a durable batch changes: the index, the counts of what is live, and the answers.

use bytes::Bytes;
use posthouse_mail::UnixMillis;
use posthouse_runtime::clock;

use crate::index::{Index, Key, New, Piece, Which};
use crate::ops::{Answer, Commit, Leased, Op, Record};

use super::batch::{Batch, Effect};
use super::upkeep::Copy;
use super::{OpenDraft, Writer};

impl Effect {
    /// The wish behind it; `None` for the upkeep's own.
    pub(super) fn into_op(self) -> Option<Op> {
        match self {
            Self::Chunk { id, draft, answer, .. } => Some(Op::Chunk { id, draft, number: 0, body: Bytes::new(), answer }),
            Self::Commit { commit, .. } | Self::Again(commit) => Some(Op::Commit(commit)),
            Self::Progress { record, .. } | Self::Done { record, .. } => Some(Op::Record(record)),
            Self::Copied { .. } | Self::Tomb { .. } => None,
        }
    }
}

impl Writer {
    /// Does what the batch was for, then answers: one lock and one ring of the bell for all.
    pub(super) fn apply(&mut self, batch: Batch) {
        let shared = std::sync::Arc::clone(&self.shared);
        let mut answers = Vec::with_capacity(batch.effects.len());
        let mut ring = false;
        let mut index = shared.index();
        for effect in batch.effects {
            match effect {
                Effect::Chunk { id, draft, piece, answer, .. } => {
                    self.drafts.entry(draft).or_insert_with(|| OpenDraft { id, pieces: Vec::new() }).pieces.push(piece);
                    self.logs.add(piece, None);
                    answers.push(answer);
                }
                Effect::Commit { lsn, piece, commit } => {
                    ring = true;
                    answers.push(self.apply_commit(&mut index, lsn, piece, *commit));
                }
                Effect::Again(commit) => {
                    self.give_up(commit.draft);
                    answers.push(commit.answer);
                }
                Effect::Progress { piece, record } => {
                    ring |= record.leased != Leased::Nothing || record.change.is_some();
                    answers.push(self.apply_progress(&mut index, piece, record));
                }
                Effect::Done { record, tomb } => {
                    if let Some((segment, header)) = tomb.and_then(|(seq, header)| Some((self.logs.cold.find(seq)?, header))) {
                        segment.tombs.push(header);
                    }
                    self.end(&mut index, record.key);
                    answers.push(record.answer);
                }
                Effect::Copied { copy, to } => self.apply_copy(&mut index, copy, to),
                Effect::Tomb { seq, header } => {
                    if let Some(segment) = self.logs.cold.find(seq) {
                        segment.tombs.push(header);
                    }
                }
            }
        }
        drop(index);
        if ring {
            shared.due.notify_one();
        }
        for answer in answers {
            // Who does not wait any more has dropped the other end.
            let _ = answer.send(Ok(()));
        }
    }

    fn apply_commit(&mut self, index: &mut Index, lsn: u64, piece: Piece, commit: Commit) -> Answer {
        let chunks = self.drafts.remove(&commit.draft).map(|draft| draft.pieces).unwrap_or_default();
        let seqs: Vec<u32> = chunks.iter().map(|chunk| chunk.seq).collect();
        let key = index.admit(New {
            id: commit.id,
            lsn,
            derived: commit.derived,
            piece,
            chunks: chunks.into(),
            size: commit.size,
            facts: commit.facts,
        });
        self.logs.add(piece, Some(key.slot));
        for seq in seqs {
            // The chunks were counted when they came; now the segments they lie in learn whose they are.
            if let Some(segment) = self.logs.find(seq)
                && segment.residents.last() != Some(&key.slot)
            {
                segment.residents.push(key.slot);
            }
        }
        commit.answer
    }

    fn apply_progress(&mut self, index: &mut Index, piece: Piece, record: Record) -> Answer {
        if let Some(entry) = index.entry_mut(record.key) {
            let before = entry.progress.replace(piece);
            self.logs.add(piece, Some(record.key.slot));
            if let Some(before) = before {
                self.logs.drop_piece(before);
            }
        }
        index.release_as(record.key, &record.leased, &record.stands);
        if let Some((change, original)) = &record.change {
            index.change(record.key, change, original, UnixMillis(clock::unix_millis()));
            index.deactivate(record.key);
        }
        record.answer
    }

    /// The letter is over.
    pub(super) fn end(&mut self, index: &mut Index, key: Key) {
        let Some(entry) = index.remove(key) else { return };
        if entry.derived {
            index.remember_done(entry.id);
        }
        for piece in entry.pieces() {
            self.logs.drop_piece(piece);
        }
    }

    /// A record has a copy elsewhere: that one counts from now on.
    fn apply_copy(&mut self, index: &mut Index, copy: Copy, to: Piece) {
        let (place, slot) = match copy {
            Copy::Of { key, which } => {
                let Some(entry) = index.entry_mut(key) else { return };
                let place = match which {
                    Which::Letter => Some(&mut entry.letter),
                    Which::Progress => entry.progress.as_mut(),
                    Which::Chunk(number) => entry.chunks.get_mut(number),
                };
                (place, Some(key.slot))
            }
            Copy::OfDraft { draft, number } => {
                let pieces = self.drafts.get_mut(&draft).map(|draft| &mut draft.pieces);
                (pieces.and_then(|pieces| pieces.get_mut(number)), None)
            }
        };
        let Some(place) = place else { return };
        let from = std::mem::replace(place, to);
        self.logs.add(to, slot);
        self.logs.drop_piece(from);
    }
}
