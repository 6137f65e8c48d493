use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

#[test]
fn a_crowded_host_turns_letters_away_and_others_are_free() {
    posthouse_runtime::block_on(async {
        let pool = Pool::new(2, 1, Duration::ZERO);
        let first = pool.place("a.test").await.unwrap();
        let _second = pool.place("a.test").await.unwrap();
        // Two have a place and two wait; the fifth is turned away.
        let mut context = Context::from_waker(Waker::noop());
        let (mut third, mut fourth) = (pin!(pool.place("a.test")), pin!(pool.place("a.test")));
        assert!(third.as_mut().poll(&mut context).is_pending() && fourth.as_mut().poll(&mut context).is_pending());
        assert!(pool.place("a.test").await.is_none());
        assert!(pool.place("b.test").await.is_some());
        drop(first);
        assert!(matches!(third.as_mut().poll(&mut context), Poll::Ready(Some(_))));
    })
    .unwrap();
}

#[test]
fn hosts_that_are_done_with_are_forgotten() {
    posthouse_runtime::block_on(async {
        let pool = Pool::new(2, 1, Duration::ZERO);
        let kept = pool.place("kept.test").await;
        for n in 0..HOSTS_REMEMBERED_MAX * 3 {
            assert!(pool.place(&format!("h{n}.test")).await.is_some());
        }
        let state = pool.state();
        assert!(state.places.len() <= HOSTS_REMEMBERED_MAX && state.places.contains_key("kept.test"));
        drop(kept);
    })
    .unwrap();
}
