//! Looking into a spool from outside, while its server runs or after it has ended. Changes nothing and takes no lock.

use std::collections::HashMap;
use std::sync::Arc;

use posthouse_mail::{LetterId, Priority, Reply, UnixMillis};
use posthouse_runtime::clock;

use crate::body::{self, Fetched};
use crate::entries::Entry;
use crate::error::QueueError;
use crate::index::{Index, Piece};
use crate::layout;
use crate::lease::{Told, told};
use crate::letter::{Letter, LetterState, RecipientState};
use crate::places::{self, Places};
use crate::recover::{Damage, Recovered};
use crate::schedule::destinations::NextHop;
use crate::schedule::scheduler::suspended_reply;
use crate::schedule::suspend::{Scope, Suspended, Suspension};
use crate::storage::{File, Storage};
use crate::survey::{self, Found, Survey};

/// How often a spool that changes under the reading is read again.
const READINGS_MAX: usize = 5;

/// What a spool held when it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The queued letters, oldest first.
    pub letters: Vec<Queued>,
    /// What recovery would say of it.
    pub found: Recovered,
    /// What is suspended now.
    pub suspensions: Vec<(Scope, Suspension)>,
    /// Next hops by destination, as they were when the queue was last closed in order.
    places: Places,
}

impl Inspection {
    /// The next hop of a destination, as far as it is known.
    #[must_use]
    pub fn site_of<'a>(&'a self, destination: &'a str) -> &'a str {
        self.places.get(destination).map_or(destination, String::as_str)
    }

    /// The suspension that keeps letters from a destination.
    #[must_use]
    pub fn suspension_of(&self, destination: &str) -> Option<&Suspension> {
        let names = [destination, self.site_of(destination)];
        let is_it = |scope: &Scope| match scope {
            Scope::Everything => true,
            Scope::Name(name) => names.iter().any(|own| own.eq_ignore_ascii_case(name)),
        };
        self.suspensions.iter().find(|(scope, _)| is_it(scope)).map(|(_, suspension)| suspension)
    }

    /// Why nothing will go to a destination when the server is started.
    #[must_use]
    pub fn blocked(&self, destination: &str) -> Option<Reply> {
        self.suspension_of(destination).map(suspended_reply)
    }
}

/// A queued letter without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// The letter.
    pub id: LetterId,
    /// Its envelope and origin.
    pub letter: Letter,
    /// What has become of each recipient.
    pub recipients: Vec<RecipientState>,
    /// The body's octets.
    pub size: u64,
    /// Whether an operator holds it.
    pub held: bool,
    /// The priority an operator gave it; else its envelope's counts.
    pub priority: Option<Priority>,
    /// The host an operator sent it by.
    pub via: Option<NextHop>,
    /// Whether it is being delivered now; `None` when that is not known, from outside the server.
    pub leased: Option<bool>,
}

impl Queued {
    pub(crate) fn new(id: LetterId, letter: Letter, state: LetterState, size: u64, leased: Option<bool>) -> Self {
        let LetterState { recipients, held, priority, via } = state;
        Self { id, letter, recipients, size, held, priority, via, leased }
    }
}

/// Reads the whole spool, again when it changed meanwhile.
pub(crate) fn inspect(storage: &dyn Storage) -> Result<Inspection, QueueError> {
    let mut readings = 0;
    loop {
        readings += 1;
        let before = survey::files(storage)?;
        let read = read(storage, &before);
        let settled = survey::files(storage)? == before;
        match read {
            Ok((inspection, whole)) if readings >= READINGS_MAX || (settled && whole) => return Ok(inspection),
            // A segment that was removed while it was looked for.
            Err(error) if readings >= READINGS_MAX || settled => return Err(error),
            Ok(_) | Err(_) => {}
        }
    }
}

/// The first octets of a letter's body; none when it is not there, or moved while it was looked for.
pub(crate) fn peek(storage: &dyn Storage, id: LetterId, bytes_min: usize) -> Result<Vec<u8>, QueueError> {
    let Reading { segments, index, .. } = survey(storage, &survey::files(storage)?)?;
    let mut begin = Vec::new();
    let Some(entry) = index.key(id).and_then(|key| index.entry(key)) else { return Ok(begin) };
    let letter = fetch(&segments, id, entry.letter).and_then(|letter| layout::decode_letter(&letter.body).ok());
    let Some(letter) = letter else { return Ok(begin) };
    begin.extend_from_slice(letter.front.as_bytes());
    for piece in &entry.chunks {
        let Some(chunk) = fetch(&segments, id, *piece) else { return Ok(begin) };
        begin.extend_from_slice(&chunk.body);
        if begin.len() >= bytes_min {
            return Ok(begin);
        }
    }
    begin.extend_from_slice(&letter.tail);
    Ok(begin)
}

type Segments = HashMap<u32, Arc<dyn File>>;

/// What one reading of all segments found.
struct Reading {
    segments: Segments,
    index: Index,
    torn: usize,
    damages: Vec<Damage>,
}

fn survey(storage: &dyn Storage, files: &[(String, layout::LogKind, u32)]) -> Result<Reading, QueueError> {
    let mut survey = Survey::default();
    let mut data = Vec::new();
    let mut segments = Segments::new();
    let mut order = Vec::new();
    for (name, _, _) in files {
        if let Some(Found::Segment(segment, log)) = survey.read(storage, name, &mut data)? {
            order.push((log, segment.header.seq, segment.name, segment.end));
            segments.insert(segment.header.seq, segment.file);
        }
    }
    order.sort_by_key(|(log, seq, _, _)| (*log, std::cmp::Reverse(*seq)));
    let tails: Vec<_> = order
        .chunk_by(|a, b| a.0 == b.0)
        .flat_map(|log| log.iter().take(survey::TAIL_SEGMENTS))
        .map(|(_, seq, name, end)| (*seq, (name.clone(), *end)))
        .collect();
    let (tail_seqs, tails): (Vec<_>, Vec<_>) = tails.into_iter().unzip();
    // Only read here: the next start forgets them.
    let _torn = survey.tell_torn(&tails);
    survey.finish(&tail_seqs);
    Ok(Reading { segments, index: survey.index, torn: survey.torn, damages: survey.damages })
}

/// One reading, and whether all letters could be read where the survey found them.
fn read(storage: &dyn Storage, files: &[(String, layout::LogKind, u32)]) -> Result<(Inspection, bool), QueueError> {
    let Reading { segments, index, torn, damages } = survey(storage, files)?;
    let mut entries: Vec<_> = index.entries.iter().collect();
    entries.sort_by_key(|entry| entry.lsn);
    let mut letters = Vec::new();
    let mut whole = true;
    for entry in entries {
        match queued(&segments, entry) {
            Some(queued) => letters.push(queued),
            None => whole = false,
        }
    }
    let octets = letters.iter().map(|queued| queued.size).sum();
    let found = Recovered { letters: letters.len(), octets, torn, damages };
    let unread = |error| QueueError::io("cannot read the lists beside the spool", &error);
    let mut suspended = Suspended::load(storage).map_err(unread)?;
    suspended.expire(UnixMillis(clock::unix_millis()));
    let (suspensions, places) = (suspended.list(), places::load(storage).map_err(unread)?);
    Ok((Inspection { letters, found, suspensions, places }, whole))
}

fn fetch(segments: &Segments, id: LetterId, piece: Piece) -> Option<Fetched> {
    let (header, body) = body::read_record(segments.get(&piece.seq)?.as_ref(), piece.offset, piece.len).ok()?;
    (header.id == id).then_some(Fetched { header, body })
}

fn queued(segments: &Segments, entry: &Entry) -> Option<Queued> {
    let id = entry.id;
    let letter = fetch(segments, id, entry.letter)?;
    let progress = match entry.progress {
        None => None,
        Some(piece) => Some(fetch(segments, id, piece)?),
    };
    let Told { letter, state, size, .. } = told(id, &letter, progress.as_ref()).ok()?;
    Some(Queued::new(id, letter, state, size, None))
}
