//! The disk fails, is full, or writes less than it was given.

use std::sync::Arc;

use bytes::Bytes;
use posthouse_mail::Status;
use posthouse_runtime::block_on;

use crate::storage::fault::{Loss, World};
use crate::{Queue, QueueError, RecipientEnd};

use super::story::{FAR, Run, Stories, TINY, accept, contents, letter, until};

fn open(world: &World) -> Queue {
    Queue::open_on(Arc::new(world.clone()), TINY).unwrap().0
}

#[test]
fn after_a_failed_write_or_sync_nothing_more_is_taken_or_handed_out() {
    for step in 0..12 {
        let world = World::default();
        let queue = open(&world);
        let first = block_on(accept(&queue, letter(2, 1), b"taken")).unwrap().unwrap();
        let lease = queue.lease_letter(first).unwrap();
        world.fail_after(step);
        let result = block_on(async {
            let mut last = Ok(first);
            for mark in 2..20 {
                last = accept(&queue, letter(1, mark), &[0; 2000]).await;
            }
            last
        });
        let error = result.unwrap().expect_err("the disk fails");
        assert!(matches!(error, QueueError::Failed(_)), "{error}");
        assert_eq!((error.reply().code(), error.reply().status()), (421, Some(Status::temporary(3, 0))));
        assert!(matches!(queue.begin(), Err(QueueError::Failed(_))));
        let finished = block_on(lease.finish(vec![(0, RecipientEnd::Delivered)])).unwrap();
        assert!(matches!(finished, Err(QueueError::Failed(_))), "step {step}: {finished:?}");
        assert!(queue.lease_due(FAR, 9).is_empty() && queue.lease_letter(first).is_err());
        drop(queue);
        let held = contents(&world.after_cut(world.steps(), Loss::Everything));
        assert_eq!(held[&first].1, b"taken", "step {step}");
    }
}

#[test]
fn a_failure_in_the_middle_of_a_run_takes_nothing_back() {
    let mut seed = 30;
    for step in (5..400).step_by(9) {
        let mut run = Run::new(World::default(), Stories::default(), seed);
        seed += 1;
        run.world.fail_after(step);
        // The run ends where the failure shows; what had been acknowledged is in the stories.
        let acts = std::panic::AssertUnwindSafe(|| run.act(200));
        assert!(std::panic::catch_unwind(acts).is_err(), "step {step}: the failure was not noticed");
        let steps = run.world.steps();
        for loss in [Loss::Everything, Loss::Nothing, Loss::Shreds(seed)] {
            let world = run.world.after_cut(steps, loss);
            run.stories.check(&contents(&world), steps, &format!("failure after step {step}, {loss:?}"));
        }
    }
}

#[test]
fn short_writes_change_nothing() {
    let world = World::default();
    world.shorten_writes(100);
    let queue = open(&world);
    let body: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let id = block_on(accept(&queue, letter(3, 1), &body)).unwrap().unwrap();
    drop(queue);
    let held = contents(&world.after_cut(world.steps(), Loss::Everything));
    assert_eq!(held[&id].1, body);
}

/// Fills the spool until it refuses; gives the refusal and how many letters there are.
fn fill(queue: &Queue) -> (QueueError, usize) {
    let mut taken = 0;
    loop {
        match block_on(accept(queue, letter(1, 0), &[b'x'; 1500])).unwrap() {
            Ok(_) => taken += 1,
            Err(error) => return (error, taken),
        }
        assert!(taken < 10_000, "it takes letters without an end");
    }
}

fn check_full_and_emptied(world: &World, free: impl FnOnce()) {
    let queue = open(world);
    let (error, taken) = fill(&queue);
    assert_eq!((error.reply().code(), error.reply().status()), (452, Some(Status::temporary(3, 1))), "{error}");
    until("a new letter is refused before it is sent", || matches!(queue.begin(), Err(QueueError::Full(_))));
    let held = contents(&world.after_cut(world.steps(), Loss::Everything));
    assert_eq!(held.len(), taken, "letters were lost in a full spool");
    // What ends letters has room all the same.
    block_on(async {
        for lease in queue.lease_due(FAR, usize::MAX) {
            let end = lease.finish(vec![(0, RecipientEnd::Delivered)]).await;
            end.expect("an ending was refused because the spool is full");
        }
    })
    .unwrap();
    assert!(queue.is_empty());
    free();
    until("there is room again", || queue.begin().is_ok());
    assert!(fill(&queue).1 > 0);
}

#[test]
fn a_full_disk_is_refused_with_452_and_recovers() {
    let world = World::default();
    world.limit_space(Some(7 * 8192));
    let freed = world.clone();
    check_full_and_emptied(&world, move || freed.limit_space(Some(9 * 8192)));
}

#[test]
fn the_configured_size_is_refused_with_452_and_recovers() {
    check_full_and_emptied(&World::default(), || {});
}

#[test]
fn an_envelope_that_no_record_holds_is_refused_and_leaves_nothing() {
    let world = World::default();
    let queue = open(&world);
    let error = block_on(async {
        let mut draft = queue.begin()?;
        draft.write(Bytes::from_static(&[0; 5000])).await?;
        draft.commit(letter(50, 1)).await
    });
    let error = error.unwrap().expect_err("fifty recipients in a tiny segment");
    assert!(matches!(error, QueueError::EnvelopeTooLarge { .. }));
    assert_eq!(error.reply().code(), 452);
    assert!(queue.is_empty() && contents(&world).is_empty());
}
