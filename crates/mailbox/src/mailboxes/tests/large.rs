//! Letters that do not fit into memory.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use posthouse_runtime::stream::{Buffered, ByteSource, CHUNK_BYTES_MAX, NextChunk};

use crate::{MailboxError, Uid};

use super::{ALICE, PREFIX, World, delivery};

const SIZE: u64 = 100 * 1024 * 1024;

/// Makes its octets as they are asked for, and knows how many of its chunks are alive.
struct Synthetic {
    announced: u64,
    left: u64,
    fails_at: u64,
    alive: Arc<AtomicUsize>,
    most_alive: usize,
}

struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Synthetic {
    fn new(size: u64) -> Self {
        Self { announced: size, left: size, fails_at: 0, alive: Arc::default(), most_alive: 0 }
    }
}

/// The octet at a place counted from the end.
fn octet(left: u64) -> u8 {
    (left % 251) as u8
}

impl ByteSource for Synthetic {
    fn len(&self) -> u64 {
        self.announced
    }

    fn next(&mut self) -> NextChunk<'_> {
        if self.fails_at > 0 && self.left <= self.fails_at {
            return Box::pin(std::future::ready(Err(io::Error::other("the spool is gone"))));
        }
        let length = self.left.min(CHUNK_BYTES_MAX as u64);
        if length == 0 {
            return Box::pin(std::future::ready(Ok(None)));
        }
        let octets = (0..length).map(|place| octet(self.left - place)).collect();
        self.left -= length;
        self.most_alive = self.most_alive.max(self.alive.fetch_add(1, Ordering::SeqCst) + 1);
        Box::pin(std::future::ready(Ok(Some(Bytes::from_owner(Counted(octets, Arc::clone(&self.alive)))))))
    }
}

#[test]
fn a_hundred_megabytes_pass_one_chunk_at_a_time() {
    let world = World::new();
    let mut source = Synthetic::new(SIZE);
    let uid = world.run(world.mailboxes.deliver(ALICE, delivery(1), &mut source)).unwrap();
    assert_eq!((source.most_alive, source.alive.load(Ordering::SeqCst)), (1, 0), "no chunk is kept while the next is asked for");

    world.run(async {
        let mut body = world.mailboxes.read(ALICE, uid).await.unwrap();
        let mut left = SIZE + PREFIX.len() as u64;
        assert_eq!(body.len(), left);
        while let Some(chunk) = body.next().await.unwrap() {
            assert!(chunk.len() <= CHUNK_BYTES_MAX);
            let skipped = usize::try_from(left.saturating_sub(SIZE)).unwrap();
            assert_eq!(&chunk[..skipped], &PREFIX[..skipped]);
            left -= skipped as u64;
            for &found in &chunk[skipped..] {
                assert!(found == octet(left), "{left} from the end");
                left -= 1;
            }
        }
        assert_eq!(left, 0);
    });
}

#[test]
fn a_large_letter_delivered_again_is_not_read_again() {
    let world = World::new();
    let uid = world.run(world.mailboxes.deliver(ALICE, delivery(1), &mut Synthetic::new(1 << 20))).unwrap();
    let mut again = Synthetic::new(1 << 20);
    assert_eq!(world.run(world.mailboxes.deliver(ALICE, delivery(1), &mut again)).unwrap(), uid);
    assert_eq!(again.left, 1 << 20);
    assert_eq!(world.files().len(), 1);
}

#[test]
fn two_that_deliver_the_same_large_letter_at_once_leave_one_file() {
    let world = World::new();
    let other = world.again();
    let (mut one, mut two) = (Synthetic::new(1 << 20), Synthetic::new(1 << 20));
    let (first, second) = world.run(async {
        posthouse_runtime::join!(
            world.mailboxes.deliver(ALICE, delivery(1), &mut one),
            other.deliver(ALICE, delivery(1), &mut two)
        )
    });
    assert_eq!(first.unwrap(), second.unwrap());
    assert_eq!((world.inbox().len(), world.files().len()), (1, 1));
    assert_eq!(world.read(Uid(1)).len(), (1 << 20) + PREFIX.len());
}

#[test]
fn a_letter_that_breaks_off_is_not_stored() {
    for size in [1_000_u64, 1 << 20] {
        let world = World::new();
        let sources = [
            Synthetic { fails_at: size / 2, ..Synthetic::new(size) },
            Synthetic { announced: size + 1, ..Synthetic::new(size) },
            Synthetic { announced: size - 1, ..Synthetic::new(size) },
            Synthetic { fails_at: size, ..Synthetic::new(size) },
        ];
        for mut source in sources {
            let failed = world.run(world.mailboxes.deliver(ALICE, delivery(1), &mut source)).unwrap_err();
            assert!(matches!(failed, MailboxError::Source(_)) && failed.is_temporary(), "{failed}");
        }
        assert!(world.inbox().is_empty());
        world.deliver(1, "the next try");
        assert_eq!(world.inbox().len(), 1);
        assert!(world.files().is_empty(), "{:?}", world.files());
    }
}

#[test]
fn a_delivery_dropped_half_way_leaves_no_file() {
    let world = World::new();
    world.deliver(9, "so that the folder is there");
    world.run(async {
        let mut source = Synthetic::new(8 << 20);
        let mut delivering = Box::pin(world.mailboxes.deliver(ALICE, delivery(1), &mut source));
        // Until the file is begun.
        while world.files().is_empty() {
            posthouse_runtime::select! {
                biased;
                () = posthouse_runtime::task::blocking(std::thread::yield_now) => {}
                done = &mut delivering => panic!("{done:?}"),
            }
        }
    });
    // The write under way ends first, on a thread of its own; the next one to wait for the disk here comes behind it many times over.
    for letter in 10..250 {
        if world.files().is_empty() {
            break;
        }
        let uid = world.deliver(letter, "x");
        world.run(world.mailboxes.remove(ALICE, &[uid])).unwrap();
    }
    assert!(world.files().is_empty(), "{:?}", world.files());
    assert_eq!(world.inbox().len(), 1);
}

#[test]
fn a_message_removed_while_it_is_read_is_read_to_its_end() {
    let world = World::new();
    world.run(async {
        let uid = world.mailboxes.deliver(ALICE, delivery(1), &mut Synthetic::new(1 << 20)).await.unwrap();
        let mut body = world.mailboxes.read(ALICE, uid).await.unwrap();
        body.next().await.unwrap().unwrap();
        assert_eq!(world.mailboxes.remove(ALICE, &[uid]).await.unwrap(), 1);
        let mut rest = 0;
        while let Some(chunk) = body.next().await.unwrap() {
            rest += chunk.len();
        }
        assert_eq!(rest, (1 << 20) + PREFIX.len() - CHUNK_BYTES_MAX);
    });
    assert!(world.files().is_empty());
}

#[test]
fn a_body_lost_from_the_disk_is_our_fault_and_not_a_missing_message() {
    let world = World::new();
    world.deliver(1, vec![b'x'; 1 << 20]);
    world.run(async { world.mailboxes.deliver(ALICE, delivery(2), &mut Buffered::new("small")).await.unwrap() });
    std::fs::remove_file(world.dir().join(ALICE).join("bodies").join(&world.files()[0])).unwrap();
    let failed = world.run(world.mailboxes.read(ALICE, Uid(1))).unwrap_err();
    assert!(matches!(failed, MailboxError::Storage(_)), "{failed}");
    assert!(world.read(Uid(2)).ends_with(b"small"));
}
