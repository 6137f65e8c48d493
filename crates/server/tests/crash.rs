//! Promises 1 and 2: what got its 250 survives the death of the process, at any moment, and each of its recipients comes to one end.
//!
//! Everything happens at once: letters are accepted, delivered into mailboxes, relayed to hosts that put off, refuse, or take without
//! answering; what waits is tried again, what cannot go is copied out of the way, and the cold log is compacted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and it stands outside: real processes, real sockets, real time"
)]

mod common;
#[path = "crash/load.rs"]
mod load;
#[path = "crash/sink.rs"]
mod sink;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{PATIENCE, Site, letter};
use load::{Accepted, send_until_it_dies};
use posthouse_mail::LetterId;
use posthouse_mailbox::Uid;
use posthouse_queue::{Queue, QueueError};
use posthouse_runtime::random;
use posthouse_testkit::name_server::NameServer;
use sink::{Sink, Taken};

/// How often the server is killed, unless `POSTHOUSE_KILLS` says more.
const KILLS: usize = 200;
const CLIENTS: usize = 4;
/// The server dies between its first connection and this much later; one in five times while it starts.
const LIFE_MAX_MICROS: usize = 60_000;
const START_MAX_MICROS: usize = 60_000;

const ZONE: &str =
    "far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\nother.test MX 10 mx.other.test\nmx.other.test A 127.0.0.1
stuck.test SERVFAIL";

#[test]
fn killed_at_random_moments_under_mixed_load_each_recipient_comes_to_one_end() {
    let kills = std::env::var("POSTHOUSE_KILLS").map_or(KILLS, |text| text.parse().unwrap());
    let (names, sink) = (NameServer::start(ZONE), Sink::start());
    let site = Site::new(&["mx"], &settings(sink.address().port()));
    let config = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), config.replace("127.0.0.1:1\"", &format!("{}\"", names.address()))).unwrap();
    let (mut accepted, mut cold) = (Vec::new(), BTreeSet::new());
    for _ in 0..kills {
        live(&site, &mut accepted);
        sink.next_life();
        cold.extend(cold_segments(&site));
    }
    drain(&site);
    let (doubles, by_kills) = check(&site, &accepted, &sink);
    // Otherwise it proved little.
    let (relayed, put_off) = sink.read(|book| (book.taken.len(), book.put_off));
    let compacted = cold.len() - cold_segments(&site).iter().filter(|name| cold.contains(*name)).count();
    eprintln!(
        "{kills} kills: {} letters accepted, {relayed} recipients relayed ({doubles} of them twice because {by_kills} kills took the answer), \
         {put_off} put off, {} cold segments, {compacted} compacted away",
        accepted.len(),
        cold.len()
    );
    let enough = kills / 10;
    // On a busy machine a life is over before its second letter.
    assert!(accepted.len() > kills / 2 && relayed > kills / 2 && put_off > enough && cold.len() > enough && compacted > 0);
}

fn settings(port: u16) -> String {
    format!(
        "[queue]\nspool-size = \"64 MiB\"\nretry-first = \"1s\"\nretry-max = \"1s\"\ndelay-warning = \"0s\"
[intake]\ntrusted-networks = [\"127.0.0.1/32\"]\n[delivery]\nport = {port}\n[log]\nlevel = \"error\"\n"
    )
}

/// One life: the server works under the load until it is killed.
fn live(site: &Site, accepted: &mut Vec<Accepted>) {
    let after = |max| Duration::from_micros(u64::try_from(random::below(max)).unwrap());
    if random::below(5) == 0 {
        let mut server = quiet(site).spawn().unwrap();
        thread::sleep(after(START_MAX_MICROS));
        server.kill().unwrap();
        server.wait().unwrap();
        return;
    }
    let server = site.start();
    let (address, stop) = (server.address("mx"), AtomicBool::new(false));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| send_until_it_dies(address, &stop))).collect();
        thread::sleep(after(LIFE_MAX_MICROS));
        server.kill();
        stop.store(true, Ordering::Relaxed);
        accepted.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
    });
}

/// A server that nobody listens to.
fn quiet(site: &Site) -> Command {
    let mut command = common::posthouse();
    command.arg("serve").arg("--config").arg(site.config()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// None before the first life came so far as to make the folder.
fn cold_segments(site: &Site) -> Vec<String> {
    let Ok(names) = fs::read_dir(site.data().join("queue")) else { return Vec::new() };
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|name| name.starts_with("cold-")).collect()
}

/// The recipients that still wait, by letter.
fn waiting(site: &Site) -> Result<HashMap<LetterId, Vec<String>>, QueueError> {
    let letters = Queue::open_read_only(&site.data().join("queue"))?.letters;
    let pending = |letter: posthouse_queue::Queued| {
        let pending = letter.recipients.iter().filter(|state| state.is_pending());
        (letter.id, pending.map(|state| state.recipient.address.to_string()).collect())
    };
    Ok(letters.into_iter().map(pending).collect())
}

/// A last life that ends in order, when nobody waits any more but those that nobody can help.
fn drain(site: &Site) {
    let (server, began) = (site.start(), Instant::now());
    loop {
        let waiting = waiting(site);
        // A segment that the server unlinks between the listing and the reading is an error, and says nothing.
        let is_done = |waiting: &HashMap<_, Vec<String>>| waiting.values().flatten().all(|to| to.ends_with("@stuck.test"));
        if waiting.as_ref().is_ok_and(is_done) {
            break;
        }
        assert!(began.elapsed() < 2 * PATIENCE, "they wait and wait: {waiting:?}");
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(server.stop().code(), Some(0));
}

fn check(site: &Site, accepted: &[Accepted], sink: &Sink) -> (usize, usize) {
    let queued = waiting(site).unwrap();
    let mut stored: HashMap<LetterId, Vec<Uid>> = HashMap::new();
    for message in site.inbox("bob") {
        stored.entry(message.letter).or_default().push(message.uid);
    }
    let twice: Vec<_> = stored.iter().filter(|(_, uids)| uids.len() > 1).collect();
    assert!(twice.is_empty(), "stored more than once: {twice:?}");
    let (whole, reports) = (site.read_all("bob"), site.read_all("alice"));
    let reports: Vec<_> = reports.values().map(|octets| String::from_utf8_lossy(octets)).collect();
    let taken = sink.read(|book| {
        assert!(book.broken.is_empty(), "not what was sent: {:?}", book.broken);
        book.taken.clone()
    });
    for Accepted { id, mark, bytes, to } in accepted {
        for to in to {
            let reported = reports.iter().filter(|report| report.contains(&format!("Final-Recipient: rfc822; {to}\r\n"))).count();
            let ends = if to.ends_with("@stuck.test") {
                usize::from(queued.get(id).is_some_and(|waiting| waiting.contains(to)))
            } else if to.starts_with("no-") {
                reported
            } else if to == "bob@example.test" {
                let uids = stored.get(id).map_or(&[][..], Vec::as_slice);
                assert!(
                    uids.iter().all(|uid| whole[uid].ends_with(letter(mark, *bytes).as_bytes())),
                    "{id} is not what was sent"
                );
                uids.len()
            } else {
                usize::from(taken.contains_key(to))
            };
            assert_eq!(ends, 1, "letter {id} for {to} has {ends} ends");
        }
    }
    check_doubles(&taken)
}

/// A letter comes again only where its answer was lost: never sent, or its reader killed. How many came so, and by how many kills.
fn check_doubles(taken: &HashMap<String, Vec<Taken>>) -> (usize, usize) {
    let mut doubles = (0, HashSet::new());
    for (to, times) in taken {
        for pair in times.windows(2) {
            assert!(pair[0].lost || pair[0].life < pair[1].life, "{to} got it twice from one life: {times:?}");
            doubles.0 += usize::from(!pair[0].lost);
            doubles.1.insert(pair[0].life);
        }
    }
    (doubles.0, doubles.1.len())
}
