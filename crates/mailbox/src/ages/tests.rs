use posthouse_runtime::block_on;

use super::*;

const DAY: u64 = 24 * 3600 * 1000;
const KEPT: Duration = Duration::from_hours(30 * 24);

struct World {
    ages: Ages,
    clock: u64,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ages = Ages::open(&folder.path().join("junk.sqlite")).unwrap();
        Self { ages, clock: 1_795_489_923_000, _folder: folder }
    }

    /// A day later by the clock, with the folder filled so far.
    fn day(&mut self, uidnext: u32) -> Option<u32> {
        self.clock += DAY;
        self.look(uidnext)
    }

    fn look(&self, uidnext: u32) -> Option<u32> {
        let junk = JunkState { uidvalidity: 7, uidnext };
        let below = async {
            let passed = self.ages.look(self.clock, Duration::from_hours(12)).await.unwrap()?;
            let below = self.ages.old_below("ALICE", junk, passed, KEPT).await.unwrap();
            self.ages.emptied("ALICE", passed, KEPT).await.unwrap();
            below.map(|uid| uid.0)
        };
        block_on(below).unwrap()
    }

    fn marks(&self) -> i64 {
        self.ages.0.lock().unwrap().query_row("SELECT count(*) FROM mark", [], |row| row.get(0)).unwrap()
    }
}

#[test]
fn a_letter_goes_after_its_time_and_not_before() {
    let mut world = World::new();
    // One letter a day, numbers 1, 2, 3 … from the first day on.
    let mut below = 1;
    for day in 1..=400_u32 {
        below = world.day(day + 1).map_or(below, |now| now.max(below));
        // What has the number n came before the look of day n.
        assert!(below <= (day + 1).saturating_sub(30).max(1), "day {day}: {below} is too early");
        assert!(below + 2 >= (day + 1).saturating_sub(30), "day {day}: {below} is too late");
        assert!(world.marks() <= 17, "day {day}: {}", world.marks());
    }
}

#[test]
fn a_clock_that_jumps_ahead_empties_nothing() {
    let mut world = World::new();
    for day in 1..10 {
        assert_eq!(world.day(day + 1), None);
    }
    world.clock += 3650 * DAY;
    assert_eq!(world.look(11), None);
    // And back again.
    world.clock -= 3650 * DAY;
    assert_eq!(world.look(11), None);
    let days = (1..40).find(|_| world.day(11).is_some()).unwrap();
    assert!((15..=25).contains(&days), "{days}");
}

#[test]
fn a_clock_that_jumps_back_does_not_stop_the_counting() {
    let mut world = World::new();
    assert_eq!(world.day(2), None);
    world.clock -= 3650 * DAY;
    assert_eq!(world.look(2), None);
    assert_eq!((1..=40).find(|_| world.day(2).is_some()), Some(30));
}

#[test]
fn a_folder_that_was_made_anew_is_not_measured_by_the_old_one() {
    let mut world = World::new();
    world.day(100);
    world.clock += DAY;
    let junk = JunkState { uidvalidity: 8, uidnext: 3 };
    block_on(async {
        let passed = world.ages.look(world.clock, Duration::ZERO).await.unwrap().unwrap();
        world.ages.old_below("ALICE", junk, passed, KEPT).await.unwrap();
    })
    .unwrap();
    assert_eq!(world.marks(), 1);
}

#[test]
fn looks_that_come_too_early_count_nothing() {
    let world = World::new();
    assert!(block_on(world.ages.look(1_000, Duration::from_secs(1))).unwrap().unwrap().is_some());
    assert!(block_on(world.ages.look(1_999, Duration::from_secs(1))).unwrap().unwrap().is_none());
    assert!(block_on(world.ages.look(2_000, Duration::from_secs(1))).unwrap().unwrap().is_some());
}

#[test]
fn accounts_that_are_gone_leave_no_marks() {
    let mut world = World::new();
    world.day(2);
    block_on(world.ages.only(vec!["BOB".to_owned()])).unwrap().unwrap();
    assert_eq!(world.marks(), 0);
}
