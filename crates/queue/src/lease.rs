//! A letter in the hands of delivery.
//!
//! A lease is of one letter's recipients at one destination; nobody else gets those while it lives, while another lease may be out for
//! the same letter's recipients elsewhere. What happened is told by [`Lease::record`] (and go on) or [`Lease::finish`]; a lease that
//! is dropped gives the letter back as it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use posthouse_mail::{LetterId, Reply, UnixMillis};
use posthouse_runtime::sync::oneshot;
use posthouse_runtime::{clock, random};

use crate::body::{BodyReader, Fetched, fetch};
use crate::error::QueueError;
use crate::index::{Handed, Key, Shared, Which};
use crate::layout;
use crate::letter::{self, Change, Facts, Letter, LetterState, RecipientEnd, RecipientState};
use crate::ops::{Handle, Leased, Op, Record};
use crate::schedule::destinations::NextHop;
use crate::schedule::site::Feedback;
use crate::schedule::sources::Source;

/// When a letter that was given back without a word is due again.
pub(crate) const GIVEN_BACK: Duration = Duration::from_secs(10);

/// One letter, leased for its recipients at one destination.
#[derive(Debug)]
pub struct Lease {
    handle: Arc<Handle>,
    key: Key,
    id: LetterId,
    leased: Leased,
    active: Arc<Active>,
    known: Arc<Known>,
    recipients: Vec<RecipientState>,
    via: Option<NextHop>,
    /// The site whose place it takes.
    site: Option<u32>,
    blocked: Option<Reply>,
    /// Whether this lease still has to give the letter back.
    held: bool,
}

/// A letter as its records tell it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) letter: Letter,
    pub(crate) state: LetterState,
    pub(crate) size: u64,
    pub(crate) chunks: usize,
}

/// The state of a letter that somebody works with: shared by all who do, so that each sees what the others have stored.
#[derive(Debug, Default)]
pub(crate) struct Active(Mutex<Option<Live>>);

#[derive(Debug, Clone)]
struct Live {
    known: Arc<Known>,
    state: LetterState,
}

/// What does not change.
#[derive(Debug)]
struct Known {
    letter: Letter,
    facts: Facts,
    size: u64,
    chunks: usize,
}

impl Active {
    fn lock(&self) -> MutexGuard<'_, Option<Live>> {
        // A change is made to a copy and put in its place whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The letter's state; the first who asks reads it from disk.
    fn live(&self, shared: &Shared, id: LetterId, key: Key) -> Result<Live, QueueError> {
        let mut live = self.lock();
        if live.is_none() {
            let Told { letter, state, size, chunks } = tell(shared, id, key)?;
            let facts = Facts::of(&letter, &shared.sources);
            *live = Some(Live { known: Arc::new(Known { letter, facts, size, chunks }), state });
        }
        live.clone().ok_or(QueueError::Gone(id))
    }
}

/// Reads envelope and states from disk.
pub(crate) fn tell(shared: &Shared, id: LetterId, key: Key) -> Result<Told, QueueError> {
    let fetched = fetch(shared, id, key, Which::Letter)?.ok_or(QueueError::Gone(id))?;
    let progress = fetch(shared, id, key, Which::Progress)?;
    told(id, &fetched, progress.as_ref())
}

pub(crate) fn told(id: LetterId, fetched: &Fetched, progress: Option<&Fetched>) -> Result<Told, QueueError> {
    let damaged = |why: layout::LayoutError| QueueError::Damaged { id, what: why.to_string() };
    let body = layout::decode_letter(&fetched.body).map_err(damaged)?;
    let mut state = LetterState::new(&body.letter);
    if let Some(progress) = progress {
        layout::decode_progress(&progress.body).and_then(|said| said.apply(&mut state)).map_err(damaged)?;
    }
    Ok(Told { letter: body.letter, state, size: body.size, chunks: layout::usize_of(fetched.header.number) })
}

/// Stores an operator's change, made at `now`. Durable when it returns.
pub(crate) async fn change(handle: &Arc<Handle>, id: LetterId, change: Change, now: UnixMillis) -> Result<(), QueueError> {
    handle.shared.check()?;
    let (key, active) = {
        let mut index = handle.shared.index();
        let key = index.key(id).ok_or(QueueError::Gone(id))?;
        (key, index.activate(key).ok_or(QueueError::Gone(id))?.1)
    };
    let done = (|| {
        let live = active.live(&handle.shared, id, key)?;
        let mut place = active.lock();
        let mut state = place.as_ref().map_or(live.state, |live| live.state.clone());
        state.change(&change, now);
        let next = letter::next_due(&state.recipients).ok_or(QueueError::Gone(id))?;
        let progress = Some((layout::encode_progress(&state).into(), next));
        *place = Some(Live { known: Arc::clone(&live.known), state });
        let (answer, done) = oneshot::channel();
        let original = live.known.facts.destinations.clone();
        let record =
            Record { id, key, progress, leased: Leased::Nothing, stands: Vec::new(), change: Some((change, original)), answer };
        // While the state is locked, so that records follow each other as the states did.
        handle.send(Op::Record(record));
        Ok(done)
    })();
    match done {
        Ok(done) => handle.answer(done).await,
        Err(error) => {
            handle.shared.index().deactivate(key);
            Err(error)
        }
    }
}

impl Lease {
    /// Reads what was leased. When that fails the letter is put off, so that a damaged one does not stop the rest.
    pub(crate) fn read(
        handle: &Arc<Handle>,
        handed: Handed,
        site: Option<u32>,
        blocked: Option<Reply>,
    ) -> Result<Self, QueueError> {
        let Handed { id, key, leased, active } = handed;
        match active.live(&handle.shared, id, key) {
            Ok(Live { known, state }) => Ok(Self {
                handle: Arc::clone(handle),
                key,
                id,
                leased,
                active,
                known,
                recipients: state.recipients,
                via: state.via,
                site,
                blocked,
                held: true,
            }),
            Err(error) => {
                tracing::error!(letter = %id, %error, "a queued letter cannot be read; it is tried again later");
                let now = UnixMillis(clock::unix_millis());
                let mut index = handle.shared.index();
                index.give_back(key, &leased, now.plus(GIVEN_BACK * 60));
                if let Some(site) = site {
                    index.scheduler.ended(site, None, now, 0);
                }
                Err(error)
            }
        }
    }

    /// The letter's id.
    #[must_use]
    pub fn id(&self) -> LetterId {
        self.id
    }

    /// Its envelope and origin.
    #[must_use]
    pub fn letter(&self) -> &Letter {
        &self.known.letter
    }

    /// What has become of each recipient, in the envelope's order; those of other leases as they were when this one began.
    #[must_use]
    pub fn recipients(&self) -> &[RecipientState] {
        &self.recipients
    }

    /// Whether a recipient is one of this lease's.
    #[must_use]
    pub fn is_mine(&self, index: usize) -> bool {
        self.leased.covers(self.known.facts.part_of(index))
    }

    /// The name of the addresses it leaves by, where those are not the usual ones. All of a lease leave by the same.
    #[must_use]
    pub fn source(&self) -> Option<&Source> {
        let destinations = self.known.facts.destinations.iter().enumerate();
        destinations.filter(|(part, _)| self.leased.covers(*part)).find_map(|(_, destination)| destination.source.as_ref())
    }

    /// The host that an operator wants it sent by.
    #[must_use]
    pub fn via(&self) -> Option<&NextHop> {
        self.via.as_ref()
    }

    /// Why it cannot go: nothing is to be tried. It was handed out for its sender to be told, or because its time is over.
    #[must_use]
    pub fn blocked(&self) -> Option<&Reply> {
        self.blocked.as_ref()
    }

    /// The body's octets.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.known.size
    }

    /// The body from its first octet. It stays readable until the letter ends, also when it moves inside the spool.
    #[must_use]
    pub fn body(&self) -> BodyReader {
        BodyReader::new(Arc::clone(&self.handle), self.id, self.key, self.known.size, self.known.chunks)
    }

    /// The visit to the site is over: its place is free for the next letter, and the queue learns what the visit showed.
    pub fn leave_site(&mut self, feedback: Option<Feedback>, now: UnixMillis) {
        let Some(site) = self.site.take() else { return };
        self.handle.shared.index().scheduler.ended(site, feedback, now, random::u64());
        self.handle.shared.due.notify_one();
    }

    /// Stores how attempts ended and keeps the lease: for a letter to many, after some of them. Durable when it returns.
    /// Each index names a recipient; those not named stay as they are. When the last recipient ends the letter ends.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::Failed`]: nothing was stored, and what was delivered may be delivered again.
    pub async fn record(&mut self, ends: Vec<(usize, RecipientEnd)>) -> Result<(), QueueError> {
        self.store(ends, false).await
    }

    /// Stores how attempts ended and ends the lease. Durable when it returns. A recipient that is still pending is due when its
    /// state says.
    ///
    /// # Errors
    /// [`QueueError::Full`], [`QueueError::Failed`]: nothing was stored, and what was delivered may be delivered again.
    pub async fn finish(mut self, ends: Vec<(usize, RecipientEnd)>) -> Result<(), QueueError> {
        self.store(ends, true).await
    }

    async fn store(&mut self, ends: Vec<(usize, RecipientEnd)>, release: bool) -> Result<(), QueueError> {
        if !self.held {
            return Err(QueueError::Gone(self.id));
        }
        let Some(done) = self.send(ends, release) else { return Ok(()) };
        self.handle.answer(done).await
    }

    /// Hands the new state to the writer; `None` when there is nothing new to store.
    fn send(&mut self, ends: Vec<(usize, RecipientEnd)>, release: bool) -> Option<oneshot::Receiver<Result<(), QueueError>>> {
        let mut live = self.active.lock();
        let mut state = live.as_ref().map(|live| live.state.clone())?;
        letter::apply(&mut state.recipients, ends);
        let is_same = live.as_ref().is_some_and(|live| live.state == state);
        let next = letter::next_due(&state.recipients);
        if is_same && next.is_some() {
            // An ending lease gives the letter back when it is dropped.
            return None;
        }
        let progress = next.map(|next| (layout::encode_progress(&state).into(), next));
        let ends_lease = release || progress.is_none();
        let stands = if ends_lease && progress.is_some() { state.stands(&self.known.facts) } else { Vec::new() };
        self.recipients.clone_from(&state.recipients);
        if let Some(live) = live.as_mut() {
            live.state = state;
        }
        // From here on the writer gives the letter back, also when nobody waits for the answer any more.
        self.held = !ends_lease;
        let leased = if ends_lease { self.leased.clone() } else { Leased::Nothing };
        let (answer, done) = oneshot::channel();
        let record = Record { id: self.id, key: self.key, progress, leased, stands, change: None, answer };
        // While the state is locked, so that records follow each other as the states did.
        self.handle.send(Op::Record(record));
        Some(done)
    }

    /// Whether every recipient has come to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.recipients.iter().any(RecipientState::is_pending)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let now = UnixMillis(clock::unix_millis());
        self.leave_site(None, now);
        if self.held {
            let due = now.plus(GIVEN_BACK);
            self.handle.shared.index().give_back(self.key, &self.leased, due);
            self.handle.shared.due.notify_one();
        }
    }
}
