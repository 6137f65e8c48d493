//! Mailboxes through their public face, on the disk.

use std::path::PathBuf;

use bytes::Bytes;
use tempfile::TempDir;

use posthouse_mail::{LetterId, ReversePath, UnixMillis};
use posthouse_runtime::block_on;
use posthouse_runtime::stream::{Buffered, ByteSource, CHUNK_BYTES_MAX};

use crate::{Delivery, INLINE_BYTES_MAX, Mailboxes, Message, Uid};

mod failing;
mod large;
mod sessions;

const ALICE: &str = "01J0000000000000000000000A";

struct World {
    mailboxes: Mailboxes,
    root: TempDir,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self { mailboxes: Mailboxes::open(&root.path().join("accounts")).unwrap(), root }
    }

    /// What another process, or this one after a restart, sees.
    fn again(&self) -> Mailboxes {
        Mailboxes::open(&self.dir()).unwrap()
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("accounts")
    }

    fn run<F: Future>(&self, future: F) -> F::Output {
        block_on(future).unwrap()
    }

    fn deliver(&self, letter: u8, body: impl Into<Bytes>) -> Uid {
        self.run(self.mailboxes.deliver(ALICE, delivery(letter), &mut Buffered::new(body))).unwrap()
    }

    fn inbox(&self) -> Vec<Message> {
        self.run(self.mailboxes.inbox(ALICE)).unwrap()
    }

    fn read(&self, uid: Uid) -> Vec<u8> {
        self.run(async { whole(&mut self.mailboxes.read(ALICE, uid).await.unwrap()).await })
    }

    /// The names of the files in the account's `bodies/`.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir().join(ALICE).join("bodies")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

const PREFIX: &[u8] = b"Return-Path: <>\r\nDelivered-To: alice@a.test\r\n";

fn delivery(letter: u8) -> Delivery {
    Delivery {
        folder: crate::Folder::Inbox,
        letter: LetterId::from_bytes([letter; 16]),
        recipient: "alice@a.test".parse().unwrap(),
        reverse_path: ReversePath::NULL,
        at: UnixMillis(1_700_000_000_000 + u64::from(letter)),
        prefix: PREFIX.to_vec(),
    }
}

/// Every octet, with the source held to its word on the way.
async fn whole(source: &mut dyn ByteSource) -> Vec<u8> {
    let announced = source.len();
    let mut octets = Vec::new();
    while let Some(chunk) = source.next().await.unwrap() {
        assert!(!chunk.is_empty() && chunk.len() <= CHUNK_BYTES_MAX, "{}", chunk.len());
        octets.extend_from_slice(&chunk);
    }
    assert!(source.next().await.unwrap().is_none());
    assert_eq!(octets.len() as u64, announced);
    octets
}

#[test]
fn what_is_read_is_what_came() {
    let world = World::new();
    let odd: Vec<u8> = (0..=255).chain(*b"\r\n.\r\n\r\r\n\n\0From x\r\n..").collect();
    let limit = usize::try_from(INLINE_BYTES_MAX).unwrap() - PREFIX.len();
    let sizes = [0, 1, CHUNK_BYTES_MAX, limit - 1, limit, limit + 1, 1_000_000];
    for (number, size) in (1_u8..).zip(sizes) {
        let body: Vec<u8> = odd.iter().copied().cycle().take(size).collect();
        let uid = world.deliver(number, body.clone());
        assert_eq!(world.read(uid), [PREFIX, &body].concat(), "{size}");
        let message = world.inbox().pop().unwrap();
        assert_eq!((message.uid, message.size), (uid, (PREFIX.len() + size) as u64));
        assert_eq!((message.at.0, message.seen), (1_700_000_000_000 + u64::from(number), false));
        assert_eq!(message.letter, LetterId::from_bytes([number; 16]));
    }
    assert_eq!(world.files().len(), 2, "only what is above the limit is a file");
}

#[test]
fn a_letter_delivered_again_after_a_crash_is_there_once() {
    let world = World::new();
    let first = world.deliver(1, "hello");
    assert_eq!(world.deliver(1, "hello"), first);
    let restarted = world.again();
    assert_eq!(world.run(restarted.deliver(ALICE, delivery(1), &mut Buffered::new("hello"))).unwrap(), first);
    assert_eq!(world.inbox().len(), 1);
    assert_ne!(world.deliver(2, "hello"), first);
}

#[test]
fn a_letter_that_was_read_and_removed_does_not_come_back() {
    let world = World::new();
    let uid = world.deliver(1, "hello");
    assert_eq!(world.run(world.mailboxes.remove(ALICE, &[uid])).unwrap(), 1);
    assert_eq!(world.deliver(1, "hello"), uid);
    assert!(world.inbox().is_empty());
}

#[test]
fn a_letter_for_two_names_of_one_account_is_there_twice() {
    let world = World::new();
    world.deliver(1, "hello");
    let other = Delivery { recipient: "alice+x@a.test".parse().unwrap(), ..delivery(1) };
    world.run(world.mailboxes.deliver(ALICE, other, &mut Buffered::new("hello"))).unwrap();
    assert_eq!(world.inbox().len(), 2);
}

#[test]
fn a_number_is_never_given_twice() {
    let world = World::new();
    let uids = [1, 2, 3].map(|letter| world.deliver(letter, "hello"));
    assert_eq!(uids, [Uid(1), Uid(2), Uid(3)]);
    world.run(world.mailboxes.remove(ALICE, &uids)).unwrap();
    let restarted = world.again();
    assert_eq!(world.run(restarted.deliver(ALICE, delivery(4), &mut Buffered::new("x"))).unwrap(), Uid(4));
}

#[test]
fn a_unique_id_is_the_same_after_a_restart() {
    let world = World::new();
    world.deliver(1, "one");
    world.deliver(2, "two");
    let before: Vec<_> = world.inbox().iter().map(Message::unique_id).collect();
    let after: Vec<_> = world.run(world.again().inbox(ALICE)).unwrap().iter().map(Message::unique_id).collect();
    assert_eq!(before, after);
    assert_ne!(before[0], before[1]);
    assert!(before.iter().all(|id| id.len() <= 70 && id.bytes().all(|octet| (0x21..=0x7e).contains(&octet))), "RFC 1939 §7");
}

#[test]
fn many_at_once_all_arrive() {
    let world = World::new();
    let other = world.again();
    world.run(async {
        let tasks: Vec<_> = (0..200_u8)
            .map(|letter| {
                // Two processes, and each letter from both.
                let mailboxes = if letter % 2 == 0 { world.mailboxes.clone() } else { other.clone() };
                posthouse_runtime::task::spawn("delivery", async move {
                    let body = format!("letter {}", letter / 2);
                    mailboxes.deliver(ALICE, delivery(letter / 2), &mut Buffered::new(body)).await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.join().await;
        }
    });
    let inbox = world.inbox();
    assert_eq!(inbox.len(), 100);
    for message in inbox {
        let text = String::from_utf8(world.read(message.uid)).unwrap();
        assert!(text.ends_with(&format!("letter {}", message.letter.to_bytes()[0])), "{text}");
    }
}

#[test]
fn a_delivery_nobody_waits_for_any_more_is_stored_all_the_same() {
    let world = World::new();
    world.run(async {
        let mut body = Buffered::new("hello");
        let mut given_up = Box::pin(world.mailboxes.deliver(ALICE, delivery(1), &mut body));
        // One poll hands it over.
        std::future::poll_fn(|context| std::task::Poll::Ready(given_up.as_mut().poll(context).is_ready())).await;
    });
    world.deliver(2, "behind it");
    assert_eq!(world.inbox().len(), 2);
}

#[test]
fn reading_a_mailbox_that_never_got_mail_makes_nothing() {
    let world = World::new();
    assert!(world.inbox().is_empty());
    assert_eq!(world.run(world.mailboxes.remove(ALICE, &[Uid(1)])).unwrap(), 0);
    world.run(world.mailboxes.mark_seen(ALICE, &[Uid(1)])).unwrap();
    world.run(world.mailboxes.read(ALICE, Uid(1))).unwrap_err();
    assert!(!world.dir().join(ALICE).exists());
}

#[test]
fn junk_has_a_folder_and_numbers_of_its_own_and_can_be_moved_out_of_it() {
    let world = World::new();
    let junk = |letter| Delivery { folder: crate::Folder::Junk, ..delivery(letter) };
    let mailboxes = &world.mailboxes;
    block_on(async {
        use crate::Folder::{Inbox, Junk};
        assert_eq!(mailboxes.messages("a", Junk).await.unwrap(), [], "none came yet");
        let deliver = async |delivery| mailboxes.deliver("a", delivery, &mut Buffered::new(&b"x"[..])).await.unwrap();
        assert_eq!(deliver(delivery(1)).await, Uid(1));
        assert_eq!((deliver(junk(2)).await, deliver(junk(3)).await), (Uid(1), Uid(2)));
        assert_eq!(deliver(junk(3)).await, Uid(2), "it is stored once");
        assert_eq!((mailboxes.inbox("a").await.unwrap().len(), mailboxes.messages("a", Junk).await.unwrap().len()), (1, 2));
        // The same number in either folder is another letter.
        let text = async |folder, uid| whole(&mut mailboxes.read_in("a", folder, uid).await.unwrap()).await;
        assert_eq!(text(Junk, Uid(1)).await, text(Inbox, Uid(1)).await);
        assert_eq!(mailboxes.remove("a", &[Uid(2)]).await.unwrap(), 0, "what POP3 removes is in the inbox");
        assert_eq!(mailboxes.shift("a", Junk, Uid(2), Inbox).await.unwrap(), Uid(2));
        let inbox: Vec<_> = mailboxes.inbox("a").await.unwrap().iter().map(|message| message.letter.to_bytes()[0]).collect();
        assert_eq!(inbox, [1, 3]);
        assert!(mailboxes.shift("a", Junk, Uid(2), Inbox).await.is_err(), "it is not there any more");
        assert_eq!(mailboxes.messages("a", Junk).await.unwrap().len(), 1);
    })
    .unwrap();
}
