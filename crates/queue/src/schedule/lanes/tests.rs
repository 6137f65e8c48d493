use super::*;

fn unit(order: u64) -> Unit {
    Unit { order, slot: 0, part: 0 }
}

fn drain(lanes: &mut Lanes, cost: u32) -> Vec<u64> {
    std::iter::from_fn(|| lanes.pop(&mut |_| Some(cost))).map(|unit| unit.order).collect()
}

#[test]
fn one_sender_with_a_thousand_letters_does_not_hold_up_another_with_one() {
    let mut lanes = Lanes::default();
    for order in 0..1000 {
        lanes.push(unit(order), Lane::Normal, 2);
    }
    lanes.push(unit(5000), Lane::Normal, 4);
    let order = drain(&mut lanes, 1);
    assert_eq!(order.len(), 1001);
    let at = order.iter().position(|&order| order == 5000).unwrap();
    assert!(at <= 8, "it waited for {at} letters of the other");
    let of_one: Vec<_> = order.iter().filter(|&&order| order < 5000).collect();
    assert!(of_one.is_sorted(), "letters of one sender overtake each other");
}

#[test]
fn huge_letters_get_no_more_of_the_line_than_small_ones() {
    let mut lanes = Lanes::default();
    for order in 0..400 {
        lanes.push(unit(order), Lane::Normal, 2);
        lanes.push(unit(1000 + order), Lane::Normal, 4);
    }
    // Of flow 2 each letter has 1 MiB, of flow 4 16 KiB.
    let price = |unit: Unit| Some(if unit.order < 1000 { cost(1 << 20) } else { cost(16 * 1024 - 1) });
    let first: Vec<_> = (0..330).map(|_| lanes.pop(&mut { price }).unwrap().order).collect();
    let huge = first.iter().filter(|&&order| order < 1000).count();
    assert!((3..=8).contains(&huge), "{huge} huge letters among {}", first.len());
}

#[test]
fn priority_goes_first_and_the_lowest_still_moves() {
    let mut lanes = Lanes::default();
    for order in 0..100 {
        lanes.push(unit(order), Lane::Bulk, 2);
        lanes.push(unit(1000 + order), Lane::High, 2);
        lanes.push(unit(2000 + order), Lane::Normal, 2);
    }
    let first: Vec<_> = (0..80).map(|_| lanes.pop(&mut |_| Some(1)).unwrap().order).collect();
    let high = first.iter().filter(|&&order| (1000..2000).contains(&order)).count();
    let bulk = first.iter().filter(|&&order| order < 1000).count();
    assert_eq!((high, bulk), (70, 10));
}

#[test]
fn what_is_not_to_be_started_any_more_is_passed_over() {
    let mut lanes = Lanes::default();
    for order in 0..5 {
        lanes.push(unit(order), Lane::Normal, 2);
    }
    let next = lanes.pop(&mut |unit| (unit.order == 3).then_some(1));
    assert_eq!(next, Some(unit(3)));
    assert_eq!(drain(&mut lanes, 1), [4]);
    assert!(lanes.is_empty());
}

#[test]
fn the_lane_follows_from_priority_and_recipients() {
    for (priority, recipients, lane) in [
        (0, 1, Lane::Normal),
        (0, 10, Lane::Normal),
        (0, 11, Lane::Bulk),
        (1, 500, Lane::High),
        (9, 1, Lane::High),
        (-1, 1, Lane::Bulk),
    ] {
        assert_eq!(Lane::of(priority, recipients), lane, "{priority} {recipients}");
    }
}
