//! The disk fails, is full, or writes less than it was given.

use std::sync::Arc;

use bytes::Bytes;
use posthouse_mail::Status;
use posthouse_runtime::block_on;

use crate::storage::fault::{Fault, Loss, World};
use crate::{Queue, QueueError, RecipientEnd, Settings};

use super::story::{FAR, Run, Stories, TINY, accept, contents, lease_due, letter, retry, until};

fn open(world: &World) -> Queue {
    Queue::open_on(Arc::new(world.clone()), TINY, Settings::default()).unwrap().0
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
        // The first to notice may be the thread that makes segments: then there is no room for letters, and nothing has been written.
        assert!(matches!(error, QueueError::Failed(_) | QueueError::Full(_)), "{error}");
        let finished = block_on(lease.finish(vec![(0, RecipientEnd::Delivered)])).unwrap();
        assert!(matches!(finished, Err(QueueError::Failed(_))), "step {step}: {finished:?}");
        let error = queue.begin().expect_err("the log has failed");
        assert!(matches!(error, QueueError::Failed(_)), "{error}");
        assert_eq!((error.reply().code(), error.reply().status()), (421, Some(Status::temporary(3, 0))));
        assert!(lease_due(&queue, FAR).is_empty() && queue.lease_letter(first).is_err());
        drop(queue);
        let held = contents(&world.after_cut(world.steps(), Loss::Everything));
        assert_eq!(held[&first].1, b"taken", "step {step}");
    }
}

/// One step of a run meets a fault, and the rest of the disk is well or is not. What was acknowledged stays, also through the next
/// life, which sees a page cache that may be better than the disk, and a power cut in that.
fn check_fault_at(step: usize, fault: Fault, lasting: bool) -> bool {
    let seed = 30 + u64::try_from(step).unwrap();
    let world = World::default();
    world.fault_after(step, fault, lasting);
    let Ok(mut run) = Run::try_new(world.clone(), Stories::default(), seed) else {
        // It says so and is not served; there is nothing to lose yet.
        return world.has_failed();
    };
    let ended = run.try_act(60);
    let met = run.world.has_failed();
    let when = format!("{fault:?} at step {step}, lasting: {lasting}");
    if let Err(error) = &ended {
        assert!(met && matches!(error, QueueError::Failed(_)), "{when}: {error}");
        until(&when, || matches!(run.queue.begin(), Err(QueueError::Failed(_))) && lease_due(&run.queue, FAR).is_empty());
    }
    let steps = run.world.steps();
    for at_failure in [Loss::Everything, Loss::Shreds(seed)] {
        let mut replay = run.world.replay(at_failure);
        replay.advance_to(steps);
        for loss in [Loss::Everything, Loss::Nothing, Loss::Shreds(seed)] {
            run.stories.check(&contents(&replay.world(loss)), steps, &format!("{when}, then {loss:?}"));
        }
    }
    let held = contents(&run.world.after_kill(steps, false));
    run.stories.check(&held, steps, &format!("{when}, in the page cache"));
    let mut second = Run::new(run.world.after_kill(steps, false), run.stories.clone(), seed + 1);
    let opened = second.world.steps();
    second.stories = run.stories.found(&held, opened);
    second.act(6);
    let later_steps = second.world.steps();
    let mut replay = second.world.replay(if step.is_multiple_of(2) { Loss::Everything } else { Loss::Shreds(seed) });
    for later in steps..=later_steps {
        replay.advance_to(later);
        for loss in [Loss::Everything, Loss::Shreds(seed)] {
            let when = format!("{when}, opened again at {opened}, cut at {later} of {later_steps}, {loss:?}");
            second.stories.check(&contents(&replay.world(loss)), later, &when);
        }
    }
    met
}

#[test]
fn a_fault_at_any_step_takes_nothing_back() {
    for (fault, lasting) in
        [(Fault::Eio, false), (Fault::Eio, true), (Fault::Enospc, false), (Fault::Enospc, true), (Fault::Short, false)]
    {
        let met = (0..220).filter(|&step| check_fault_at(step, fault, lasting)).count();
        assert!(met > 100, "{fault:?} was met {met} times only: the run is too short");
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
        for lease in lease_due(&queue, FAR) {
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

#[test]
fn a_read_that_fails_at_the_start_is_said_and_loses_nothing() {
    let mut run = Run::new(World::default(), Stories::default(), 5);
    run.act(150);
    let steps = run.world.steps();
    let mut failed = 0;
    for read in 0.. {
        let world = run.world.after_cut(steps, Loss::Nothing);
        world.fail_read_after(read);
        let opened = Queue::open_on(Arc::new(world.clone()), TINY, Settings::default());
        if !world.read_has_failed() {
            break;
        }
        failed += 1;
        assert!(matches!(opened, Err(QueueError::Io { .. })), "read {read}: {opened:?}");
        run.stories.check(&contents(&world), steps, &format!("read {read} failed"));
    }
    assert!(failed > 10, "{failed} reads");
}

#[test]
fn a_read_that_fails_while_serving_loses_nothing() {
    for read in 0..120 {
        let mut run = Run::new(World::default(), Stories::default(), 6);
        run.act(100);
        run.world.fail_read_after(read);
        let ids: Vec<_> = run.queue.list().into_iter().map(|listed| listed.id).collect();
        // Many more letters come and go, so that what stays is copied about; one that could not be read is put off.
        for mark in 0..120 {
            let id = block_on(accept(&run.queue, letter(1, mark), &[b'z'; 400])).unwrap().unwrap();
            let lease = run.queue.lease_letter(id).or_else(|_| lease_due(&run.queue, FAR).pop().ok_or(QueueError::Gone(id)));
            let Some(lease) = lease.ok().filter(|lease| !ids.contains(&lease.id())) else { continue };
            block_on(lease.finish(vec![(0, RecipientEnd::Delivered)])).unwrap().unwrap();
        }
        assert!(run.world.read_has_failed(), "read {read} was never made");
        let left: Vec<_> = run.queue.list().into_iter().map(|listed| listed.id).collect();
        let lost: Vec<_> = ids.iter().filter(|id| !left.contains(id)).collect();
        assert!(lost.is_empty(), "read {read} failed once, and {lost:?} are lost");
    }
}

/// Each start takes a segment of its own, and one kept back is soon used up.
#[test]
fn a_full_spool_ends_letters_however_often_it_is_opened() {
    for disk_full in [false, true] {
        let world = World::default();
        world.limit_space(disk_full.then_some(9 * 8192));
        let mut left = fill(&open(&world)).1;
        while left > 0 {
            let queue = open(&world);
            let lease = lease_due(&queue, FAR).pop().unwrap();
            let end = block_on(lease.finish(vec![(0, RecipientEnd::Delivered)])).unwrap();
            assert_eq!(end, Ok(()), "disk full: {disk_full}, with {left} letters left");
            left -= 1;
        }
    }
}

#[test]
fn a_disk_that_becomes_full_leaves_room_for_the_ends_of_letters() {
    for octets in (0..12).map(|n| n * 4096) {
        let world = World::default();
        let queue = open(&world);
        let ids: Vec<_> = (0..5).map(|mark| block_on(accept(&queue, letter(1, mark), &[b'x'; 1500])).unwrap().unwrap()).collect();
        // Somebody else takes the rest.
        world.limit_space(Some(world.size() + octets));
        fill(&queue);
        for id in ids {
            let end = block_on(queue.lease_letter(id).unwrap().finish(vec![(0, retry(1))])).unwrap();
            assert_eq!(end, Ok(()), "with {octets} octets more");
        }
        block_on(async {
            for lease in lease_due(&queue, FAR) {
                assert_eq!(lease.finish(vec![(0, RecipientEnd::Delivered)]).await, Ok(()), "with {octets} octets more");
            }
        })
        .unwrap();
    }
}
