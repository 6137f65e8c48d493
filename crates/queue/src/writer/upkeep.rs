//! What the writer does between batches, in small steps: empty the oldest hot segment into the cold log before its turn comes,
//! compact the cold log, have the ring grow.
//!
//! Copies are durable before what they were copied from is overwritten or removed, and a copy keeps its LSN. Segments leave each log
//! in the order they came. The invariants are in `docs/design/queue.md`.

use std::sync::Arc;

use bytes::Bytes;

use crate::index::{Key, Piece, Which};
use crate::layout::{LogKind, RecordHeader};
use crate::storage::File;

use super::aside::read_patiently;
use super::batch::{Batch, Effect};
use super::log::file_name;
use super::room::{Class, HOT_SPARE, Room};
use super::{Broken, Writer};

/// The part of a batch that one step copies: letters that come in meanwhile wait for it.
const STEP_PART: u64 = 4;
/// The tombs one step copies.
const TOMBS_STEP: usize = 4096;

/// A record that is copied.
#[derive(Debug, Clone, Copy)]
pub(super) enum Copy {
    /// A letter's.
    Of { key: Key, which: Which },
    /// An open draft's chunk.
    OfDraft { draft: u64, number: usize },
}

impl Writer {
    /// One step; says whether there is more to do at once.
    pub(super) fn upkeep(&mut self) -> Result<bool, Broken> {
        self.collect()?;
        let more = self.step()?;
        // While steps make room there is some: a letter that comes now waits for them.
        self.shared.set_room(more || self.usable_hot() >= HOT_SPARE);
        Ok(more)
    }

    fn step(&mut self) -> Result<bool, Broken> {
        if self.logs.hot.blanks.is_empty() && self.logs.hot.reusable() > 0 {
            // Now, so that no batch has to wait for it.
            self.blank_oldest()?;
            return Ok(true);
        }
        if self.usable_hot() < self.low_water() && self.evacuate()? {
            return Ok(true);
        }
        if self.tidy_cold()? {
            return Ok(true);
        }
        if !self.logs.cold.segments.is_empty() {
            // The reserve for what ends cold letters.
            self.stock_cold(1, usize::MAX)?;
        }
        self.grow();
        Ok(false)
    }

    /// Emptying begins when fewer segments than this can be opened.
    fn low_water(&self) -> usize {
        if self.shared.sizes.hot_max < 8 { 2 } else { 3 }
    }

    fn collect(&mut self) -> Result<(), Broken> {
        match self.helper.made() {
            Some(Ok(blank)) => self.logs.hot.blanks.push_back(blank),
            Some(Err(error)) => self.not_made(error)?,
            None => {}
        }
        Ok(())
    }

    /// Has a segment zeroed when the next one would have to be made by the writer itself.
    fn grow(&mut self) {
        let hot = &self.logs.hot;
        let wanted = hot.spare() < HOT_SPARE && hot.files() < self.shared.sizes.hot_max && !hot.segments.is_empty();
        if wanted && !self.helper.making && self.may_create() {
            let name = file_name(LogKind::Hot, self.logs.take_seq());
            self.helper.make(name, self.shared.sizes.segment.into());
        }
    }

    /// Copies some of what is left in the oldest hot segment; `false` when nothing can be done.
    pub(super) fn evacuate(&mut self) -> Result<bool, Broken> {
        let at = self.logs.hot.reusable();
        if at >= self.logs.hot.sealed() {
            return Ok(false);
        }
        let Some(source) = self.logs.hot.segments.get(at) else { return Ok(false) };
        let (seq, file) = (source.header.seq, Arc::clone(&source.file));
        self.copy_from(LogKind::Hot, seq, &file)
    }

    /// Frees the oldest cold segment, or begins to, when that is worth it.
    pub(super) fn tidy_cold(&mut self) -> Result<bool, Broken> {
        let sealed = self.logs.cold.sealed();
        let floor = self.logs.hot_floor();
        let cold = self.logs.cold.segments.iter().take(sealed);
        let (kept, used) = cold.fold((0u64, 0u64), |(kept, used), segment| (kept + segment.kept(floor), used + segment.used()));
        let Some(oldest) = self.logs.cold.segments.front().filter(|_| sealed > 0) else { return Ok(false) };
        let empty = oldest.kept(floor) == 0;
        // While there is room, only when half of what is written counts no more: what is freed then costs no more than as much
        // copying. Near the limit an eighth is worth it.
        let near_limit = self.logs.cold.files() + 1 >= self.shared.sizes.cold_max;
        let worth = if near_limit { kept.saturating_mul(8) < used.saturating_mul(7) } else { kept.saturating_mul(2) < used };
        if !empty && (sealed < 2 || !worth) {
            return Ok(false);
        }
        let (seq, live, file) = (oldest_seq(self), oldest_live(self), oldest_file(self));
        if empty {
            if let Some(gone) = self.logs.cold.segments.pop_front() {
                self.shared.index().forget_file(seq);
                self.helper.remove(gone.name);
            }
            return Ok(true);
        }
        let Some(file) = file else { return Ok(false) };
        if live > 0 { self.copy_from(LogKind::Cold, seq, &file) } else { self.copy_tombs(floor) }
    }

    /// Copies some of the records that count from a segment to the end of the cold log.
    fn copy_from(&mut self, log: LogKind, seq: u32, file: &Arc<dyn File>) -> Result<bool, Broken> {
        let class = if log == LogKind::Hot { Class::Copy } else { Class::Compact };
        // Room for what ends letters is never used up by copies.
        if !self.stock_cold(1, self.cold_limit(class))? {
            return Ok(false);
        }
        let mut batch = Batch::synced();
        let copies = self.choose(log, seq);
        let mut moved = false;
        for (copy, piece) in copies {
            let (header, body) = match read_patiently(file.as_ref(), piece) {
                Ok(read) => read,
                Err(error) => {
                    moved |= self.part_with(copy, &error);
                    continue;
                }
            };
            match self.room(&mut batch, LogKind::Cold, class, header.stride())? {
                Room::Ready => {}
                Room::Later => break,
                Room::Full(_) if batch.is_empty() => return Ok(moved),
                Room::Full(_) => break,
            }
            if let Some(to) = self.put_copy(&mut batch, &header, &body) {
                batch.effects.push(Effect::Copied { copy, to });
            }
        }
        moved |= !batch.is_empty() || self.logs.cold.opening_unsynced;
        self.flush(batch)?;
        Ok(moved)
    }

    fn put_copy(&mut self, batch: &mut Batch, header: &RecordHeader, body: &Bytes) -> Option<Piece> {
        let segment = self.logs.cold.active_with_room(header.stride())?;
        Some(batch.put(segment, header, &[body]))
    }

    /// The tombs of the oldest cold segment go to the end of the cold log, while an older record may lie in the hot one.
    fn copy_tombs(&mut self, floor: u64) -> Result<bool, Broken> {
        let Some(oldest) = self.logs.cold.segments.front() else { return Ok(false) };
        let tombs: Vec<RecordHeader> = oldest.tombs_needed(floor).take(TOMBS_STEP).copied().collect();
        let mut batch = Batch::synced();
        let mut copied = 0;
        for tomb in &tombs {
            match self.room(&mut batch, LogKind::Cold, Class::Compact, tomb.stride())? {
                Room::Ready => {}
                Room::Later | Room::Full(_) => break,
            }
            if let Some(to) = self.put_copy(&mut batch, tomb, &Bytes::new()) {
                batch.effects.push(Effect::Tomb { seq: to.seq, header: *tomb });
                copied += 1;
            }
        }
        let moved = copied > 0 || self.logs.cold.opening_unsynced;
        self.flush(batch)?;
        if let Some(oldest) = self.logs.cold.segments.front_mut() {
            let done: Vec<u64> = tombs.iter().take(copied).map(|tomb| tomb.lsn).collect();
            oldest.tombs.retain(|tomb| tomb.lsn >= floor && !done.contains(&tomb.lsn));
        }
        Ok(moved)
    }

    /// The next records of a segment to copy: one step's worth.
    fn choose(&mut self, log: LogKind, seq: u32) -> Vec<(Copy, Piece)> {
        let step = (self.shared.sizes.batch / STEP_PART).max(1);
        let shared = Arc::clone(&self.shared);
        let index = shared.index();
        let Some(segment) = self.logs.log(log).find(seq) else { return Vec::new() };
        let mut chosen = Vec::new();
        let mut octets = 0;
        // Who has nothing left here is forgotten, so that the next step does not look again.
        segment.residents.retain(|&slot| {
            if octets >= step {
                return true;
            }
            let before = chosen.len();
            if let Some(entry) = index.entries.slot(slot) {
                let key = Key { slot, lsn: entry.lsn };
                let chunks = entry.chunks.iter().enumerate().map(|(number, piece)| (Which::Chunk(number), *piece));
                let progress = entry.progress.map(|piece| (Which::Progress, piece));
                for (which, piece) in chunks.chain([(Which::Letter, entry.letter)]).chain(progress) {
                    if piece.seq == seq && octets < step {
                        octets += piece.stride();
                        chosen.push((Copy::Of { key, which }, piece));
                    }
                }
            }
            chosen.len() > before
        });
        for (&draft, open) in &self.drafts {
            for (number, piece) in open.pieces.iter().enumerate().filter(|(_, piece)| piece.seq == seq) {
                if octets < step {
                    octets += piece.stride();
                    chosen.push((Copy::OfDraft { draft, number }, *piece));
                }
            }
        }
        chosen
    }
}

fn oldest_seq(writer: &Writer) -> u32 {
    writer.logs.cold.segments.front().map_or(0, |segment| segment.header.seq)
}

fn oldest_live(writer: &Writer) -> u64 {
    writer.logs.cold.segments.front().map_or(0, |segment| segment.live)
}

fn oldest_file(writer: &Writer) -> Option<Arc<dyn File>> {
    writer.logs.cold.segments.front().map(|segment| Arc::clone(&segment.file))
}
