//! The power goes at every step of a run. Whatever the disk made of what was not synced: each acknowledged letter is there, whole and
//! in an acknowledged state, none that was done is back, none is there by half.

use crate::storage::fault::{Loss, World};

use super::story::{Run, Stories, contents};

fn losses(cut: usize) -> [Loss; 3] {
    let seed = u64::try_from(cut).unwrap();
    let rotating = [Loss::Nothing, Loss::Tail, Loss::Head, Loss::Sectors(seed)];
    [Loss::Everything, rotating[cut % rotating.len()], Loss::Shreds(seed)]
}

#[test]
fn power_cut_at_every_step() {
    let mut run = Run::new(World::default(), Stories::default(), 7);
    run.act(400);
    let steps = run.world.steps();
    let names = crate::storage::Storage::list(&run.world).unwrap();
    assert!(names.iter().any(|name| name.starts_with("cold-")), "the run never came to the cold log: {names:?}");
    for cut in 0..=steps {
        for loss in losses(cut) {
            let world = run.world.after_cut(cut, loss);
            run.stories.check(&contents(&world), cut, &format!("cut at {cut} of {steps}, {loss:?}"));
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
            second.act(60);
            let later_steps = second.world.steps();
            for later in (0..=later_steps).step_by(7) {
                for later_loss in losses(later) {
                    let world = second.world.after_cut(later, later_loss);
                    let when = format!("cut at {cut}, {loss:?}, then at {later} of {later_steps}, {later_loss:?}");
                    second.stories.check(&contents(&world), later, &when);
                }
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
