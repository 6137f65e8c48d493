//! The power goes at every step of a run. Whatever the disk made of what was not synced: each acknowledged letter is there, whole and
//! in an acknowledged state, none that was done is back, none is there by half.
//!
//! A process that is killed is another thing: what it wrote is in the page cache, seen by the next life and yet not on the disk. So
//! the power also goes in a life that follows a kill.

use crate::storage::Storage;
use crate::storage::fault::{Loss, World};

use super::story::{Run, Stories, contents};

/// With so few sectors at stake every outcome is tried.
const ALL_OUTCOMES_UP_TO: usize = 4;

fn losses(cut: usize) -> [Loss; 3] {
    let seed = u64::try_from(cut).unwrap();
    let rotating = [Loss::Nothing, Loss::Tail, Loss::Head, Loss::Sectors(seed), Loss::Slices(0), Loss::Slices(1)];
    [Loss::Everything, rotating[cut % rotating.len()], Loss::Shreds(seed)]
}

/// Every outcome where there are few, and many where not.
fn all_losses(cut: usize, at_stake: usize) -> Vec<Loss> {
    let seed = u64::try_from(cut).unwrap() << 8;
    let mut all = vec![Loss::Everything, Loss::Nothing, Loss::Tail, Loss::Head, Loss::Slices(0), Loss::Slices(1)];
    if at_stake <= ALL_OUTCOMES_UP_TO {
        all.extend((0..1 << at_stake).map(Loss::Chosen));
    } else {
        all.extend((0..6).map(|n| Loss::Sectors(seed + n)));
        // The disk was quick with all but one sector, or with one alone.
        all.extend(
            (0..at_stake.min(63)).step_by(at_stake.div_ceil(8)).flat_map(|n| [Loss::Chosen(1 << n), Loss::Chosen(!(1 << n))]),
        );
    }
    all.extend((0..4).map(|n| Loss::Shreds(seed + n)));
    all
}

#[test]
fn power_cut_at_every_step() {
    let mut run = Run::new(World::default(), Stories::default(), 7);
    run.act(400);
    let steps = run.world.steps();
    let names = run.world.list().unwrap();
    assert!(names.iter().any(|name| name.starts_with("cold-")), "the run never came to the cold log: {names:?}");
    let mut replay = run.world.replay(Loss::Everything);
    for cut in 0..=steps {
        replay.advance_to(cut);
        for loss in all_losses(cut, replay.at_stake()) {
            run.stories.check(&contents(&replay.world(loss)), cut, &format!("cut at {cut} of {steps}, {loss:?}"));
        }
    }
}

#[test]
fn power_cut_in_a_second_life() {
    let mut first = Run::new(World::default(), Stories::default(), 11);
    first.act(300);
    let steps = first.world.steps();
    for cut in (3..steps).step_by(steps / 24) {
        for loss in losses(cut) {
            let world = first.world.after_cut(cut, loss);
            // What recovery changes is part of the second life: it is cut as well.
            let held = contents(&first.world.after_cut(cut, loss));
            let stories = first.stories.after(&held);
            let mut second = Run::new(world, stories, 13);
            let opened = second.world.steps();
            second.act(60);
            let later_steps = second.world.steps();
            let mut replay = second.world.replay(Loss::Everything);
            for later in (0..=later_steps).filter(|later| *later <= opened || later % 7 == 0) {
                replay.advance_to(later);
                for later_loss in losses(later) {
                    let when = format!("cut at {cut}, {loss:?}, then at {later} of {later_steps}, {later_loss:?}");
                    second.stories.check(&contents(&replay.world(later_loss)), later, &when);
                }
            }
        }
    }
}

/// What recovery relies on may be in the page cache alone.
#[test]
fn power_cut_after_a_kill() {
    let mut first = Run::new(World::default(), Stories::default(), 17);
    first.act(110);
    let steps = first.world.steps();
    for cut in 0..=steps {
        let torn = cut % 2 == 1;
        let held = contents(&first.world.after_kill(cut, torn));
        let stories = first.stories.until(cut);
        // A write that is torn was not acknowledged, but it may be the last step of one that was: then nothing of it is missing.
        stories.check(&held, cut, &format!("killed at {cut} of {steps}"));
        let mut second = Run::new(first.world.after_kill(cut, torn), Stories::default(), 19);
        let opened = second.world.steps();
        second.stories = stories.found(&held, opened);
        second.act(7);
        let later_steps = second.world.steps();
        let mut replay = second.world.replay(Loss::Everything);
        for later in cut..=later_steps {
            replay.advance_to(later);
            for loss in losses(later) {
                let when = format!("killed at {cut}, opened at {opened}, power cut at {later} of {later_steps}, {loss:?}");
                second.stories.check(&contents(&replay.world(loss)), later, &when);
            }
        }
    }
}

/// The hazards of `docs/design/queue.md`: a Done that leaves the disk before the letter it ended.
#[test]
fn done_letters_stay_done_through_many_lives() {
    let mut world = World::default();
    let mut stories = Stories::default();
    for life in 1..12 {
        let mut run = Run::new(world, stories, life);
        run.act(120);
        let steps = run.world.steps();
        let loss = losses(steps)[usize::try_from(life % 3).unwrap()];
        world = run.world.after_cut(steps, loss);
        let held = contents(&run.world.after_cut(steps, loss));
        run.stories.check(&held, steps, &format!("life {life}, {loss:?}"));
        stories = run.stories.after(&held);
    }
}
