use posthouse_mail::{Address, Status};

use super::*;

fn states(n: usize) -> Vec<RecipientState> {
    let address: Address = "a@example.org".parse().unwrap();
    vec![RecipientState::new(address.into(), UnixMillis(10)); n]
}

fn retry(at: u64) -> RecipientEnd {
    RecipientEnd::Retry { at: UnixMillis(at), last: Reply::new(450, Status::temporary(2, 2), "full") }
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
