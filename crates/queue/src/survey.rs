//! Reads every segment of a spool and works out what it says: which letters are queued, and where their records lie.
//!
//! The records are facts with a place in one history, their LSN; a copy keeps it. So the order of reading does not matter: the
//! highest LSN wins, a Done ends every older record of its letter, and of two copies of one record the cold one is taken. It never
//! writes.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use posthouse_mail::{LetterId, Priority, UnixMillis};

use crate::error::QueueError;
use crate::index::{Index, Key, New, Piece};
use crate::layout::{
    self, Kind, LayoutError, LetterBody, LogKind, ProgressBody, RecordHeader, SEGMENT_HEADER, SegmentHeader, usize_of,
};
use crate::letter::{self, DeliveryState, Facts};
use crate::recover::Damage;
use crate::scan::{Find, Scan};
use crate::schedule::destinations::NextHop;
use crate::schedule::sources::Sources;
use crate::storage::{self, File, Storage};
use crate::writer::log::{Blank, Segment, parse_name};

/// How many segments of a log an unsynced write can have touched: the one that was full, and the one opened behind it.
pub(crate) const TAIL_SEGMENTS: usize = 2;

/// A record and where it stands. Of two for the same thing the greater one counts: the later fact, then the copy.
#[derive(Debug, Clone, Copy)]
struct Fact {
    header: RecordHeader,
    piece: Piece,
    log: LogKind,
}

impl Fact {
    fn rank(&self) -> (u64, LogKind, u32) {
        (self.header.lsn, self.log, self.piece.seq)
    }
}

/// A file that is a segment, or can become one.
#[derive(Debug)]
pub(crate) enum Found {
    Segment(Box<Segment>, LogKind),
    Blank(Blank, LogKind, u64),
}

/// What the spool says. The index is made while the records are read, so that a million letters are held once.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The letters that are queued, as far as has been read.
    pub(crate) index: Index,
    /// By which addresses they leave.
    sources: Sources,
    /// By slot: the LSN of the Progress record that counts; 0 for none.
    progress: Vec<u64>,
    /// Of the letters with chunks: the draft they carry, and how many there are.
    sheaves: HashMap<LetterId, (u64, u32)>,
    /// Of the letters with several parts: which one each recipient belongs to.
    part_of: HashMap<LetterId, Vec<u32>>,
    /// The hosts that operators sent letters by.
    vias: HashMap<LetterId, NextHop>,
    /// Progress of letters whose own record may not have been read yet.
    early: HashMap<LetterId, (Fact, ProgressBrief)>,
    chunks: HashMap<(LetterId, u64, u32), Fact>,
    done: HashMap<LetterId, RecordHeader>,
    pub(crate) damages: Vec<Damage>,
    /// Records of the last batch that did not reach the disk whole; nobody was told that they had.
    pub(crate) torn: usize,
    pub(crate) lsn_max: u64,
    pub(crate) seq_max: u32,
}

/// All files of the spool, hot ones first: a letter that moves while a running server's spool is read moves to a file read later.
pub(crate) fn files(storage: &dyn Storage) -> Result<Vec<(String, LogKind, u32)>, QueueError> {
    let names = storage.list().map_err(|error| QueueError::io("cannot list the spool", &error))?;
    let mut files: Vec<_> = names.into_iter().filter_map(|name| parse_name(&name).map(|(log, seq)| (name, log, seq))).collect();
    files.sort_by_key(|(_, log, seq)| (*log, *seq));
    Ok(files)
}

/// A segment file in memory.
struct Loaded {
    file: Arc<dyn File>,
    len: u64,
    header: Result<Option<SegmentHeader>, LayoutError>,
}

impl Survey {
    pub(crate) fn new(sources: Sources) -> Self {
        Self { sources, ..Self::default() }
    }

    /// Reads one file. `data` is a buffer used again and again; it holds the segment's octets afterwards.
    pub(crate) fn read(&mut self, storage: &dyn Storage, name: &str, data: &mut Vec<u8>) -> Result<Option<Found>, QueueError> {
        let Loaded { file, len, header } =
            load(storage, name, data).map_err(|error| QueueError::io(format!("cannot read {name}"), &error))?;
        let (log, seq) = parse_name(name).unwrap_or((LogKind::Hot, 0));
        self.seq_max = self.seq_max.max(seq);
        let header = match header {
            Ok(Some(header)) => header,
            // A file that was being made when the power went is short; it holds nothing.
            Ok(None) | Err(LayoutError::Short) => {
                return Ok(Some(Found::Blank(Blank { name: name.to_owned(), file }, log, len)));
            }
            Err(LayoutError::Version(found)) => {
                return Err(QueueError::Format { segment: name.to_owned(), found, known: layout::VERSION });
            }
            Err(why @ (LayoutError::Checksum | LayoutError::Foreign | LayoutError::Value)) => {
                self.damages.push(Damage {
                    segment: name.to_owned(),
                    offset: 0,
                    letter: None,
                    what: format!("the header: {why}"),
                });
                return Ok(None);
            }
        };
        if SegmentHeader::is_half_rotten(data) {
            let what = "one of its two headers does not match its checksum; the other is used".to_owned();
            self.damages.push(Damage { segment: name.to_owned(), offset: 0, letter: None, what });
        }
        self.seq_max = self.seq_max.max(header.seq);
        self.lsn_max = self.lsn_max.max(header.first_lsn.saturating_sub(1));
        data.truncate(usize_of(header.capacity));
        self.index.add_file(header.seq, header.log, Arc::clone(&file));
        let mut segment = Segment {
            header,
            name: name.to_owned(),
            file,
            end: SEGMENT_HEADER,
            live: 0,
            residents: Vec::new(),
            tombs: Vec::new(),
        };
        self.walk(&mut segment, data);
        Ok(Some(Found::Segment(Box::new(segment), header.log)))
    }

    fn walk(&mut self, segment: &mut Segment, data: &[u8]) {
        for find in Scan::new(data, segment.header.salt) {
            match find {
                Find::Record { offset, header, body } => {
                    segment.end = offset.saturating_add(header.stride());
                    self.lsn_max = self.lsn_max.max(header.lsn);
                    if header.kind == Kind::Done && segment.header.log == LogKind::Cold {
                        segment.tombs.push(header);
                    }
                    self.note(segment, offset, header, body);
                }
                Find::Damage { offset, id, lsn } => {
                    self.lsn_max = self.lsn_max.max(lsn.unwrap_or_default());
                    self.damages.push(Damage {
                        segment: segment.name.clone(),
                        offset: offset.into(),
                        letter: id,
                        what: "a record does not match its checksum".to_owned(),
                    });
                }
            }
        }
    }

    fn note(&mut self, segment: &Segment, offset: u32, header: RecordHeader, body: &[u8]) {
        let piece = Piece { seq: segment.header.seq, offset, len: header.len };
        let fact = Fact { header, piece, log: segment.header.log };
        match header.kind {
            // A record whose checksum is right and that cannot be read was written by nobody.
            Kind::Letter => {
                if let Ok(body) = layout::decode_letter(&Bytes::copy_from_slice(body)) {
                    self.note_letter(fact, &body);
                }
            }
            Kind::Progress => {
                if let Ok(body) = layout::decode_progress(body) {
                    let brief = ProgressBrief::from(body);
                    self.note_progress(fact, &brief);
                    self.keep(fact, brief);
                }
            }
            Kind::Chunk => {
                let known = self.chunks.entry((header.id, header.word, header.number)).or_insert(fact);
                if fact.rank() > known.rank() {
                    *known = fact;
                }
            }
            Kind::Done => self.note_done(header),
        }
    }

    fn has_ended(&self, header: &RecordHeader) -> bool {
        self.done.get(&header.id).is_some_and(|done| done.lsn > header.lsn)
    }

    fn note_letter(&mut self, fact: Fact, body: &LetterBody) {
        let Fact { header, piece, log } = fact;
        let RecordHeader { id, lsn, derived, .. } = header;
        if self.has_ended(&header) {
            return;
        }
        if let Some(key) = self.index.key(id) {
            if lsn <= key.lsn {
                let known = self.index.entry(key).map(|entry| entry.letter);
                if lsn == key.lsn
                    && known.is_some_and(|known| self.is_better(log, piece, known))
                    && let Some(entry) = self.index.entry_mut(key)
                {
                    entry.letter = piece;
                }
                return;
            }
            // Its id was given again: what is known is of an earlier life.
            self.index.remove(key);
        }
        let facts = Facts::of(&body.letter, &self.sources);
        self.sheaves.remove(&id);
        self.part_of.remove(&id);
        self.vias.remove(&id);
        if header.number > 0 {
            self.sheaves.insert(id, (header.word, header.number));
        }
        if !facts.part_of.is_empty() {
            self.part_of.insert(id, facts.part_of.clone());
        }
        let new = New { id, lsn, derived, piece, chunks: Box::default(), size: body.size, facts };
        let slot = usize_of(self.index.insert(new).slot);
        self.progress.resize(self.progress.len().max(slot + 1), 0);
        if let Some(progress) = self.progress.get_mut(slot) {
            *progress = 0;
        }
        if let Some((fact, brief)) = self.early.remove(&id) {
            self.note_progress(fact, &brief);
            // Its own life may be yet to come.
            self.keep(fact, brief);
        }
    }

    /// Keeps a Progress record whose letter may be yet to come: when none is known, or when its id may have been given before.
    fn keep(&mut self, fact: Fact, brief: ProgressBrief) {
        let is_early = fact.header.derived || self.index.key(fact.header.id).is_none();
        let known = self.early.get(&fact.header.id);
        if is_early && !self.has_ended(&fact.header) && known.is_none_or(|(known, _)| fact.rank() > known.rank()) {
            self.early.insert(fact.header.id, (fact, brief));
        }
    }

    fn note_progress(&mut self, fact: Fact, brief: &ProgressBrief) {
        let Fact { header, piece, log } = fact;
        if self.has_ended(&header) {
            return;
        }
        let Some(key) = self.index.key(header.id) else { return };
        let known = self.progress.get(usize_of(key.slot)).copied().unwrap_or_default();
        let copy = self.index.entry(key).and_then(|entry| entry.progress);
        let is_newer = header.lsn > known.max(key.lsn);
        let is_better = header.lsn == known && copy.is_some_and(|known| self.is_better(log, piece, known));
        if (is_newer || is_better)
            && let Some(entry) = self.index.entry_mut(key)
        {
            entry.progress = Some(piece);
        }
        if is_newer {
            if let Some(progress) = self.progress.get_mut(usize_of(key.slot)) {
                *progress = header.lsn;
            }
            self.stand(header.id, key, brief);
        }
    }

    fn stand(&mut self, id: LetterId, key: Key, brief: &ProgressBrief) {
        match &brief.via {
            Some(via) => drop(self.vias.insert(id, via.clone())),
            None => drop(self.vias.remove(&id)),
        }
        let part_of = self.part_of.get(&id).map_or(&[][..], Vec::as_slice);
        let parts = self.index.entry(key).map_or(0, |entry| entry.parts.iter().count());
        let stands = letter::stands(brief.recipients.iter().copied(), parts, part_of);
        self.index.stand(key, brief.held, brief.priority, &stands);
    }

    fn note_done(&mut self, header: RecordHeader) {
        let known = self.done.entry(header.id).or_insert(header);
        if header.lsn > known.lsn {
            *known = header;
        }
        if let Some(key) = self.index.key(header.id).filter(|key| header.lsn > key.lsn) {
            self.index.remove(key);
        }
    }

    /// Of two copies of one record the cold one is taken, because the hot one is about to be overwritten.
    fn is_better(&self, log: LogKind, piece: Piece, known: Piece) -> bool {
        (log, piece.seq) > (self.index.log_of(known.seq).unwrap_or(LogKind::Hot), known.seq)
    }

    /// Damage at the very end of a log is a torn write: what was being written when the power went. `tails` names, for the last
    /// segments of each log, where their last whole record ends.
    /// Gives the torn records' places.
    pub(crate) fn tell_torn(&mut self, tails: &[(String, u32)]) -> Vec<Damage> {
        let is_torn =
            |damage: &mut Damage| tails.iter().any(|(name, end)| *name == damage.segment && damage.offset >= u64::from(*end));
        let torn: Vec<_> = self.damages.extract_if(.., is_torn).collect();
        self.torn += torn.len();
        torn
    }

    /// Ends the reading: gives each letter its chunks, and the way an operator chose. One whose chunks are not all there is taken out: it is
    /// torn, or damaged.
    pub(crate) fn finish(&mut self, tails: &[u32]) {
        self.early.clear();
        let mut sheaves: Vec<_> = std::mem::take(&mut self.sheaves).into_iter().collect();
        sheaves.retain_mut(|(id, _)| self.index.key(*id).is_some());
        sheaves.sort_by_key(|(id, _)| self.index.key(*id).map(|key| key.lsn));
        for (id, (draft, count)) in sheaves {
            let Some(key) = self.index.key(id) else { continue };
            let chunks: Option<Box<[Piece]>> =
                (0..count).map(|number| self.chunks.get(&(id, draft, number)).map(|fact| fact.piece)).collect();
            match (chunks, self.index.entry_mut(key)) {
                (Some(chunks), Some(entry)) => entry.chunks = chunks,
                (None, Some(entry)) => {
                    let piece = entry.letter;
                    self.incomplete(id, piece, tails);
                    self.index.remove(key);
                }
                (_, None) => {}
            }
        }
        for (id, via) in std::mem::take(&mut self.vias) {
            if let Some(key) = self.index.key(id) {
                self.index.redirect(key, Some(&via), &[]);
            }
        }
    }

    fn incomplete(&mut self, id: LetterId, piece: Piece, tails: &[u32]) {
        let known_damage = self.damages.iter().any(|damage| damage.letter == Some(id));
        if tails.contains(&piece.seq) && !known_damage {
            self.torn += 1;
            return;
        }
        self.damages.push(Damage {
            segment: format!("segment {}", piece.seq),
            offset: piece.offset.into(),
            letter: Some(id),
            what: "a part of its body is missing".to_owned(),
        });
    }

    /// The ids that were given by their makers and have ended, oldest first.
    pub(crate) fn derived_done(&self) -> Vec<LetterId> {
        let mut done: Vec<_> = self.done.values().filter(|header| header.derived).collect();
        done.sort_by_key(|header| header.lsn);
        done.into_iter().map(|header| header.id).collect()
    }
}

/// What recovery keeps of a Progress record.
#[derive(Debug)]
struct ProgressBrief {
    held: bool,
    priority: Option<Priority>,
    via: Option<NextHop>,
    /// Of each recipient, when it is due (`None`: it has ended) and whether its sender was told.
    recipients: Vec<(Option<UnixMillis>, bool)>,
}

impl From<ProgressBody> for ProgressBrief {
    fn from(body: ProgressBody) -> Self {
        let due = |state| if let DeliveryState::Pending { next } = state { Some(next) } else { None };
        let recipients = body.recipients.iter().map(|recipient| (due(recipient.state), recipient.warned)).collect();
        Self { held: body.held, priority: body.priority, via: body.via, recipients }
    }
}

fn load(storage: &dyn Storage, name: &str, data: &mut Vec<u8>) -> std::io::Result<Loaded> {
    let file = storage.open(name)?;
    let len = file.len()?;
    data.clear();
    data.resize(usize::try_from(len).unwrap_or(usize::MAX).min(usize_of(SEGMENT_HEADER)), 0);
    storage::read_exact(file.as_ref(), data, 0)?;
    let header = SegmentHeader::decode(data);
    if let Ok(Some(header)) = &header {
        // A file longer than its segment holds nothing more; one that is shorter is read as far as it goes.
        data.resize(usize::try_from(len).unwrap_or(usize::MAX).min(usize_of(header.capacity)), 0);
        let read = storage::read_up_to(file.as_ref(), data, 0)?;
        data.truncate(read);
    }
    Ok(Loaded { file, len, header })
}
