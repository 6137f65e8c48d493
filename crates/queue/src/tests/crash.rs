//! The process is killed at random instants while everything happens at once: letters come in, small and in chunks and given up
//! half-way; others are delivered recipient by recipient, put off, tried again, ended; the ring turns, the cold log is compacted.
//!
//! The victim is this test binary again. It says on a pipe what it is about to do and what it was told is done; what it said stays in
//! the pipe when it is killed, and is held against what the spool then shows. The page cache lives on; for a power cut see `cut.rs`.
#![allow(clippy::disallowed_methods, reason = "a process that is killed needs real time and real threads")]

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use posthouse_mail::LetterId;
use posthouse_runtime::stream::collect;
use posthouse_runtime::{block_on, random};

use crate::storage::Disk;
use crate::storage::fault::World;
use crate::{Lease, Queue, QueueError, RecipientEnd, Settings};

use super::story::{Dice, FAR, Stories, TINY, contents, lease_some, letter, retry};

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
    assert!(seen.killed_before_open > 0, "{seen:?}");
}

/// What the victims did, in all.
#[derive(Debug, Default)]
struct Seen {
    committed: usize,
    refused: usize,
    deferred: usize,
    ended: usize,
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
        RecipientEnd::Failed | RecipientEnd::Removed => unreachable!(),
    }
}

fn parse_end(word: &str) -> (usize, RecipientEnd) {
    let (index, end) = word.split_once('=').unwrap();
    let end = if end == "delivered" { RecipientEnd::Delivered } else { retry(end.parse().unwrap()) };
    (index.parse().unwrap(), end)
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
    let hands = (0..PRODUCERS + CONSUMERS).map(|n| {
        let queue = queue.clone();
        thread::spawn(move || {
            let dice = Dice((life * 16 + n + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
            block_on(async {
                if n < PRODUCERS {
                    produce(&queue, dice, life * 1_000_000 + n * 100_000).await
                } else {
                    consume(&queue, dice).await
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

async fn consume(queue: &Queue, mut dice: Dice) {
    loop {
        let leases = lease_some(queue, FAR, 4);
        if leases.is_empty() {
            thread::yield_now();
        }
        for lease in leases {
            attempt(lease, &mut dice).await;
        }
    }
}

async fn attempt(mut lease: Lease, dice: &mut Dice) {
    let id = lease.id();
    let mark = lease.letter().arrived.0 - letter(1, 0).arrived.0;
    let octets = collect(&mut lease.body(), 1 << 20).await.unwrap();
    assert!(octets == body(mark, octets.len()), "the body of {id}");
    let pending = |lease: &Lease| -> Vec<usize> {
        lease.recipients().iter().enumerate().filter(|(_, recipient)| recipient.is_pending()).map(|(index, _)| index).collect()
    };
    match dice.roll(8) {
        0 => return,
        // One recipient, and then perhaps the rest.
        1..3 => {
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

/// Says what is about to be stored, with a number.
fn announce(id: LetterId, ends: &[(usize, RecipientEnd)]) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let delivered = ends.iter().filter(|(_, end)| *end == RecipientEnd::Delivered);
    let delivered: Vec<String> = delivered.map(|(index, _)| index.to_string()).collect();
    if !delivered.is_empty() {
        say(&format!("delivers {id} {}", delivered.join(" ")));
    }
    let ends: Vec<_> = ends.iter().map(show_end).collect();
    say(&format!("stores {id} {number} {}", ends.join(" ")));
    number
}
