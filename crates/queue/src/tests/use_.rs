//! The queue in ordinary use, on real files.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use posthouse_mail::{LetterId, UnixMillis};
use posthouse_runtime::stream::{ByteSource, collect};
use posthouse_runtime::{block_on, clock};

use crate::{DeliveryState, Queue, QueueError, RecipientEnd, Settings, Work};

use super::story::{FAR, accept, lease_due, letter, place, retry};

fn open(dir: &tempfile::TempDir) -> Queue {
    Queue::open(&Settings::default(), dir.path()).unwrap().0
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

async fn read(mut body: impl ByteSource) -> Vec<u8> {
    collect(&mut body, 1 << 30).await.unwrap()
}

#[test]
fn bodies_of_all_sizes_come_back_also_after_a_restart() {
    let dir = dir();
    let sizes = [0, 1, 63, 64, 65_535, 65_536, 65_537, 131_072, 5_000_000];
    let bodies: Vec<Vec<u8>> = sizes.iter().map(|&size| (0..=250).cycle().take(size).collect()).collect();
    let ids = block_on(async {
        let queue = open(&dir);
        let mut ids = Vec::new();
        for (mark, body) in (0..).zip(&bodies) {
            ids.push(accept(&queue, letter(2, mark), body).await.unwrap());
        }
        ids
    });
    block_on(async {
        let queue = open(&dir);
        let leases = lease_due(&queue, FAR);
        assert_eq!(leases.iter().map(crate::Lease::id).collect::<Vec<_>>(), ids.unwrap(), "in the order they came");
        for (mark, (lease, body)) in (0..).zip(leases.iter().zip(&bodies)) {
            assert_eq!(lease.letter(), &letter(2, mark));
            assert_eq!((lease.size(), lease.body().len()), (body.len().try_into().unwrap(), lease.size()));
            assert!(read(lease.body()).await == *body, "{} octets", body.len());
        }
    })
    .unwrap();
}

#[test]
fn what_is_put_in_front_at_the_end_stands_at_the_beginning() {
    let dir = dir();
    let sizes = [0, 1, 65_536, 65_537, 200_000];
    block_on(async {
        let queue = open(&dir);
        for (mark, size) in (0..).zip(sizes) {
            let mut draft = queue.begin().unwrap();
            draft.write(vec![b'x'; size].into()).await.unwrap();
            draft.put_in_front("B: 2\r\n");
            draft.put_in_front("A: 1\r\n");
            draft.commit(letter(1, mark)).await.unwrap();
        }
    })
    .unwrap();
    block_on(async {
        let queue = open(&dir);
        for (lease, size) in lease_due(&queue, FAR).iter().zip(sizes) {
            let body = read(lease.body()).await;
            assert_eq!(lease.size(), size as u64 + 12);
            assert!(body.starts_with(b"A: 1\r\nB: 2\r\n") && body.len() == size + 12, "{size}");
            assert!(queue.peek(lease.id(), 12).await.unwrap().starts_with(b"A: 1\r\nB: 2\r\n"));
        }
    })
    .unwrap();
}

#[test]
fn a_look_at_the_beginning_of_a_body_reads_no_more_of_it_and_leases_nothing() {
    let dir = dir();
    let body: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
    block_on(async {
        let queue = open(&dir);
        let id = accept(&queue, letter(2, 1), &body).await.unwrap();
        let small = accept(&queue, letter(2, 2), b"Subject: x\r\n\r\n").await.unwrap();
        for bytes_min in [0, 1, 65_536, 65_537, 2_000_000] {
            let begin = queue.peek(id, bytes_min).await.unwrap();
            assert!(body.starts_with(&begin) && begin.len() >= bytes_min.min(body.len()), "{bytes_min}: {}", begin.len());
            assert!(begin.len() < bytes_min.max(1) + 65_536, "{bytes_min}: {}", begin.len());
            assert_eq!(Queue::peek_read_only(dir.path(), id, bytes_min).unwrap().len(), begin.len().max(65_536));
        }
        assert_eq!(queue.peek(small, 9).await.unwrap(), b"Subject: x\r\n\r\n");
        let nobody = LetterId::new(UnixMillis(1), 1);
        assert!(queue.peek(nobody, 9).await.unwrap().is_empty());
        assert!(Queue::peek_read_only(dir.path(), nobody, 9).unwrap().is_empty());
        assert_eq!(lease_due(&queue, FAR).len(), 2, "a look took a lease");
    })
    .unwrap();
}

#[test]
fn a_second_opening_is_refused_until_the_first_is_dropped() {
    let dir = dir();
    let queue = open(&dir);
    let error = Queue::open(&Settings::default(), dir.path()).expect_err("it is open");
    assert!(matches!(&error, QueueError::Locked(path) if path == dir.path()), "{error}");
    drop(queue);
    open(&dir);
}

#[test]
fn a_running_spool_can_be_read_from_outside() {
    let dir = dir();
    let queue = open(&dir);
    let id = block_on(accept(&queue, letter(2, 4), b"body")).unwrap().unwrap();
    let lease = queue.lease_letter(id).unwrap();
    block_on(lease.finish(vec![(0, RecipientEnd::Delivered), (1, retry(77))])).unwrap().unwrap();
    let seen = Queue::open_read_only(dir.path()).unwrap();
    let mut inside = queue.get(id).unwrap().unwrap();
    inside.leased = None;
    assert_eq!(seen.letters, [inside]);
    assert_eq!(seen.letters[0].recipients[0].state, DeliveryState::Delivered);
    assert_eq!(seen.letters[0].recipients[1].last.as_ref().unwrap().text(), "not now, said at 77");
    assert!(seen.found.damages.is_empty());
    drop(queue);
    assert_eq!(Queue::open_read_only(dir.path()).unwrap().letters, seen.letters);
}

#[test]
fn a_dropped_lease_gives_the_letter_back_unchanged_and_not_at_once() {
    let dir = dir();
    let queue = open(&dir);
    block_on(accept(&queue, letter(1, 1), b"")).unwrap().unwrap();
    let now = UnixMillis(clock::unix_millis());
    let lease = lease_due(&queue, now).pop().unwrap();
    assert!(lease_due(&queue, FAR).is_empty(), "it is leased");
    drop(lease);
    assert!(lease_due(&queue, now).is_empty(), "it came back at once");
    let lease = lease_due(&queue, FAR).pop().unwrap();
    assert_eq!(lease.recipients()[0].attempts, 0);
}

#[test]
fn a_letter_ends_with_its_last_recipient() {
    let dir = dir();
    let queue = open(&dir);
    let id = block_on(accept(&queue, letter(3, 1), b"")).unwrap().unwrap();
    block_on(async {
        let mut lease = queue.lease_letter(id).unwrap();
        lease.record(vec![(0, RecipientEnd::Delivered)]).await.unwrap();
        assert!(!lease.is_over());
        lease.finish(vec![(1, retry(FAR.0 - 1)), (2, RecipientEnd::Failed)]).await.unwrap();
        assert!(lease_due(&queue, UnixMillis(FAR.0 - 2)).is_empty(), "before its time");
        let mut lease = lease_due(&queue, FAR).pop().unwrap();
        lease.record(vec![(1, RecipientEnd::Removed)]).await.unwrap();
        assert!(lease.is_over() && queue.is_empty());
        assert_eq!(lease.finish(Vec::new()).await, Err(QueueError::Gone(id)));
    })
    .unwrap();
    drop(queue);
    assert!(open(&dir).is_empty());
}

#[test]
fn a_derived_id_is_queued_once_also_after_it_ended_and_after_a_restart() {
    let dir = dir();
    let id = LetterId::new(UnixMillis(5), 6);
    let commit = async |queue: &Queue, body: &'static [u8]| {
        let mut draft = queue.begin_as(id).unwrap();
        draft.write(Bytes::from_static(body)).await.unwrap();
        draft.commit(letter(1, 1)).await.unwrap()
    };
    block_on(async {
        let queue = open(&dir);
        let (first, second) = posthouse_runtime::join!(commit(&queue, &[1; 100_000]), commit(&queue, &[2; 100_000]));
        assert_eq!((first, second, queue.len()), (id, id, 1));
        commit(&queue, &[3; 10]).await;
        let lease = queue.lease_letter(id).unwrap();
        let body = read(lease.body()).await;
        assert!(body == [1; 100_000] || body == [2; 100_000], "the bodies of two drafts are mixed");
        lease.finish(vec![(0, RecipientEnd::Delivered)]).await.unwrap();
        commit(&queue, &[4; 10]).await;
        assert!(queue.is_empty());
    })
    .unwrap();
    block_on(async {
        let queue = open(&dir);
        commit(&queue, &[5; 10]).await;
        assert!(queue.is_empty());
    })
    .unwrap();
}

#[test]
fn a_dropped_draft_leaves_nothing() {
    let dir = dir();
    let queue = open(&dir);
    block_on(async {
        let mut draft = queue.begin().unwrap();
        draft.write(Bytes::from(vec![0; 300_000])).await.unwrap();
        drop(draft);
        accept(&queue, letter(1, 1), b"kept").await.unwrap();
    })
    .unwrap();
    drop(queue);
    let seen = Queue::open_read_only(dir.path()).unwrap();
    assert_eq!((seen.letters.len(), seen.found.torn, seen.found.damages.len()), (1, 0, 0));
}

#[test]
fn who_waits_for_a_letter_is_woken_by_the_next() {
    let dir = dir();
    let queue = open(&dir);
    block_on(async {
        let mut waiting = pin!(queue.work());
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(waiting.as_mut().poll(&mut context), Poll::Pending));
        let id = accept(&queue, letter(1, 1), b"").await.unwrap();
        let work = clock::timeout(std::time::Duration::from_secs(20), waiting).await.expect("nobody rang");
        let Work::Place(destination) = work else { panic!("where it goes is asked first: {work:?}") };
        place(&queue, &destination);
        assert_eq!(lease_due(&queue, FAR)[0].id(), id);
    })
    .unwrap();
}

#[test]
fn a_fresh_spool_takes_little_room_and_its_files_are_private() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let dir = dir();
    let queue = open(&dir);
    block_on(accept(&queue, letter(1, 1), b"")).unwrap().unwrap();
    drop(queue);
    let mut octets = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let meta = entry.unwrap().metadata().unwrap();
        octets += meta.blocks() * 512;
        assert_eq!(meta.permissions().mode() & 0o077, 0);
    }
    assert!(octets <= 48 << 20, "{octets} octets for one letter");
}
