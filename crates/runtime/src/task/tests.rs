use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::block_on;

#[test]
fn a_panic_in_a_task_ends_that_task_alone() {
    block_on(async {
        let broken = spawn("broken", async { panic!("on purpose") });
        broken.join().await;
        let well = spawn("well", async {});
        well.join().await;
    })
    .unwrap();
}

#[test]
fn a_panic_in_blocking_work_reaches_who_waits_for_it() {
    let caught = catch_unwind(AssertUnwindSafe(|| block_on(blocking(|| panic!("on purpose"))).unwrap()));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
}

#[test]
fn blocking_work_is_bounded() {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    block_on(async {
        let (done, mut all) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..processors() * 40 {
            let done = done.clone();
            let _ = spawn("work", async move {
                blocking(|| {
                    MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    RUNNING.fetch_sub(1, Ordering::SeqCst);
                })
                .await;
                done.send(()).unwrap();
            });
        }
        drop(done);
        let mut ended = 0;
        while all.recv().await.is_some() {
            ended += 1;
        }
        assert_eq!(ended, processors() * 40);
    })
    .unwrap();
    assert!(MOST.load(Ordering::SeqCst) <= processors() * 4, "{MOST:?} at once");
}

#[test]
fn a_panic_in_the_background_reaches_who_waits_for_it_and_ends_no_thread() {
    for _ in 0..processors() * 2 {
        let caught = catch_unwind(AssertUnwindSafe(|| block_on(background(|| panic!("on purpose"))).unwrap()));
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
    }
    assert_eq!(block_on(background(|| 7)).unwrap(), 7);
}

#[test]
fn work_in_the_background_is_nice() {
    let said = || std::fs::read_to_string("/proc/thread-self/stat").map(|stat| niceness_and_policy(&stat));
    let (here, there) = (said().unwrap(), block_on(background(said)).unwrap().unwrap());
    // SCHED_OTHER and SCHED_BATCH.
    assert_eq!((here.1, there), (0, (10, 3)));
    assert!(here.0 < 10, "{here:?}");
}

/// The 19th and the 41st field (proc_pid_stat(5)); the name before them may hold anything.
fn niceness_and_policy(stat: &str) -> (i32, i32) {
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[16].parse().unwrap(), fields[38].parse().unwrap())
}

#[test]
fn work_in_the_background_that_nobody_waits_for_any_more_is_not_begun() {
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    block_on(async {
        let (stop, held) = (Arc::new(std::sync::Barrier::new(background::at_once() + 1)), background::at_once());
        for _ in 0..held {
            let stop = Arc::clone(&stop);
            let _ = spawn("held", async move {
                background(move || {
                    BEGUN.fetch_add(1, Ordering::SeqCst);
                    stop.wait();
                })
                .await;
            });
        }
        while BEGUN.load(Ordering::SeqCst) < held {
            tokio::task::yield_now().await;
        }
        let given_up = spawn("given up", async {
            background(|| BEGUN.fetch_add(1, Ordering::SeqCst)).await;
        });
        tokio::task::yield_now().await;
        given_up.abort();
        given_up.join().await;
        stop.wait();
        background(|| ()).await;
        assert_eq!(BEGUN.load(Ordering::SeqCst), held);
    })
    .unwrap();
}

#[test]
fn those_who_leave_once_their_work_has_begun_keep_their_turn() {
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    block_on(async {
        let stop = Arc::new(std::sync::Barrier::new(background::at_once() + 1));
        for _ in 0..background::at_once() {
            let stop = Arc::clone(&stop);
            let leaves = spawn("leaves", async move {
                background(move || {
                    BEGUN.fetch_add(1, Ordering::SeqCst);
                    stop.wait();
                })
                .await;
            });
            let before = BEGUN.load(Ordering::SeqCst);
            while BEGUN.load(Ordering::SeqCst) == before {
                tokio::task::yield_now().await;
            }
            leaves.abort();
            leaves.join().await;
        }
        assert_eq!(background::TURNS.available_permits(), 0);
        stop.wait();
        background(|| ()).await;
    })
    .unwrap();
}

#[test]
fn an_aborted_task_comes_to_an_end() {
    block_on(async {
        let waiting = spawn("waiting", std::future::pending());
        waiting.abort();
        waiting.join().await;
    })
    .unwrap();
}

#[test]
fn what_runs_side_by_side_waits_for_each_other_and_keeps_its_order() {
    let results = block_on(async {
        let gate = tokio::sync::Barrier::new(4);
        let gate = &gate;
        // Four at a time, and each of four waits for the other three; the last first.
        let futures = (0..16).map(|number| async move {
            for _ in 0..number % 3 {
                tokio::task::yield_now().await;
            }
            gate.wait().await;
            number
        });
        side_by_side(futures, 4).await
    });
    assert_eq!(results.unwrap(), (0..16).collect::<Vec<_>>());
}

#[test]
fn no_more_run_side_by_side_than_may() {
    static RUNNING_HERE: AtomicUsize = AtomicUsize::new(0);
    static MOST_HERE: AtomicUsize = AtomicUsize::new(0);
    block_on(async {
        let futures = (0..100).map(|_| async {
            MOST_HERE.fetch_max(RUNNING_HERE.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            RUNNING_HERE.fetch_sub(1, Ordering::SeqCst);
        });
        assert_eq!(side_by_side(futures, 7).await.len(), 100);
        assert!(side_by_side(Vec::<std::future::Ready<()>>::new(), 7).await.is_empty());
    })
    .unwrap();
    assert_eq!(MOST_HERE.load(Ordering::SeqCst), 7);
}
