//! The two logs as the writer sees them: their segments in order, and what still counts in each.
//!
//! Book-keeping; the files are touched by the writer and the helper, but for [`clear`].

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use posthouse_mail::LetterId;
use posthouse_runtime::random;

use crate::index::Piece;
use crate::layout::{LogKind, RecordHeader, SEGMENT_HEADER, SegmentHeader, stride};
use crate::storage::{self, File};

/// Zeroes are written by so many.
const ZEROES: usize = 1024 * 1024;

/// A file that can become a segment: zeroes, or never written.
#[derive(Debug)]
pub(crate) struct Blank {
    pub(crate) name: String,
    pub(crate) file: Arc<dyn File>,
}

/// A segment that holds records.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) name: String,
    pub(crate) file: Arc<dyn File>,
    /// Where the next record goes.
    pub(crate) end: u32,
    /// The octets of records that still count.
    pub(crate) live: u64,
    /// The index slots of letters that have, or had, records here.
    pub(crate) residents: Vec<u32>,
    /// Done records (cold segments only): they must outlive every older record of their letters.
    pub(crate) tombs: Vec<RecordHeader>,
}

impl Segment {
    /// The tombs that may still be needed: an older record of their letter may lie in a hot segment.
    pub(crate) fn tombs_needed(&self, hot_floor: u64) -> impl Iterator<Item = &RecordHeader> {
        self.tombs.iter().filter(move |tomb| tomb.lsn >= hot_floor)
    }

    /// The octets a compaction would have to keep.
    pub(crate) fn kept(&self, hot_floor: u64) -> u64 {
        let tombs = u64::try_from(self.tombs_needed(hot_floor).count()).unwrap_or(u64::MAX);
        self.live.saturating_add(tombs.saturating_mul(u64::from(stride(0))))
    }

    /// The octets written.
    pub(crate) fn used(&self) -> u64 {
        u64::from(self.end.saturating_sub(SEGMENT_HEADER))
    }
}

/// One of the two logs: segments in the order of their opening.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) kind: LogKind,
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) blanks: VecDeque<Blank>,
    /// Whether the last segment takes records. Never one of an earlier run: what stands behind its last record is not known.
    pub(crate) open: bool,
    /// Whether the last opening has not been synced yet. Until it is there is no other, so that what a crash leaves unsynced is in the
    /// last two segments: recovery relies on it.
    pub(crate) opening_unsynced: bool,
}

impl Log {
    pub(crate) fn new(kind: LogKind) -> Self {
        Self { kind, segments: VecDeque::new(), blanks: VecDeque::new(), open: false, opening_unsynced: false }
    }

    pub(crate) fn files(&self) -> usize {
        self.segments.len() + self.blanks.len()
    }

    /// The segment that takes records, if it has room for this many octets more.
    pub(crate) fn active_with_room(&mut self, octets: u32) -> Option<&mut Segment> {
        let active = self.segments.back_mut().filter(|_| self.open)?;
        (active.header.capacity.saturating_sub(active.end) >= octets).then_some(active)
    }

    /// The segments behind the active one.
    pub(crate) fn sealed(&self) -> usize {
        self.segments.len() - usize::from(self.open)
    }

    pub(crate) fn find(&mut self, seq: u32) -> Option<&mut Segment> {
        let at = self.segments.binary_search_by_key(&seq, |segment| segment.header.seq).ok()?;
        self.segments.get_mut(at)
    }

    pub(crate) fn holds(&self, piece: Piece) -> bool {
        self.segments.binary_search_by_key(&piece.seq, |segment| segment.header.seq).is_ok()
    }

    /// How many of the oldest segments hold nothing that counts: those that may be made blank, in this order.
    pub(crate) fn reusable(&self) -> usize {
        self.segments.iter().take(self.sealed()).take_while(|segment| segment.live == 0).count()
    }

    /// How many segments can be opened that are on the disk.
    pub(crate) fn spare(&self) -> usize {
        self.reusable() + self.blanks.len()
    }

    /// Makes a file the segment that takes records.
    pub(crate) fn open_on(&mut self, blank: Blank, seq: u32, first_lsn: u64, capacity: u32) -> SegmentHeader {
        let header = SegmentHeader { log: self.kind, seq, salt: random::u64(), first_lsn, capacity };
        self.segments.push_back(Segment {
            header,
            name: blank.name,
            file: blank.file,
            end: SEGMENT_HEADER,
            live: 0,
            residents: Vec::new(),
            tombs: Vec::new(),
        });
        self.open = true;
        self.opening_unsynced = true;
        header
    }
}

/// Both logs and the counters over them.
#[derive(Debug)]
pub(crate) struct Logs {
    pub(crate) hot: Log,
    pub(crate) cold: Log,
    pub(crate) next_lsn: u64,
    pub(crate) next_seq: u32,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self { hot: Log::new(LogKind::Hot), cold: Log::new(LogKind::Cold), next_lsn: 1, next_seq: 1 }
    }

    pub(crate) fn log(&mut self, kind: LogKind) -> &mut Log {
        match kind {
            LogKind::Hot => &mut self.hot,
            LogKind::Cold => &mut self.cold,
        }
    }

    pub(crate) fn find(&mut self, seq: u32) -> Option<&mut Segment> {
        match self.hot.find(seq) {
            Some(segment) => Some(segment),
            None => self.cold.find(seq),
        }
    }

    /// No record in a hot segment that is on disk has a lower LSN.
    pub(crate) fn hot_floor(&self) -> u64 {
        self.hot.segments.front().map_or(self.next_lsn, |oldest| oldest.header.first_lsn)
    }

    /// A record counts.
    pub(crate) fn add(&mut self, piece: Piece, slot: Option<u32>) {
        if let Some(segment) = self.find(piece.seq) {
            segment.live = segment.live.saturating_add(piece.stride());
            segment.residents.extend(slot);
        }
    }

    /// A record counts no more.
    pub(crate) fn drop_piece(&mut self, piece: Piece) {
        if let Some(segment) = self.find(piece.seq) {
            segment.live = segment.live.saturating_sub(piece.stride());
            if segment.live == 0 {
                segment.residents = Vec::new();
            }
        }
    }

    pub(crate) fn take_lsn(&mut self) -> u64 {
        let lsn = self.next_lsn;
        self.next_lsn += 1;
        lsn
    }

    pub(crate) fn take_seq(&mut self) -> u32 {
        let seq = self.next_seq;
        self.next_seq = self.next_seq.saturating_add(1);
        seq
    }
}

/// Makes a file one that holds no records, durably.
pub(crate) fn clear(file: &dyn File) -> io::Result<()> {
    zero(file, 0, SEGMENT_HEADER.into())
}

/// Writes zeroes from one place to another, durably.
pub(crate) fn zero(file: &dyn File, mut at: u64, end: u64) -> io::Result<()> {
    let zeroes = vec![0; usize::try_from(end.saturating_sub(at)).unwrap_or(ZEROES).min(ZEROES)];
    while at < end {
        let some = usize::try_from(end - at).unwrap_or(ZEROES).min(ZEROES);
        storage::write_all(file, &mut [IoSlice::new(zeroes.get(..some).unwrap_or_default())], at)?;
        at += u64::try_from(some).unwrap_or(u64::MAX);
    }
    file.sync_data()
}

/// The name a new file of this log gets.
pub(crate) fn file_name(kind: LogKind, seq: u32) -> String {
    match kind {
        LogKind::Hot => format!("hot-{seq:010}"),
        LogKind::Cold => format!("cold-{seq:010}"),
    }
}

/// Which log a file belongs to, and the number in its name; `None` for files that are not ours.
pub(crate) fn parse_name(name: &str) -> Option<(LogKind, u32)> {
    let (kind, digits) = match name.split_once('-')? {
        ("hot", digits) => (LogKind::Hot, digits),
        ("cold", digits) => (LogKind::Cold, digits),
        _ => return None,
    };
    digits.parse().ok().map(|seq| (kind, seq))
}

/// The name of the file for what is left of a damaged letter; never that of a segment.
pub(crate) fn aside_name(id: LetterId) -> String {
    format!("damaged-{id}")
}

/// Whose file it is, if it is one of [`aside_name`].
pub(crate) fn aside_id(name: &str) -> Option<LetterId> {
    name.strip_prefix("damaged-")?.parse().ok()
}
