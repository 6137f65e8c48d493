//! What is done with a record that must be copied and cannot be read: nothing is thrown away.
//!
//! What is left of its letter goes into a file of its own, named for it, before the letter leaves the queue; `posthouse check
//! --salvage` reads that. While the file cannot be written the letter stays, and so does the segment it is in.

use std::io::{self, IoSlice};
use std::sync::Arc;

use crate::body::read_record;
use crate::index::{Key, Piece, Which};
use crate::layout::{self, RecordHeader};
use crate::storage::{self, File};

use super::Writer;
use super::log::aside_name;
use super::upkeep::Copy;

/// Reads a record, again if it cannot be read at first: a disk may be wrong for a moment.
pub(super) fn read_patiently(file: &dyn File, piece: Piece) -> io::Result<(RecordHeader, bytes::Bytes)> {
    read_record(file, piece.offset, piece.len).or_else(|_| read_record(file, piece.offset, piece.len))
}

impl Writer {
    /// Lets go of a record that cannot be read; `false` when it has to stay for now.
    pub(super) fn part_with(&mut self, copy: Copy, error: &io::Error) -> bool {
        let shared = Arc::clone(&self.shared);
        match copy {
            Copy::Of { key, which: Which::Progress } => {
                // Without its state the letter is tried for everybody again: twice is better than never.
                let mut index = shared.index();
                let Some(entry) = index.entry_mut(key) else { return true };
                tracing::error!(letter = %entry.id, %error, "the state of a letter is damaged in the spool; it is tried for all recipients again");
                if let Some(piece) = entry.progress.take() {
                    self.logs.drop_piece(piece);
                }
                true
            }
            Copy::Of { key, which: Which::Letter | Which::Chunk(_) } => self.set_aside(key, error),
            Copy::OfDraft { draft, .. } => {
                // It was not accepted yet, and will be refused.
                let letter = self.drafts.get(&draft).map(|draft| tracing::field::display(draft.id));
                tracing::error!(letter, %error, "a part of a letter that is coming in is damaged in the spool");
                self.give_up(draft);
                true
            }
        }
    }

    fn set_aside(&mut self, key: Key, error: &io::Error) -> bool {
        let shared = Arc::clone(&self.shared);
        let Some((id, pieces)) = shared.index().entry(key).map(|entry| (entry.id, entry.pieces().collect::<Vec<_>>())) else {
            return true;
        };
        let name = aside_name(id);
        match self.write_aside(&name, &pieces) {
            Ok(()) => {
                tracing::error!(letter = %id, %error, file = name, "a letter is damaged in the spool and leaves the queue; \
                    `posthouse check --salvage` reads what is left of it");
                self.end(&mut shared.index(), key);
                true
            }
            Err(why) => {
                tracing::error!(letter = %id, %error, %why, "a letter is damaged in the spool, and what is left of it cannot be set aside");
                false
            }
        }
    }

    /// Writes all records of a letter as they are found, one behind the other; what the disk does not give is left zero.
    fn write_aside(&mut self, name: &str, pieces: &[Piece]) -> io::Result<()> {
        // One that was begun in an earlier life, or when there was no room for it.
        match self.storage.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let aside = self.storage.create(name)?;
        let mut at = 0;
        for piece in pieces {
            let mut octets = vec![0; layout::usize_of(layout::stride(piece.len))];
            if let Some(segment) = self.logs.find(piece.seq) {
                // Read sector by sector: one bad one does not hide the others.
                for (place, sector) in (u64::from(piece.offset)..).step_by(SECTOR).zip(octets.chunks_mut(SECTOR)) {
                    let _ = storage::read_exact(segment.file.as_ref(), sector, place);
                }
            }
            storage::write_all(aside.as_ref(), &mut [IoSlice::new(&octets)], at)?;
            at += piece.stride();
        }
        aside.sync_data()?;
        self.storage.sync_dir()
    }
}

/// What is read at once of a record that is damaged.
const SECTOR: usize = 512;
