use posthouse_mail::{Address, Status};

use super::*;

fn states(n: usize) -> Vec<RecipientState> {
    let address: Address = "a@example.org".parse().unwrap();
    vec![RecipientState::new(address.into(), UnixMillis(10)); n]
}

fn retry(at: u64) -> RecipientEnd {
    RecipientEnd::Retry { at: UnixMillis(at), last: Reply::new(450, Status::temporary(2, 2), "full"), warned: false }
}

#[test]
fn what_has_ended_is_not_brought_back() {
    let mut states = states(1);
    apply(&mut states, vec![(0, RecipientEnd::Failed), (0, retry(99)), (0, RecipientEnd::Delivered)]);
    assert_eq!((states[0].state, states[0].attempts), (DeliveryState::Failed, 1));
    assert_eq!(next_due(&states), None);
}

#[test]
fn a_letter_is_due_when_the_first_of_its_recipients_is() {
    let mut states = states(3);
    apply(&mut states, vec![(0, retry(50)), (1, retry(40)), (2, RecipientEnd::Delivered), (3, retry(1))]);
    assert_eq!(next_due(&states), Some(UnixMillis(40)));
    assert!(states[1].is_due(UnixMillis(40)) && !states[0].is_due(UnixMillis(40)) && !states[2].is_due(UnixMillis(40)));
    assert_eq!(states[0].attempts, 1);
}

#[test]
fn an_operators_removal_is_no_attempt() {
    let mut states = states(1);
    apply(&mut states, vec![(0, RecipientEnd::Removed)]);
    assert_eq!((states[0].state, states[0].attempts), (DeliveryState::Removed, 0));
}

#[test]
fn a_warning_is_no_attempt_and_changes_nothing_else() {
    let mut states = states(1);
    apply(&mut states, vec![(0, retry(50)), (0, RecipientEnd::Warned)]);
    let RecipientState { attempts, state, last, warned, .. } = &states[0];
    assert_eq!((*attempts, *state, *warned), (1, DeliveryState::Pending { next: UnixMillis(50) }, true));
    assert!(last.is_some());
}

#[test]
fn a_letter_has_one_part_for_each_domain_in_the_order_they_come() {
    let to = |addresses: &[&str]| addresses.iter().map(|to| to.parse::<Address>().unwrap().into()).collect::<Vec<Recipient>>();
    let facts = |addresses: &[&str]| {
        let envelope = Envelope::new(posthouse_mail::ReversePath::NULL, to(addresses));
        Facts::of(&Letter { envelope, arrived: UnixMillis(1), origin: Origin::default() }, &Sources::default())
    };
    let one = facts(&["a@one.test", "b@one.test"]);
    assert_eq!((one.destinations.len(), one.part_of(0), one.part_of(1)), (1, 0, 0));
    let mixed = facts(&["a@one.test", "b@two.test", "c@ONE.test", "d@three.test"]);
    let names: Vec<_> = mixed.destinations.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["one.test", "two.test", "three.test"]);
    assert_eq!([0, 1, 2, 3].map(|recipient| mixed.part_of(recipient)), [0, 1, 0, 2]);
}

#[test]
fn a_part_is_due_with_the_first_of_its_recipients_and_late_when_all_were_told() {
    let at = |at| Some(UnixMillis(at));
    let recipients = [(at(9), true), (at(3), true), (at(5), false), (None, false)];
    assert_eq!(stands(recipients.into_iter(), 3, &[0, 1, 0, 2]), [(at(5), false), (at(3), true), (None, true)]);
}
