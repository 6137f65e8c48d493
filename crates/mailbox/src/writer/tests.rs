use posthouse_mail::{LetterId, ReversePath, UnixMillis};

use super::*;
use crate::account::Delivery;
use crate::body::NewBody;

fn job() -> Job {
    let delivery = Delivery {
        folder: crate::Folder::Inbox,
        letter: LetterId::from_bytes([1; 16]),
        recipient: "alice@a.test".parse().unwrap(),
        reverse_path: ReversePath::NULL,
        at: UnixMillis(1),
        prefix: Vec::new(),
    };
    Job { arrival: Arrival { delivery, body: NewBody::Inline(Vec::new()), size: 0 }, answer: oneshot::channel().0 }
}

#[test]
fn the_first_of_very_many_does_not_wait_for_the_last() {
    let waiting = Waiting::default();
    waiting.lock().unwrap().insert("a".to_owned(), (0..BATCH_MAX * 2 + 1).map(|_| job()).collect());
    let sizes: Vec<_> = std::iter::from_fn(|| next_batch(&waiting, "a")).map(|batch| batch.len()).collect();
    assert_eq!(sizes, [BATCH_MAX, BATCH_MAX, 1]);
    assert!(waiting.lock().unwrap().is_empty(), "an entry that stays would make the next delivery wait for ever");
}

#[test]
fn what_waits_together_is_committed_together() {
    let waiting = Waiting::default();
    waiting.lock().unwrap().insert("a".to_owned(), (0..5).map(|_| job()).collect());
    waiting.lock().unwrap().insert("b".to_owned(), vec![job()]);
    assert_eq!(next_batch(&waiting, "a").unwrap().len(), 5);
    assert!(waiting.lock().unwrap().contains_key("a"), "still with its thread");
    assert_eq!(next_batch(&waiting, "b").unwrap().len(), 1);
}
