use std::time::Duration;

use super::*;
use crate::{block_on, clock};

#[test]
fn what_was_asked_before_anybody_listened_is_still_heard() {
    let (trigger, shutdown) = channel();
    assert!(!shutdown.is_requested());
    trigger.fire();
    trigger.fire();
    drop(trigger);
    assert!(shutdown.is_requested());
    block_on(shutdown.clone().requested()).unwrap();
}

#[test]
fn a_trigger_dropped_without_firing_asks_for_nothing() {
    let (trigger, shutdown) = channel();
    drop(trigger);
    let waited = block_on(clock::timeout(Duration::from_millis(1), shutdown.requested())).unwrap();
    assert_eq!(waited, Err(clock::Elapsed));
}
