//! Promise 1 and 2: what got its 250 survives the death of the process, at any moment.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and it stands outside: real processes, real sockets, real time"
)]

mod common;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{Site, Smtp, letter};
use posthouse_mail::LetterId;
use posthouse_mailbox::Uid;
use posthouse_queue::Queue;
use posthouse_runtime::{block_on, random};

const KILLS: usize = 200;
const CLIENTS: usize = 4;
/// The server dies between its first connection and this much later.
const LIFE_MAX_MICROS: usize = 60_000;

/// Sends letters over one connection until it breaks; those that were accepted, with what says how long their text is.
fn send_until_it_dies(address: SocketAddr, stop: &AtomicBool) -> Vec<(LetterId, usize)> {
    let mut accepted = Vec::new();
    let Ok(mut smtp) = Smtp::open(address) else { return accepted };
    while !stop.load(Ordering::Relaxed) {
        // Mostly small, now and then in several chunks.
        let bytes = if random::below(20) == 0 { 200_000 } else { random::below(4_000) };
        match smtp.send("sender@elsewhere.test", "bob@example.test", &letter("crash", bytes)) {
            Ok(id) => accepted.push((id, bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::Other => panic!("refused: {error}"),
            Err(_) => break,
        }
    }
    accepted
}

#[test]
fn no_letter_that_got_its_250_is_lost_by_kill_9_at_200_random_moments() {
    let site = Site::new(&["mx"], "[queue]\nspool-size = \"64 MiB\"\n[log]\nlevel = \"error\"\n");
    let mut accepted = Vec::new();
    for _ in 0..KILLS {
        let server = site.start();
        let (address, stop) = (server.address("mx"), AtomicBool::new(false));
        thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| send_until_it_dies(address, &stop))).collect();
            thread::sleep(Duration::from_micros(u64::try_from(random::below(LIFE_MAX_MICROS)).unwrap()));
            server.kill();
            stop.store(true, Ordering::Relaxed);
            accepted.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
        });
    }
    assert!(accepted.len() > KILLS, "the load was too small to prove anything: {} letters", accepted.len());
    // One more start and an orderly stop, then what is there is counted.
    assert_eq!(site.start().stop().code(), Some(0));
    let mut stored: HashMap<LetterId, Vec<Uid>> = HashMap::new();
    for message in site.inbox("bob") {
        stored.entry(message.letter).or_default().push(message.uid);
    }
    let queued: HashSet<LetterId> = block_on(async {
        let (queue, _) = Queue::open(&posthouse_queue::Settings::default(), &site.data().join("queue")).unwrap();
        queue.list().into_iter().map(|letter| letter.id).collect()
    })
    .unwrap();
    let lost: Vec<_> = accepted.iter().filter(|(id, _)| !stored.contains_key(id) && !queued.contains(id)).collect();
    assert!(lost.is_empty(), "{} of {} letters are lost: {lost:?}", lost.len(), accepted.len());
    let twice: Vec<_> = stored.iter().filter(|(_, uids)| uids.len() > 1).collect();
    assert!(twice.is_empty(), "stored more than once: {twice:?}");
    let whole = site.read_all("bob");
    for (id, bytes) in &accepted {
        let Some(uids) = stored.get(id) else { continue };
        assert!(whole[&uids[0]].ends_with(letter("crash", *bytes).as_bytes()), "{id} is not what was sent");
    }
    eprintln!("{} letters accepted, {} in the inbox, {} still queued", accepted.len(), stored.len(), queued.len());
}
