//! A script that uses the queue, and remembers what it was promised at which step.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posthouse_mail::{Envelope, LetterId, Priority, Recipient, Reply, ReversePath, Status, UnixMillis};
use posthouse_runtime::block_on;

use crate::body::fetch;
use crate::index::{Shared, Sizes, Which};
use crate::layout::{self, Kind, LogKind, SegmentHeader};
use crate::lease::{self, Told, tell};
use crate::letter::LetterState;
use crate::recover::recover;
use crate::scan::{Find, Scan};
use crate::schedule::suspend::Suspended;
use crate::storage::Storage;
use crate::storage::fault::World;
use crate::{
    Change, Destination, Draft, Lease, Letter, NextHop, Origin, Queue, QueueError, RecipientEnd, RecipientState, Scope, Settings,
    SiteLimits, Sources, Suspension, Work,
};

/// Later than any letter is due.
pub(crate) const FAR: UnixMillis = UnixMillis(u64::MAX);

/// Segments of a few letters, so that a short script turns the ring over many times.
pub(crate) const TINY: Sizes = Sizes { segment: 8192, hot_max: 4, cold_max: 12, chunk: 700, batch: 2500 };

/// Numbers that look random and are the same in every run.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).unwrap()).unwrap()
    }

    pub(super) fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| u8::try_from(self.roll(256)).unwrap()).collect()
    }
}

pub(crate) fn letter(recipients: usize, mark: u64) -> Letter {
    let to = |n| Recipient::from(format!("r{n}@example.org").parse::<posthouse_mail::Address>().unwrap());
    let from: ReversePath = format!("sender-{mark}@example.net").parse().unwrap();
    Letter {
        envelope: Envelope::new(from, (0..recipients).map(to).collect()),
        arrived: UnixMillis(1_800_000_000_000 + mark),
        origin: Origin { peer: Some([192, 0, 2, 7].into()), listener: "mx".to_owned(), ..Origin::default() },
    }
}

pub(super) fn retry(at: u64) -> RecipientEnd {
    let last = Reply::new(451, Status::temporary(4, 1), &format!("not now, said at {at}"));
    RecipientEnd::Retry { at: UnixMillis(at), last, warned: false }
}

/// Every letter that is due, as if all went to one site that takes any number.
pub(crate) fn lease_due(queue: &Queue, now: UnixMillis) -> Vec<Lease> {
    lease_some(queue, now, usize::MAX)
}

/// At most `max` of them.
pub(super) fn lease_some(queue: &Queue, now: UnixMillis, max: usize) -> Vec<Lease> {
    let mut leases = Vec::new();
    loop {
        if leases.len() == max {
            return leases;
        }
        match queue.work_at(now) {
            None => return leases,
            Some(Work::Place(destination)) => place(queue, &destination),
            Some(Work::Carry(lease)) => leases.push(*lease),
        }
    }
}

pub(crate) fn place(queue: &Queue, destination: &Destination) {
    let limits = SiteLimits { window_first: u32::MAX, window_max: u32::MAX, letters_per_minute: None, together: false };
    queue.place(destination, "site.test", limits, UnixMillis(u64::MAX));
}

pub(crate) async fn accept(queue: &Queue, letter: Letter, body: &[u8]) -> Result<LetterId, QueueError> {
    let mut draft = queue.begin()?;
    for part in body.chunks(333) {
        draft.write(Bytes::copy_from_slice(part)).await?;
    }
    draft.commit(letter).await
}

/// From the step an act was begun at to the step its success was seen at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// `None`: in an earlier life.
    begun: Option<usize>,
    acked: Option<usize>,
}

impl Span {
    fn is_begun(self, cut: usize) -> bool {
        self.begun.is_none_or(|begun| begun < cut)
    }

    fn is_acked(self, cut: usize) -> bool {
        self.acked.is_some_and(|acked| acked <= cut)
    }
}

/// What happened to one letter.
#[derive(Debug, Clone)]
pub(super) struct Story {
    letter: Letter,
    body: Vec<u8>,
    commit: Span,
    states: Vec<(Span, LetterState)>,
    done: Option<Span>,
}

/// What an operator has suspended.
type Suspensions = Vec<(Scope, Suspension)>;

/// All letters of a run, and what was suspended, the latest last.
#[derive(Debug, Clone, Default)]
pub(super) struct Stories {
    letters: BTreeMap<LetterId, Story>,
    suspended: Vec<(Span, Suspensions)>,
}

/// A queue in use.
pub(super) struct Run {
    pub(super) world: World,
    pub(super) queue: Queue,
    pub(super) stories: Stories,
    pub(super) dice: Dice,
    drafts: Vec<(Draft, Vec<u8>)>,
    mark: u64,
}

impl Run {
    pub(super) fn new(world: World, stories: Stories, seed: u64) -> Self {
        Self::try_new(world, stories, seed).unwrap()
    }

    pub(super) fn try_new(world: World, stories: Stories, seed: u64) -> Result<Self, QueueError> {
        let (queue, _) = Queue::open_on(Arc::new(world.clone()), TINY, Settings::default())?;
        Ok(Self { world, queue, stories, dice: Dice(seed), drafts: Vec::new(), mark: seed * 1000 })
    }

    /// Does `acts` acts: letters come small and large, some slowly; most leave soon, some stay; states change.
    pub(super) fn act(&mut self, acts: usize) {
        self.try_act(acts).unwrap();
    }

    /// The same, until the log fails. What was refused for want of room is as if it had never been asked for.
    pub(super) fn try_act(&mut self, acts: usize) -> Result<(), QueueError> {
        for _ in 0..acts {
            // A queue that only grows would be full in the end.
            let act = if self.queue.len() > 30 { 15 } else { self.dice.roll(20) };
            let done = block_on(async {
                match act {
                    0..4 => self.take_in(150).await,
                    4..6 => self.take_in(2600).await,
                    6 => self.take_in_slowly().await,
                    7 => self.go_on_slowly().await,
                    8 => {
                        drop(self.drafts.pop());
                        Ok(())
                    }
                    9..11 => self.defer().await,
                    11..16 => self.finish().await,
                    16..19 => self.change().await,
                    _ => self.suspend().await,
                }
            });
            match done.unwrap() {
                Ok(()) | Err(QueueError::Full(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn next_letter(&mut self) -> Letter {
        self.mark += 1;
        let recipients = 1 + self.dice.roll(3);
        letter(recipients, self.mark)
    }

    async fn take_in(&mut self, size: usize) -> Result<(), QueueError> {
        let letter = self.next_letter();
        let size = self.dice.roll(size);
        let body = self.dice.octets(size);
        let mut draft = self.queue.begin()?;
        for part in body.chunks(333) {
            draft.write(Bytes::copy_from_slice(part)).await?;
        }
        self.commit(draft, letter, body).await
    }

    async fn take_in_slowly(&mut self) -> Result<(), QueueError> {
        let body = self.dice.octets(1500);
        let mut draft = self.queue.begin()?;
        draft.write(Bytes::copy_from_slice(&body)).await?;
        self.drafts.push((draft, body));
        Ok(())
    }

    async fn go_on_slowly(&mut self) -> Result<(), QueueError> {
        if self.drafts.is_empty() {
            return Ok(());
        }
        let (mut draft, mut body) = self.drafts.remove(0);
        let more = self.dice.octets(900);
        draft.write(Bytes::copy_from_slice(&more)).await?;
        body.extend_from_slice(&more);
        let letter = self.next_letter();
        self.commit(draft, letter, body).await
    }

    async fn commit(&mut self, draft: Draft, letter: Letter, body: Vec<u8>) -> Result<(), QueueError> {
        let (id, begun) = (draft.id(), Some(self.world.steps()));
        let commit = Span { begun, acked: None };
        self.stories.letters.insert(id, Story { letter: letter.clone(), body, commit, states: Vec::new(), done: None });
        let committed = draft.commit(letter).await;
        let acked = Some(self.world.steps());
        match committed {
            Ok(_) => self.story(id).commit.acked = acked,
            Err(QueueError::Full(_)) => drop(self.stories.letters.remove(&id)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Some letter that is due; the others are given back unharmed.
    fn some_lease(&mut self) -> Option<Lease> {
        let mut leases = lease_due(&self.queue, FAR);
        leases.sort_by_key(Lease::id);
        // The oldest few stay for long, to be copied about.
        let stay = 6.min(leases.len().saturating_sub(1));
        (!leases.is_empty()).then(|| leases.remove(stay + self.dice.roll(leases.len() - stay)))
    }

    async fn defer(&mut self) -> Result<(), QueueError> {
        let Some(lease) = self.some_lease() else { return Ok(()) };
        let (id, at) = (lease.id(), self.mark);
        let ends: Vec<_> = (0..lease.recipients().len())
            .map(|index| (index, if index == 0 { retry(at) } else { RecipientEnd::Delivered }))
            .collect();
        let mut state = self.story(id).latest();
        assert_eq!(lease.recipients(), state.recipients, "the recipients of {id}");
        crate::letter::apply(&mut state.recipients, ends.clone());
        self.begin(id, state);
        let finished = lease.finish(ends).await;
        self.end(id, finished)
    }

    /// A state of a letter is on its way.
    fn begin(&mut self, id: LetterId, state: LetterState) {
        let begun = Some(self.world.steps());
        self.story(id).states.push((Span { begun, acked: None }, state));
    }

    /// It has been stored, or not.
    fn end(&mut self, id: LetterId, stored: Result<(), QueueError>) -> Result<(), QueueError> {
        let acked = Some(self.world.steps());
        let states = &mut self.story(id).states;
        match stored {
            Ok(()) => states.last_mut().unwrap().0.acked = acked,
            Err(QueueError::Full(_)) => drop(states.pop()),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// An operator changes some letter.
    async fn change(&mut self) -> Result<(), QueueError> {
        let held: Vec<_> = self.queue.list().into_iter().map(|listed| (listed.id, listed.held)).collect();
        if held.is_empty() {
            return Ok(());
        }
        let (id, held) = held[self.dice.roll(held.len())];
        let change = some_change(&mut self.dice, held);
        self.change_to(id, change).await
    }

    async fn change_to(&mut self, id: LetterId, change: Change) -> Result<(), QueueError> {
        let now = UnixMillis(1_800_000_000_000 + self.mark);
        let mut state = self.story(id).latest();
        state.change(&change, now);
        self.begin(id, state);
        let changed = lease::change(&self.queue.handle, id, change, now).await;
        self.end(id, changed)
    }

    /// An operator suspends a destination, or takes that back.
    async fn suspend(&mut self) -> Result<(), QueueError> {
        // Letters go elsewhere, so that the run goes on.
        let scope = Scope::Name(format!("s{}.test", self.dice.roll(3)));
        let was = self.queue.suspensions().iter().any(|(known, _)| *known == scope);
        let suspension = Suspension { since: self.mark, until: None, by: "root".to_owned(), reason: None };
        let mut suspended = Suspended::default();
        self.queue.suspensions().into_iter().for_each(|(scope, suspension)| suspended.set(scope, suspension));
        if was {
            suspended.clear(&scope);
        } else {
            suspended.set(scope.clone(), suspension.clone());
        }
        let begun = Some(self.world.steps());
        self.stories.suspended.push((Span { begun, acked: None }, suspended.list()));
        let stored = if was { self.queue.resume(&scope).await.map(drop) } else { self.queue.suspend(scope, suspension).await };
        match stored {
            Ok(()) => self.stories.suspended.last_mut().unwrap().0.acked = Some(self.world.steps()),
            // It holds not, and may be found all the same; the log of letters is another matter.
            Err(error) => assert!(matches!(error, QueueError::Io { .. }), "{error}"),
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), QueueError> {
        let Some(lease) = self.some_lease() else { return self.release().await };
        let id = lease.id();
        let ends = (0..lease.recipients().len()).map(|index| (index, RecipientEnd::Delivered)).collect();
        let begun = Some(self.world.steps());
        self.story(id).done = Some(Span { begun, acked: None });
        let finished = lease.finish(ends).await;
        let acked = Some(self.world.steps());
        match finished {
            Ok(()) => self.story(id).done = Some(Span { begun, acked }),
            Err(QueueError::Full(_)) => self.story(id).done = None,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Where all are held, one is let go.
    async fn release(&mut self) -> Result<(), QueueError> {
        let held = self.queue.list().into_iter().find(|listed| listed.held).map(|listed| listed.id);
        match held {
            Some(id) => self.change_to(id, Change::Release).await,
            None => Ok(()),
        }
    }

    fn story(&mut self, id: LetterId) -> &mut Story {
        self.stories.letters.get_mut(&id).unwrap()
    }
}

/// What an operator may do to a letter that is `held`, or is not.
pub(super) fn some_change(dice: &mut Dice, held: bool) -> Change {
    match dice.roll(4) {
        0 | 1 if held => Change::Release,
        0 | 1 => Change::Hold,
        2 => Change::Priority(Priority::new(i8::try_from(dice.roll(19)).unwrap() - 9).unwrap()),
        _ => Change::Redirect(match dice.roll(3) {
            0 => None,
            port => Some(NextHop { host: "relay.test".parse().unwrap(), port: (port == 2).then_some(2525) }),
        }),
    }
}

/// What a spool holds after recovery: letters with their bodies, and what is suspended.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) letters: HashMap<LetterId, (Told, Vec<u8>)>,
    suspended: Suspensions,
}

impl Deref for Held {
    type Target = HashMap<LetterId, (Told, Vec<u8>)>;

    fn deref(&self) -> &Self::Target {
        &self.letters
    }
}

pub(crate) fn contents(world: &World) -> Held {
    check_dones(world);
    let recovery = recover(world, TINY, &Sources::default()).unwrap();
    let ids: Vec<_> = recovery.index.entries.iter().map(|entry| entry.id).collect();
    let shared = Shared::new(recovery.index, TINY, Sources::default());
    let read = |id: LetterId| {
        let key = shared.index().key(id).unwrap();
        let told = tell(&shared, id, key).unwrap();
        let mut body = Vec::new();
        for number in 0..told.chunks {
            body.extend_from_slice(&fetch(&shared, id, key, Which::Chunk(number)).unwrap().unwrap().body);
        }
        let record = fetch(&shared, id, key, Which::Letter).unwrap().unwrap();
        body.extend_from_slice(&layout::decode_letter(&record.body).unwrap().tail);
        (told, body)
    };
    let suspended = Suspended::load(world).unwrap().list();
    Held { letters: ids.into_iter().map(|id| (id, read(id))).collect(), suspended }
}

/// Invariant I1 on the disk: where there is a copy of a letter in the cold log, the Done that ended it is in the cold log.
pub(super) fn check_dones(world: &World) {
    let mut letters: HashMap<LetterId, u64> = HashMap::new();
    let mut dones: HashMap<(LetterId, bool), u64> = HashMap::new();
    for name in world.list().unwrap() {
        let octets = world.octets(&name);
        let Ok(Some(segment)) = SegmentHeader::decode(&octets) else { continue };
        for find in Scan::new(&octets, segment.salt) {
            let Find::Record { header, .. } = find else { continue };
            if header.kind == Kind::Letter && segment.log == LogKind::Cold {
                letters.insert(header.id, header.lsn);
            } else if header.kind == Kind::Done {
                dones.insert((header.id, segment.log == LogKind::Cold), header.lsn);
            }
        }
    }
    for (id, lsn) in letters {
        let done = |cold| dones.get(&(id, cold)).is_some_and(|&done| done > lsn);
        assert!(done(true) || !done(false), "{id} is in the cold log, and ended in the hot log alone");
    }
}

impl Stories {
    /// Compares what a spool holds with what was promised when the power went after `cut` steps.
    pub(super) fn check(&self, held: &Held, cut: usize, when: &str) {
        check_latest(&Vec::new(), &self.suspended, &held.suspended, cut, &format!("{when}: what is suspended"));
        for (id, story) in &self.letters {
            let ended = story.done.is_some_and(|done| done.is_acked(cut));
            let ending = story.done.is_some_and(|done| done.is_begun(cut));
            match held.get(id) {
                None => {
                    assert!(!story.commit.is_acked(cut) || ending, "{when}: letter {id} was acknowledged and is lost: {story:?}")
                }
                Some((told, body)) => {
                    assert!(story.commit.is_begun(cut), "{when}: letter {id} is there before it was committed");
                    assert!(!ended, "{when}: letter {id} was done and is back: {story:?}");
                    assert_eq!(*body, story.body, "{when}: the body of {id}");
                    assert_eq!(told.letter, story.letter, "{when}: the envelope of {id}");
                    let first = LetterState::new(&story.letter);
                    check_latest(&first, &story.states, &told.state, cut, &format!("{when}: {id}"));
                }
            }
        }
        for id in held.keys() {
            assert!(self.letters.contains_key(id), "{when}: letter {id} was never committed");
        }
    }

    /// A letter's record is on its way.
    pub(super) fn commits(&mut self, id: LetterId, letter: Letter, body: Vec<u8>) {
        let story = Story { letter, body, commit: BEGUN, states: Vec::new(), done: None };
        assert!(self.letters.insert(id, story).is_none(), "{id} twice");
    }

    pub(super) fn committed(&mut self, id: LetterId) {
        self.story(id).commit = DONE;
    }

    /// For want of room; nothing was stored.
    pub(super) fn refused(&mut self, id: LetterId) {
        self.letters.remove(&id);
    }

    /// These recipients are being delivered to.
    pub(super) fn delivers(&mut self, id: LetterId, recipients: &[usize]) {
        let story = self.story(id);
        assert!(story.done.is_none(), "{id} is delivered, though it had ended");
        let state = story.latest();
        let twice: Vec<_> = recipients.iter().filter(|&&index| !state.recipients[index].is_pending()).collect();
        assert!(twice.is_empty(), "{id} is delivered to {twice:?} again, though that was stored");
    }

    /// An operator's change is on its way. Gives the place of the new state.
    pub(super) fn changes(&mut self, id: LetterId, change: &Change, now: UnixMillis) -> usize {
        let story = self.story(id);
        let mut state = story.latest();
        state.change(change, now);
        story.states.push((BEGUN, state));
        story.states.len() - 1
    }

    /// A suspension, or its end, is on its way.
    pub(super) fn suspends(&mut self, suspended: Suspensions) {
        self.suspended.push((BEGUN, suspended));
    }

    pub(super) fn suspended(&mut self) {
        self.suspended.last_mut().unwrap().0 = DONE;
    }

    /// The ends of attempts are on their way. Gives the place of the new state among the letter's; `None`: its end.
    pub(super) fn stores(&mut self, id: LetterId, ends: Vec<(usize, RecipientEnd)>) -> Option<usize> {
        let story = self.story(id);
        let mut state = story.latest();
        crate::letter::apply(&mut state.recipients, ends);
        if !state.recipients.iter().any(RecipientState::is_pending) {
            story.done = Some(BEGUN);
            return None;
        }
        story.states.push((BEGUN, state));
        Some(story.states.len() - 1)
    }

    /// They are stored.
    pub(super) fn stored(&mut self, id: LetterId, place: Option<usize>) {
        let story = self.story(id);
        match place {
            None => story.done = Some(DONE),
            Some(place) => story.states[place].0 = DONE,
        }
    }

    fn story(&mut self, id: LetterId) -> &mut Story {
        self.letters.get_mut(&id).unwrap()
    }

    /// The stories as far as they had come after `cut` steps.
    pub(super) fn until(&self, cut: usize) -> Self {
        let until = |span: Span| span.is_begun(cut).then(|| Span { acked: span.acked.filter(|acked| *acked <= cut), ..span });
        let told = self.letters.iter().filter_map(|(id, story)| {
            let states = story.states.iter().filter_map(|(span, state)| Some((until(*span)?, state.clone()))).collect();
            Some((*id, Story { commit: until(story.commit)?, states, done: story.done.and_then(until), ..story.clone() }))
        });
        let suspended = self.suspended.iter().filter_map(|(span, suspended)| Some((until(*span)?, suspended.clone())));
        Self { letters: told.collect(), suspended: suspended.collect() }
    }

    /// What a second life found when it opened the spool after `opened` steps holds from then on, also against a power cut: it was
    /// served. Before, it may have been there already.
    pub(super) fn found(&self, held: &Held, opened: usize) -> Self {
        let mut after = self.clone();
        let now = Span { begun: None, acked: Some(opened) };
        after.suspended.push((now, held.suspended.clone()));
        for (id, story) in &mut after.letters {
            match held.get(id) {
                Some((told, _)) => {
                    story.commit.acked = story.commit.acked.or(Some(opened));
                    story.done = None;
                    story.states.push((now, told.state.clone()));
                }
                None => {
                    let begun = story.done.map_or(Some(opened), |done| done.begun);
                    story.done = story.done.filter(|done| done.acked.is_some()).or(Some(Span { begun, acked: Some(opened) }));
                }
            }
        }
        after
    }

    /// The stories as the world after the cut tells them: what was open is settled, and the steps count anew.
    pub(super) fn after(&self, held: &Held) -> Self {
        let past = Span { begun: None, acked: Some(0) };
        let after = self.letters.iter().map(|(id, story)| {
            let mut story = Story { commit: past, ..story.clone() };
            story.states = held.get(id).map(|(told, _)| (past, told.state.clone())).into_iter().collect();
            story.done = (!held.contains_key(id)).then_some(past);
            if story.done.is_some() {
                // It may not come back at all, whatever it says.
                story.body = Vec::new();
            }
            (*id, story)
        });
        Self { letters: after.collect(), suspended: vec![(past, held.suspended.clone())] }
    }
}

/// In a story without steps: asked for, and not answered.
const BEGUN: Span = Span { begun: Some(0), acked: None };
const DONE: Span = Span { begun: Some(0), acked: Some(0) };

impl Story {
    fn latest(&self) -> LetterState {
        self.states.last().map_or_else(|| LetterState::new(&self.letter), |(_, state)| state.clone())
    }
}

/// What is found is what was acknowledged last, or something that was begun behind it.
fn check_latest<T: PartialEq + std::fmt::Debug>(first: &T, states: &[(Span, T)], found: &T, cut: usize, when: &str) {
    let acked = states.iter().rposition(|(span, _)| span.is_acked(cut));
    let mut allowed = vec![acked.map_or(first, |index| &states[index].1)];
    let later = states.iter().skip(acked.map_or(0, |index| index + 1));
    allowed.extend(later.filter(|(span, _)| span.is_begun(cut)).map(|(_, state)| state));
    assert!(allowed.contains(&found), "{when}: {found:?}, not one of {allowed:?}");
}

/// A pause that ends by itself: for what other threads must do, without a guess how long it takes.
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = posthouse_runtime::clock::now() + Duration::from_secs(20);
    while !holds() {
        assert!(posthouse_runtime::clock::now() < deadline, "still not so: {what}");
        std::thread::yield_now();
    }
}
