//! The process is killed at random instants while everything happens at once: letters come in, small and in chunks and given up
//! half-way; others are delivered recipient by recipient, put off, tried again, ended; an operator holds them, releases them, sends them
//! elsewhere, gives them priorities, suspends destinations; the ring turns, the cold log is compacted.
//!
//! The victim is this test binary again. It says on a pipe what it is about to do and what it was told is done; what it said stays in
//! the pipe when it is killed, and is held against what the spool then shows. The page cache lives on; for a power cut see `cut.rs`.
#![allow(clippy::disallowed_methods, reason = "a process that is killed needs real time and real threads")]

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use posthouse_mail::{LetterId, Priority, UnixMillis};
use posthouse_runtime::stream::collect;
use posthouse_runtime::{block_on, random};

use crate::storage::Disk;
use crate::storage::fault::World;
use crate::{Change, Lease, Queue, QueueError, RecipientEnd, Scope, Settings, Suspension, lease};

use super::story::{Dice, FAR, Stories, TINY, contents, lease_some, letter, retry, some_change};

/// How often the process is killed, unless `POSTHOUSE_KILLS` says more.
const KILLS: u64 = 1000;
/// The victim dies between the moment it has opened the spool and this much later; one in four times between the moment it begins to
/// open it and this much later.
const LIFE_MAX_MICROS: usize = 15_000;
const SIGKILL: i32 = 9;
const PRODUCERS: u64 = 3;
const CONSUMERS: u64 = 2;

const DIR: &str = "POSTHOUSE_CRASH_DIR";
const LIFE: &str = "POSTHOUSE_CRASH_LIFE";
const TEST: &str = "tests::crash::killed_at_a_thousand_random_instants_it_loses_and_doubles_nothing";

#[test]
fn killed_at_a_thousand_random_instants_it_loses_and_doubles_nothing() {
    if let (Ok(dir), Ok(life)) = (env::var(DIR), env::var(LIFE)) {
        victim(Path::new(&dir), life.parse().unwrap());
        return;
    }
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let kills = number("POSTHOUSE_KILLS").unwrap_or(KILLS);
    let seed = number("POSTHOUSE_SEED").unwrap_or_else(|| random::u64() | 1);
    eprintln!("{kills} kills, POSTHOUSE_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let (mut stories, mut dice, mut seen) = (Stories::default(), Dice(seed), Seen::default());
    for life in 1..=kills {
        let when = format!("life {life} of seed {seed}");
        let pause = Duration::from_micros(u64::try_from(dice.roll(LIFE_MAX_MICROS)).unwrap());
        let from = if dice.roll(4) == 0 { "born" } else { "open" };
        live(dir.path(), life, from, pause, &mut stories, &mut seen);
        let held = contents(&copy_of(dir.path()));
        stories.check(&held, 1, &when);
        seen.cold += usize::from(has_cold(dir.path()));
        stories = stories.after(&held);
    }
    eprintln!("{seen:?}");
    // Otherwise it proved little.
    let enough = usize::try_from(kills / 10).unwrap();
    assert!(seen.committed > enough && seen.ended > enough && seen.deferred > enough && seen.cold > enough, "{seen:?}");
    assert!(seen.changed > enough && seen.suspended > enough / 4, "{seen:?}");
    assert!(seen.killed_before_open > 0, "{seen:?}");
}

/// What the victims did, in all.
#[derive(Debug, Default)]
struct Seen {
    committed: usize,
    refused: usize,
    deferred: usize,
    ended: usize,
    changed: usize,
    suspended: usize,
    cold: usize,
    killed_before_open: usize,
}

/// The places of states that are on their way, by the number they were said with.
type Storing = BTreeMap<u64, Option<usize>>;

/// One life: a process that opens the spool and works, until it is killed. What it said goes into the stories.
fn live(dir: &Path, life: u64, from: &str, pause: Duration, stories: &mut Stories, seen: &mut Seen) {
    let mut victim = Command::new(env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture"])
        .env(DIR, dir)
        .env(LIFE, life.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == from), "life {life} never began");
    thread::sleep(pause);
    victim.kill().unwrap();
    let end = victim.wait().unwrap();
    assert_eq!(end.signal(), Some(SIGKILL), "life {life} ended by itself: {end}");
    let (mut opened, mut storing) = (from == "open", Storing::new());
    for line in lines {
        opened |= line == "open";
        hear(&line, stories, &mut storing, seen, life);
    }
    seen.killed_before_open += usize::from(!opened);
}

/// One thing the victim said.
fn hear(line: &str, stories: &mut Stories, storing: &mut Storing, seen: &mut Seen, life: u64) {
    let words: Vec<&str> = line.split(' ').collect();
    let id = || words[1].parse::<LetterId>().unwrap();
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    match words[0] {
        "open" => {}
        "commits" => {
            let size = usize::try_from(number(4)).unwrap();
            stories.commits(id(), letter(usize::try_from(number(3)).unwrap(), number(2)), body(number(2), size));
        }
        "committed" => {
            seen.committed += 1;
            stories.committed(id());
        }
        "refused" => {
            seen.refused += 1;
            stories.refused(id());
        }
        "delivers" => stories.delivers(id(), &words[2..].iter().map(|word| word.parse().unwrap()).collect::<Vec<_>>()),
        "stores" => {
            let place = stories.stores(id(), words[3..].iter().map(|word| parse_end(word)).collect());
            storing.insert(number(2), place);
        }
        "stored" => {
            // The letter may be in other hands already, so which state it was is said.
            let place = storing[&number(2)];
            stories.stored(id(), place);
            seen.ended += usize::from(place.is_none());
            seen.deferred += usize::from(place.is_some());
        }
        "changes" => {
            let place = stories.changes(id(), &parse_change(words[3]), UnixMillis(number(4)));
            storing.insert(number(2), Some(place));
        }
        "changed" => {
            seen.changed += 1;
            stories.stored(id(), storing[&number(2)]);
        }
        "suspends" => stories.suspends(serde_json::from_str(words[1]).unwrap()),
        "suspended" => {
            seen.suspended += 1;
            stories.suspended();
        }
        _ => panic!("life {life}: {line}"),
    }
}

/// The spool as the page cache shows it, to look at without touching it.
fn copy_of(dir: &Path) -> World {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    });
    World::holding(files.collect::<BTreeMap<_, _>>())
}

fn has_cold(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("cold-"))
}

/// What a letter with this mark says.
fn body(mark: u64, size: usize) -> Vec<u8> {
    Dice(mark.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1).octets(size)
}

fn show_end((index, end): &(usize, RecipientEnd)) -> String {
    match end {
        RecipientEnd::Delivered => format!("{index}=delivered"),
        RecipientEnd::Retry { at, .. } => format!("{index}={}", at.0),
        RecipientEnd::Failed | RecipientEnd::Removed | RecipientEnd::Warned => unreachable!(),
    }
}

fn parse_end(word: &str) -> (usize, RecipientEnd) {
    let (index, end) = word.split_once('=').unwrap();
    let end = if end == "delivered" { RecipientEnd::Delivered } else { retry(end.parse().unwrap()) };
    (index.parse().unwrap(), end)
}

fn show_change(change: &Change) -> String {
    match change {
        Change::Hold => "hold".to_owned(),
        Change::Release => "release".to_owned(),
        Change::RetryNow => "retry".to_owned(),
        Change::Priority(priority) => format!("priority={priority}"),
        Change::Redirect(via) => format!("redirect={}", via.as_ref().map(ToString::to_string).unwrap_or_default()),
    }
}

fn parse_change(word: &str) -> Change {
    match word.split_once('=').unwrap_or((word, "")) {
        ("hold", _) => Change::Hold,
        ("release", _) => Change::Release,
        ("retry", _) => Change::RetryNow,
        ("priority", level) => Change::Priority(Priority::new(level.parse().unwrap()).unwrap()),
        ("redirect", via) => Change::Redirect((!via.is_empty()).then(|| via.parse().unwrap())),
        _ => panic!("{word}"),
    }
}

/// Says a line, in one piece.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn victim(dir: &Path, life: u64) {
    // What goes wrong in any thread is the end of it, and not the one that was meant.
    std::panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        std::process::abort();
    }));
    say("born");
    let disk = Disk::locked(dir).unwrap().expect("the spool is locked, though its process was killed");
    let (queue, recovered) = Queue::open_on(Arc::new(disk), TINY, Settings::default()).unwrap();
    assert!(recovered.damages.is_empty(), "{recovered:?}");
    say("open");
    let busy = Busy::default();
    let hands = (0..=PRODUCERS + CONSUMERS).map(|n| {
        let (queue, busy) = (queue.clone(), busy.clone());
        thread::spawn(move || {
            let dice = Dice((life * 16 + n + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
            block_on(async {
                if n < PRODUCERS {
                    produce(&queue, dice, life * 1_000_000 + n * 100_000).await
                } else if n < PRODUCERS + CONSUMERS {
                    consume(&queue, dice, &busy).await
                } else {
                    operate(&queue, dice, &busy).await
                }
            })
            .unwrap()
        })
    });
    // Nobody comes back: this process is killed.
    for hand in hands.collect::<Vec<_>>() {
        hand.join().unwrap();
    }
}

/// The letters in somebody's hands: what is said of one is said in the order in which it is done.
#[derive(Clone, Default)]
struct Busy(Arc<Mutex<BTreeSet<LetterId>>>);

/// One of them.
struct Hand(Busy, LetterId);

impl Busy {
    fn take(&self, id: LetterId) -> Option<Hand> {
        self.0.lock().unwrap().insert(id).then(|| Hand(self.clone(), id))
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().remove(&self.1);
    }
}

async fn produce(queue: &Queue, mut dice: Dice, first: u64) {
    for mark in first.. {
        let size = if dice.roll(5) == 0 { 3000 } else { 300 };
        let (size, recipients) = (dice.roll(size), 1 + dice.roll(3));
        match bring(queue, &mut dice, mark, recipients, size).await {
            Ok(()) => {}
            Err(QueueError::Full(_)) => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
        // A queue that only grows would be full in the end.
        while queue.len() > 25 {
            thread::yield_now();
        }
    }
}

async fn bring(queue: &Queue, dice: &mut Dice, mark: u64, recipients: usize, size: usize) -> Result<(), QueueError> {
    let mut draft = queue.begin()?;
    for part in body(mark, size).chunks(333) {
        draft.write(Bytes::copy_from_slice(part)).await?;
        if dice.roll(40) == 0 {
            return Ok(());
        }
    }
    let id = draft.id();
    say(&format!("commits {id} {mark} {recipients} {size}"));
    match draft.commit(letter(recipients, mark)).await {
        Ok(_) => say(&format!("committed {id}")),
        Err(error @ QueueError::Full(_)) => {
            say(&format!("refused {id}"));
            return Err(error);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn consume(queue: &Queue, mut dice: Dice, busy: &Busy) {
    loop {
        let leases = lease_some(queue, FAR, 4);
        if leases.is_empty() {
            thread::yield_now();
        }
        for lease in leases {
            if let Some(_hand) = busy.take(lease.id()) {
                attempt(queue, lease, &mut dice).await;
            }
        }
    }
}

/// What an operator does to letters that nobody carries, and to destinations. Those that are held are let go by and by.
async fn operate(queue: &Queue, mut dice: Dice, busy: &Busy) {
    loop {
        let letters = queue.list();
        if !letters.is_empty() {
            let listed = &letters[dice.roll(letters.len())];
            if let Some(_hand) = busy.take(listed.id) {
                // As it is now that nobody else changes it.
                let line = queue.line(listed.id).filter(|line| !line.parts.is_empty());
                if let Some(line) = line {
                    let held = line.held || dice.roll(2) == 0;
                    change(queue, line.id, some_change(&mut dice, held)).await;
                }
            }
        }
        if dice.roll(4) == 0 {
            suspend(queue, &mut dice).await;
        }
        thread::yield_now();
    }
}

async fn change(queue: &Queue, id: LetterId, change: Change) {
    let (number, now) = (next_number(), UnixMillis(1 + id.time().0 % 1_000_000));
    say(&format!("changes {id} {number} {} {}", show_change(&change), now.0));
    match lease::change(&queue.handle, id, change, now).await {
        Ok(()) => say(&format!("changed {id} {number}")),
        Err(error) => panic!("{error}"),
    }
}

/// Letters go elsewhere, so that the load goes on.
async fn suspend(queue: &Queue, dice: &mut Dice) {
    let scope = Scope::Name(format!("s{}.test", dice.roll(3)));
    let mut list = queue.suspensions();
    let before = list.len();
    list.retain(|(known, _)| *known != scope);
    let was = list.len() < before;
    let suspension = Suspension { since: 1, until: None, by: "root".to_owned(), reason: None };
    if !was {
        list.push((scope.clone(), suspension.clone()));
        list.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
    say(&format!("suspends {}", serde_json::to_string(&list).unwrap()));
    let stored = if was { queue.resume(&scope).await.map(drop) } else { queue.suspend(scope, suspension).await };
    stored.unwrap();
    say("suspended");
}

async fn attempt(queue: &Queue, mut lease: Lease, dice: &mut Dice) {
    let id = lease.id();
    let mark = lease.letter().arrived.0 - letter(1, 0).arrived.0;
    let octets = collect(&mut lease.body(), 1 << 20).await.unwrap();
    assert!(octets == body(mark, octets.len()), "the body of {id}");
    let pending = |lease: &Lease| -> Vec<usize> {
        lease.recipients().iter().enumerate().filter(|(_, recipient)| recipient.is_pending()).map(|(index, _)| index).collect()
    };
    match dice.roll(8) {
        0 => return,
        // While it is carried.
        1 => change(queue, id, some_change(dice, true)).await,
        // One recipient, and then perhaps the rest.
        2..4 => {
            let ends = vec![(pending(&lease)[0], RecipientEnd::Delivered)];
            let number = announce(id, &ends);
            lease.record(ends).await.unwrap();
            say(&format!("stored {id} {number}"));
        }
        _ => {}
    }
    let defer = dice.roll(3) == 0;
    let later = u64::try_from(dice.roll(1_000_000)).unwrap();
    let end = |index| (index, if defer { retry(later) } else { RecipientEnd::Delivered });
    let ends: Vec<_> = pending(&lease).into_iter().map(end).collect();
    if lease.is_over() {
        return;
    }
    let number = announce(id, &ends);
    lease.finish(ends).await.unwrap();
    say(&format!("stored {id} {number}"));
}

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Says what is about to be stored, with a number.
fn announce(id: LetterId, ends: &[(usize, RecipientEnd)]) -> u64 {
    let number = next_number();
    let delivered = ends.iter().filter(|(_, end)| *end == RecipientEnd::Delivered);
    let delivered: Vec<String> = delivered.map(|(index, _)| index.to_string()).collect();
    if !delivered.is_empty() {
        say(&format!("delivers {id} {}", delivered.join(" ")));
    }
    let ends: Vec<_> = ends.iter().map(show_end).collect();
    say(&format!("stores {id} {number} {}", ends.join(" ")));
    number
}
