//! A script that uses the queue, and remembers what it was promised at which step.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posthouse_mail::{Envelope, LetterId, Recipient, Reply, ReversePath, Status, UnixMillis};
use posthouse_runtime::block_on;

use crate::body::fetch;
use crate::index::{Shared, Sizes, Which};
use crate::layout::{self, Kind, LogKind, SegmentHeader};
use crate::lease::{Told, tell};
use crate::recover::recover;
use crate::scan::{Find, Scan};
use crate::storage::Storage;
use crate::storage::fault::World;
use crate::{
    Destination, Draft, Lease, Letter, Origin, Queue, QueueError, RecipientEnd, RecipientState, Settings, SiteLimits, Work,
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
    states: Vec<(Span, Vec<RecipientState>)>,
    done: Option<Span>,
}

/// All letters of a run.
#[derive(Debug, Clone, Default)]
pub(super) struct Stories(pub(super) BTreeMap<LetterId, Story>);

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
            let act = if self.queue.len() > 30 { 15 } else { self.dice.roll(16) };
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
                    _ => self.finish().await,
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
        self.stories.0.insert(id, Story { letter: letter.clone(), body, commit, states: Vec::new(), done: None });
        let committed = draft.commit(letter).await;
        let acked = Some(self.world.steps());
        match committed {
            Ok(_) => self.story(id).commit.acked = acked,
            Err(QueueError::Full(_)) => drop(self.stories.0.remove(&id)),
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
        let mut states = lease.recipients().to_vec();
        crate::letter::apply(&mut states, ends.clone());
        let begun = Some(self.world.steps());
        self.story(id).states.push((Span { begun, acked: None }, states));
        let finished = lease.finish(ends).await;
        let acked = Some(self.world.steps());
        let states = &mut self.story(id).states;
        match finished {
            Ok(()) => states.last_mut().unwrap().0.acked = acked,
            Err(QueueError::Full(_)) => drop(states.pop()),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), QueueError> {
        let Some(lease) = self.some_lease() else { return Ok(()) };
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

    fn story(&mut self, id: LetterId) -> &mut Story {
        self.stories.0.get_mut(&id).unwrap()
    }
}

/// What a spool holds after recovery: letters with their bodies.
pub(crate) fn contents(world: &World) -> HashMap<LetterId, (Told, Vec<u8>)> {
    check_dones(world);
    let recovery = recover(world, TINY).unwrap();
    let ids: Vec<_> = recovery.index.entries.iter().map(|entry| entry.id).collect();
    let shared = Shared::new(recovery.index, TINY);
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
    ids.into_iter().map(|id| (id, read(id))).collect()
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
    pub(super) fn check(&self, held: &HashMap<LetterId, (Told, Vec<u8>)>, cut: usize, when: &str) {
        for (id, story) in &self.0 {
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
                    story.check_states(&told.state.recipients, cut, &format!("{when}: {id}"));
                }
            }
        }
        for id in held.keys() {
            assert!(self.0.contains_key(id), "{when}: letter {id} was never committed");
        }
    }

    /// A letter's record is on its way.
    pub(super) fn commits(&mut self, id: LetterId, letter: Letter, body: Vec<u8>) {
        let story = Story { letter, body, commit: BEGUN, states: Vec::new(), done: None };
        assert!(self.0.insert(id, story).is_none(), "{id} twice");
    }

    pub(super) fn committed(&mut self, id: LetterId) {
        self.story(id).commit = DONE;
    }

    /// For want of room; nothing was stored.
    pub(super) fn refused(&mut self, id: LetterId) {
        self.0.remove(&id);
    }

    /// These recipients are being delivered to.
    pub(super) fn delivers(&mut self, id: LetterId, recipients: &[usize]) {
        let story = self.story(id);
        assert!(story.done.is_none(), "{id} is delivered, though it had ended");
        let states = story.latest();
        let twice: Vec<_> = recipients.iter().filter(|&&index| !states[index].is_pending()).collect();
        assert!(twice.is_empty(), "{id} is delivered to {twice:?} again, though that was stored");
    }

    /// The ends of attempts are on their way. Gives the place of the new state among the letter's; `None`: its end.
    pub(super) fn stores(&mut self, id: LetterId, ends: Vec<(usize, RecipientEnd)>) -> Option<usize> {
        let story = self.story(id);
        let mut states = story.latest();
        crate::letter::apply(&mut states, ends);
        if !states.iter().any(RecipientState::is_pending) {
            story.done = Some(BEGUN);
            return None;
        }
        story.states.push((BEGUN, states));
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
        self.0.get_mut(&id).unwrap()
    }

    /// The stories as far as they had come after `cut` steps.
    pub(super) fn until(&self, cut: usize) -> Self {
        let until = |span: Span| span.is_begun(cut).then(|| Span { acked: span.acked.filter(|acked| *acked <= cut), ..span });
        let told = self.0.iter().filter_map(|(id, story)| {
            let states = story.states.iter().filter_map(|(span, states)| Some((until(*span)?, states.clone()))).collect();
            Some((*id, Story { commit: until(story.commit)?, states, done: story.done.and_then(until), ..story.clone() }))
        });
        Self(told.collect())
    }

    /// What a second life found when it opened the spool after `opened` steps holds from then on, also against a power cut: it was
    /// served. Before, it may have been there already.
    pub(super) fn found(&self, held: &HashMap<LetterId, (Told, Vec<u8>)>, opened: usize) -> Self {
        let mut after = self.clone();
        for (id, story) in &mut after.0 {
            let now = Span { begun: None, acked: Some(opened) };
            match held.get(id) {
                Some((told, _)) => {
                    story.commit.acked = story.commit.acked.or(Some(opened));
                    story.done = None;
                    story.states.push((now, told.state.recipients.clone()));
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
    pub(super) fn after(&self, held: &HashMap<LetterId, (Told, Vec<u8>)>) -> Self {
        let past = Span { begun: None, acked: Some(0) };
        let after = self.0.iter().map(|(id, story)| {
            let mut story = Story { commit: past, ..story.clone() };
            story.states = held.get(id).map(|(told, _)| (past, told.state.recipients.clone())).into_iter().collect();
            story.done = (!held.contains_key(id)).then_some(past);
            if story.done.is_some() {
                // It may not come back at all, whatever it says.
                story.body = Vec::new();
            }
            (*id, story)
        });
        Self(after.collect())
    }
}

/// In a story without steps: asked for, and not answered.
const BEGUN: Span = Span { begun: Some(0), acked: None };
const DONE: Span = Span { begun: Some(0), acked: Some(0) };

impl Story {
    fn first(&self) -> Vec<RecipientState> {
        let fresh = self.letter.envelope.recipients.iter().cloned();
        fresh.map(|recipient| RecipientState::new(recipient, self.letter.arrived)).collect()
    }

    fn latest(&self) -> Vec<RecipientState> {
        self.states.last().map_or_else(|| self.first(), |(_, states)| states.clone())
    }

    fn check_states(&self, found: &[RecipientState], cut: usize, when: &str) {
        let first = self.first();
        let acked = self.states.iter().rposition(|(span, _)| span.is_acked(cut));
        let mut allowed: Vec<&[RecipientState]> = match acked {
            None => vec![&first],
            Some(index) => vec![&self.states[index].1],
        };
        let later = self.states.iter().skip(acked.map_or(0, |index| index + 1));
        allowed.extend(later.filter(|(span, _)| span.is_begun(cut)).map(|(_, states)| states.as_slice()));
        assert!(allowed.contains(&found), "{when}: states {found:?}, not one of {allowed:?}");
    }
}

/// A pause that ends by itself: for what other threads must do, without a guess how long it takes.
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = posthouse_runtime::clock::now() + Duration::from_secs(20);
    while !holds() {
        assert!(posthouse_runtime::clock::now() < deadline, "still not so: {what}");
        std::thread::yield_now();
    }
}
