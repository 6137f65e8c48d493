use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::clock;

#[test]
fn what_is_started_on_a_worker_stays_on_its_thread() {
    let workers = Workers::start(2).unwrap();
    let (report, reports) = mpsc::channel();
    for index in 0..4 {
        let report = report.clone();
        workers.spawn_on(index, move || async move {
            // Not `Send`: it could not be moved to another thread.
            let here = Rc::new(thread::current().id());
            let (done, ended) = oneshot::channel();
            let spawned = crate::task::spawn("inner", async move {
                let _ = done.send(thread::current().id());
            });
            let inner = ended.await.unwrap();
            spawned.join().await;
            report.send((index, *here, inner, thread::current().id())).unwrap();
        });
    }
    let mut seen: Vec<_> = (0..4).map(|_| reports.recv().unwrap()).collect();
    seen.sort_by_key(|(index, ..)| *index);
    for (_, before, inner, after) in &seen {
        assert_eq!(before, inner);
        assert_eq!(before, after);
    }
    assert_eq!(seen[0].1, seen[2].1, "indices count round");
    assert_ne!(seen[0].1, seen[1].1);
    assert_ne!(seen[0].1, thread::current().id());
}

#[test]
fn stopping_drops_what_still_runs() {
    struct Dropped(mpsc::Sender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let workers = Workers::start(1).unwrap();
    let (dropped, drops) = mpsc::channel();
    let (started, starts) = mpsc::channel();
    workers.spawn_on(0, move || async move {
        let _held = Dropped(dropped);
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    starts.recv().unwrap();
    workers.stop();
    drops.try_recv().unwrap();
}

#[test]
fn a_panic_leaves_the_worker_running() {
    let workers = Workers::start(1).unwrap();
    let (report, reports) = mpsc::channel();
    workers.spawn_on(0, || async { panic!("on purpose") });
    workers.spawn_on(0, move || async move { report.send(()).unwrap() });
    reports.recv().unwrap();
}

#[test]
fn a_worker_that_is_stuck_is_noticed() {
    let workers = Workers::start(2).unwrap();
    let (go_on, stuck) = std::sync::mpsc::channel::<()>();
    crate::block_on(async {
        clock::timeout(Duration::from_secs(30), workers.turn()).await.unwrap();
        let (begun, has_begun) = oneshot::channel();
        workers.spawn_on(1, move || async move {
            begun.send(()).unwrap();
            // Blocks the thread, as no task may.
            let _ = stuck.recv();
        });
        has_begun.await.unwrap();
        clock::timeout(Duration::from_millis(50), workers.turn()).await.unwrap_err();
        drop(go_on);
        clock::timeout(Duration::from_secs(30), workers.turn()).await.unwrap();
    })
    .unwrap();
}

#[test]
fn connections_that_all_come_to_one_worker_are_shared_out() {
    let workers = Workers::start(3).unwrap();
    let balance = workers.balance();
    let mut places: Vec<_> = (0..12).map(|_| balance.place(1)).collect();
    let on = |places: &[Place], worker| places.iter().filter(|place| place.worker() == worker).count();
    assert_eq!([0, 1, 2].map(|worker| on(&places, worker)), [4, 4, 4]);
    // Those that have ended make room.
    places.retain(|place| place.worker() != 2);
    places.extend((0..5).map(|_| balance.place(0)));
    assert_eq!([0, 1, 2].map(|worker| on(&places, worker)), [5, 4, 4]);
    // Where many are only a little uneven they stay where they came.
    places.extend((0..287).map(|_| balance.place(0)));
    assert_eq!(on(&places, 1), on(&places, 2));
    assert!((1..=12).contains(&(on(&places, 0) - on(&places, 1))), "{} and {}", on(&places, 0), on(&places, 1));
}

#[test]
fn what_is_placed_elsewhere_runs_there() {
    let workers = Workers::start(2).unwrap();
    let balance = workers.balance();
    let (report, reports) = mpsc::channel();
    let places = [balance.place(0), balance.place(0)];
    assert_eq!(places.each_ref().map(Place::worker), [0, 1]);
    for place in places {
        let report = report.clone();
        place.spawn(move |place| async move {
            report.send((place.worker(), thread::current().name().map(str::to_owned))).unwrap();
        });
    }
    for _ in 0..2 {
        let (worker, thread) = reports.recv().unwrap();
        assert_eq!(thread, Some(format!("worker-{worker}")));
    }
}
