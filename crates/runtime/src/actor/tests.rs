use std::sync::Arc;

use super::*;
use crate::sync::oneshot;

/// An actor's thread holds what it was given until its end.
fn ended<T>(done: oneshot::Receiver<T>) -> T {
    crate::block_on(done).unwrap().unwrap()
}

#[test]
fn messages_sent_before_the_last_sender_went_are_still_served() {
    let (sender, mut inbox) = inbox();
    let (done, served) = oneshot::channel();
    for number in 0..3 {
        sender.send(number).unwrap();
    }
    drop(sender);
    let serve = async move {
        let mut all = Vec::new();
        while let Some(number) = inbox.recv().await {
            all.push(number);
        }
        done.send(all).unwrap();
    };
    start("test", serve).unwrap().join();
    assert_eq!(ended(served), [0, 1, 2]);
}

#[test]
fn a_full_inbox_gives_the_message_back() {
    let (sender, mut inbox) = bounded_inbox(1);
    sender.try_send(1).unwrap();
    assert_eq!(sender.try_send(2), Err(2));
    assert_eq!(inbox.try_recv(), Received::Message(1));
    assert_eq!(inbox.try_recv(), Received::Nothing);
    drop(sender);
    assert_eq!(inbox.try_recv(), Received::Closed);
}

#[test]
fn a_wait_with_an_end_ends() {
    let (sender, mut inbox) = inbox::<()>();
    let (done, found) = oneshot::channel();
    let actor = start("test", async move {
        let first = inbox.recv_within(Duration::ZERO).await;
        done.send((first, inbox.recv_within(Duration::from_secs(60)).await)).unwrap();
    });
    // Whether before or after the first look: it is the second that finds them gone, or the first.
    drop(sender);
    actor.unwrap().join();
    let (first, second) = ended(found);
    assert_ne!(first, Received::Message(()));
    assert_eq!(second, Received::Closed);
}

#[test]
fn each_message_of_a_shared_inbox_is_served_once() {
    let (sender, inbox) = inbox();
    let (inbox, (tally, counted)) = (Arc::new(inbox.shared()), std::sync::mpsc::channel());
    for number in 0..100 {
        sender.send(number).unwrap();
    }
    drop(sender);
    let actors = (0..4).map(|_| {
        let (inbox, tally) = (Arc::clone(&inbox), tally.clone());
        start("test", async move {
            while let Some(number) = inbox.recv().await {
                tally.send(number).unwrap();
            }
        })
        .unwrap()
    });
    actors.collect::<Vec<_>>().into_iter().for_each(Actor::join);
    drop(tally);
    let mut all: Vec<i32> = counted.iter().collect();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
}
