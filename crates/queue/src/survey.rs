//! Reads every segment of a spool and works out what it says: which letters are queued, and where their records lie.
//!
//! The records are facts with a place in one history, their LSN; a copy keeps it. So the order of reading does not matter: the
//! highest LSN wins, a Done ends every older record of its letter, and of two copies of one record the cold one is taken, because
//! the hot one is about to be overwritten. It never writes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytes::Bytes;
use posthouse_mail::{LetterId, UnixMillis};

use crate::error::QueueError;
use crate::index::{Piece, Standing};
use crate::layout::{
    self, Kind, LayoutError, LetterBody, LogKind, ProgressBody, RecordHeader, SEGMENT_HEADER, SegmentHeader, usize_of,
};
use crate::letter::{self, DeliveryState, Facts};
use crate::recover::Damage;
use crate::scan::{Find, Scan};
use crate::schedule::destinations::Destination;
use crate::storage::{self, File, Storage};
use crate::writer::log::{Blank, Segment, parse_name};

/// How many segments of a log an unsynced write can have touched: the one that was full, and the one opened behind it.
pub(crate) const TAIL_SEGMENTS: usize = 2;

/// A fact about a letter and where it stands. Of two for the same thing the greater one counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    pub(crate) header: RecordHeader,
    pub(crate) piece: Piece,
    pub(crate) log: LogKind,
    pub(crate) size: u64,
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

/// What the spool says.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    letters: HashMap<LetterId, (Fact, Facts)>,
    progress: HashMap<LetterId, (Fact, ProgressBrief)>,
    chunks: HashMap<(LetterId, u64, u32), Fact>,
    done: HashMap<LetterId, RecordHeader>,
    pub(crate) damages: Vec<Damage>,
    /// Records of the last batch that did not reach the disk whole; nobody was told that they had.
    pub(crate) torn: usize,
    pub(crate) lsn_max: u64,
    pub(crate) seq_max: u32,
}

/// A letter that is queued.
#[derive(Debug)]
pub(crate) struct Alive {
    pub(crate) letter: Fact,
    pub(crate) facts: Facts,
    pub(crate) progress: Option<Piece>,
    pub(crate) standing: Standing,
    pub(crate) chunks: Vec<Piece>,
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
        self.seq_max = self.seq_max.max(header.seq);
        self.lsn_max = self.lsn_max.max(header.first_lsn.saturating_sub(1));
        data.truncate(usize_of(header.capacity));
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
        let mut fact = Fact { header, piece, log: segment.header.log, size: 0 };
        match header.kind {
            // A record whose checksum is right and that cannot be read was written by nobody: it is found when it is leased.
            Kind::Letter => {
                if let Ok(LetterBody { letter, size, .. }) = layout::decode_letter(&Bytes::copy_from_slice(body)) {
                    fact.size = size;
                    keep(&mut self.letters, header.id, (fact, Facts::of(&letter)));
                }
            }
            Kind::Progress => {
                if let Ok(brief) = layout::decode_progress(body) {
                    keep(&mut self.progress, header.id, (fact, brief.into()));
                }
            }
            Kind::Chunk => {
                let known = self.chunks.entry((header.id, header.word, header.number)).or_insert(fact);
                if fact.rank() > known.rank() {
                    *known = fact;
                }
            }
            Kind::Done => {
                let known = self.done.entry(header.id).or_insert(header);
                if header.lsn > known.lsn {
                    *known = header;
                }
            }
        }
    }

    /// Damage at the very end of a log is a torn write: what was being written when the power went. `tails` names, for the last
    /// segments of each log, where their last whole record ends.
    pub(crate) fn tell_torn(&mut self, tails: &[(String, u32)]) {
        let torn = |damage: &Damage| tails.iter().any(|(name, end)| *name == damage.segment && damage.offset >= u64::from(*end));
        let before = self.damages.len();
        self.damages.retain(|damage| !torn(damage));
        self.torn += before - self.damages.len();
    }

    /// The letters that are queued, oldest first. One whose chunks are not all there is not: it is torn, or damaged.
    pub(crate) fn alive(&mut self, tails: &[u32]) -> Vec<Alive> {
        let mut letters: Vec<_> = std::mem::take(&mut self.letters).into_values().collect();
        letters.sort_by_key(|(fact, _)| fact.header.lsn);
        let mut alive = Vec::with_capacity(letters.len());
        for (letter, facts) in letters {
            let (id, lsn) = (letter.header.id, letter.header.lsn);
            if self.done.get(&id).is_some_and(|done| done.lsn > lsn) {
                continue;
            }
            let chunks: Option<Vec<Piece>> = (0..letter.header.number)
                .map(|number| self.chunks.get(&(id, letter.header.word, number)).map(|fact| fact.piece))
                .collect();
            let Some(chunks) = chunks else {
                self.incomplete(&letter, tails);
                continue;
            };
            let progress = self.progress.remove(&id).filter(|(fact, _)| fact.header.lsn > lsn);
            let (progress, standing) = match progress {
                None => (None, Standing::default()),
                Some((fact, brief)) => (Some(fact.piece), brief.standing(&facts)),
            };
            alive.push(Alive { letter, facts, progress, standing, chunks });
        }
        alive
    }

    fn incomplete(&mut self, letter: &Fact, tails: &[u32]) {
        let known_damage = self.damages.iter().any(|damage| damage.letter == Some(letter.header.id));
        if tails.contains(&letter.piece.seq) && !known_damage {
            self.torn += 1;
            return;
        }
        self.damages.push(Damage {
            segment: format!("segment {}", letter.piece.seq),
            offset: letter.piece.offset.into(),
            letter: Some(letter.header.id),
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
    said: Standing,
    /// Of each recipient, when it is due (`None`: it has ended) and whether its sender was told.
    recipients: Vec<(Option<UnixMillis>, bool)>,
}

impl From<ProgressBody> for ProgressBrief {
    fn from(body: ProgressBody) -> Self {
        let due = |state| if let DeliveryState::Pending { next } = state { Some(next) } else { None };
        let recipients = body.recipients.iter().map(|recipient| (due(recipient.state), recipient.warned)).collect();
        let via = body.via.map(Destination::Host);
        Self { said: Standing { held: body.held, priority: body.priority, via, parts: Vec::new() }, recipients }
    }
}

impl ProgressBrief {
    fn standing(self, facts: &Facts) -> Standing {
        Standing { parts: letter::stands(self.recipients.into_iter(), facts), ..self.said }
    }
}

fn keep<T>(facts: &mut HashMap<LetterId, (Fact, T)>, id: LetterId, found: (Fact, T)) {
    match facts.entry(id) {
        Entry::Vacant(place) => drop(place.insert(found)),
        Entry::Occupied(mut known) if found.0.rank() > known.get().0.rank() => drop(known.insert(found)),
        Entry::Occupied(_) => {}
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
