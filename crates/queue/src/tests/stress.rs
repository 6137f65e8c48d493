//! Many hands at once, with restarts between.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::Mutex;

use posthouse_mail::LetterId;
use posthouse_runtime::stream::collect;
use posthouse_runtime::{block_on, task};

use crate::storage::fault::World;
use crate::{Queue, RecipientEnd, Settings};

use super::story::{Dice, FAR, TINY, accept, check_dones, lease_some, letter, retry};

const PRODUCERS: u64 = 8;
const CONSUMERS: u64 = 3;
const LETTERS_EACH: u64 = 60;

/// What is queued, by what was acknowledged.
#[derive(Debug, Default)]
struct Books {
    queued: HashMap<LetterId, Vec<u8>>,
    ended: HashSet<LetterId>,
}

async fn produce(queue: Queue, books: Arc<Mutex<Books>>, seed: u64) {
    let mut dice = Dice(seed);
    for mark in 0..LETTERS_EACH {
        let size = dice.roll(1800);
        let body = dice.octets(size);
        let id = loop {
            // Full for a moment: the consumers make room.
            match accept(&queue, letter(1, mark), &body).await {
                Ok(id) => break id,
                Err(error) => assert_eq!(error.reply().code(), 452, "{error}"),
            }
        };
        let mut books = books.lock().unwrap();
        if !books.ended.contains(&id) {
            books.queued.insert(id, body);
        }
    }
}

async fn consume(queue: Queue, books: Arc<Mutex<Books>>, seed: u64, enough: u64) {
    let mut dice = Dice(seed);
    let mut ended = 0;
    while ended < enough {
        for lease in lease_some(&queue, FAR, 4) {
            let id = lease.id();
            let body = collect(&mut lease.body(), 1 << 20).await.unwrap();
            // The acknowledgement may be on its way to the producer's book still.
            if let Some(written) = books.lock().unwrap().queued.get(&id) {
                assert!(*written == body, "the body of {id}");
            }
            match dice.roll(4) {
                0 => drop(lease),
                1 => lease.finish(vec![(0, retry(1))]).await.unwrap(),
                _ => {
                    lease.finish(vec![(0, RecipientEnd::Delivered)]).await.unwrap();
                    ended += 1;
                    let mut books = books.lock().unwrap();
                    books.queued.remove(&id);
                    assert!(books.ended.insert(id), "{id} ended twice");
                }
            }
        }
    }
}

fn on_thread(name: &str, work: impl Future<Output = ()> + Send + 'static) -> std::thread::JoinHandle<()> {
    task::thread(name, move || block_on(work).unwrap()).unwrap()
}

#[test]
fn many_producers_and_consumers_with_restarts_lose_and_double_nothing() {
    let world = World::default();
    let books = Arc::new(Mutex::new(Books::default()));
    for life in 1..4 {
        let (queue, recovered) = Queue::open_on(Arc::new(world.clone()), TINY, Settings::default()).unwrap();
        assert!(recovered.damages.is_empty(), "{recovered:?}");
        {
            let books = books.lock().unwrap();
            let listed: HashSet<_> = queue.list().into_iter().map(|listed| listed.id).collect();
            assert_eq!(listed, books.queued.keys().copied().collect(), "life {life}");
        }
        let mut hands = Vec::new();
        for n in 1..=PRODUCERS {
            let (queue, books) = (queue.clone(), Arc::clone(&books));
            hands.push(on_thread("producer", produce(queue, books, life * 1000 + n)));
        }
        // Some letters stay for the next life.
        let enough = PRODUCERS * LETTERS_EACH / CONSUMERS - 5;
        for n in 1..=CONSUMERS {
            let (queue, books) = (queue.clone(), Arc::clone(&books));
            hands.push(on_thread("consumer", consume(queue, books, life * 1000 + 500 + n, enough)));
        }
        drop(queue);
        for hand in hands {
            hand.join().unwrap();
        }
        check_dones(&world);
    }
    assert!(!books.lock().unwrap().queued.is_empty());
}
