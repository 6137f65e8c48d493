use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

#[test]
fn a_crowded_host_makes_its_letters_wait_and_others_are_free() {
    posthouse_runtime::block_on(async {
        let places = Places::new(4, 2);
        let first = places.at("a.test").await.unwrap();
        let _second = places.at("a.test").await.unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut third = pin!(places.at("a.test"));
        assert!(third.as_mut().poll(&mut context).is_pending());
        assert!(places.at("b.test").await.is_some());
        drop(first);
        assert!(matches!(third.as_mut().poll(&mut context), Poll::Ready(Some(_))));
    })
    .unwrap();
}

#[test]
fn one_slow_host_cannot_take_all_the_room_to_wait() {
    posthouse_runtime::block_on(async {
        let places = Places::new(1, 1);
        let _held = places.at("slow.test").await.unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = Vec::new();
        for _ in 0..places.letters_max() {
            let mut one = Box::pin(places.at("slow.test"));
            assert!(one.as_mut().poll(&mut context).is_pending());
            waiting.push(one);
        }
        let in_line = places.letters_max() / 2;
        assert_eq!(places.host("slow.test").line.available_permits(), 0);
        assert!(in_line < places.letters_max());
    })
    .unwrap();
}

#[test]
fn hosts_that_are_done_with_are_forgotten() {
    posthouse_runtime::block_on(async {
        let places = Places::new(2, 2);
        let kept = places.at("kept.test").await;
        for n in 0..HOSTS_REMEMBERED_MAX * 3 {
            assert!(places.at(&format!("h{n}.test")).await.is_some());
        }
        let hosts = places.0.hosts.lock().unwrap();
        assert!(hosts.len() <= HOSTS_REMEMBERED_MAX && hosts.contains_key("kept.test"));
        drop(kept);
    })
    .unwrap();
}

#[test]
fn nobody_is_let_in_once_the_server_stops() {
    posthouse_runtime::block_on(async {
        let places = Places::new(1, 1);
        let carried = places.at("a.test").await.unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = pin!(places.at("a.test"));
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        places.close();
        drop(carried);
        assert!(waiting.await.is_none());
        assert!(places.here().await.is_none());
    })
    .unwrap();
}
