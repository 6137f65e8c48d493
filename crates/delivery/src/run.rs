//! The loop: leases letters as they come due and sees each through one round of attempts.
//!
//! A letter leaves the queue by [`Lease::finish`] alone. Whatever fails here, a panic included, drops the lease, and the letter is due again.

use std::sync::Arc;

use posthouse_queue::Lease;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::sync::Semaphore;
use posthouse_runtime::task::{self, Task};
use posthouse_runtime::{clock, select};

use crate::context::Context;
use crate::courier::{local, remote};
use crate::outcome::Attempt;
use crate::settle;
use crate::sort::{self, Sorted};
use crate::way::Way;

/// Delivers until `shutdown`, then waits for what is under way, within the time set.
pub async fn run(context: Context, way: Way, shutdown: Shutdown) {
    let places = Arc::new(Semaphore::new(context.settings.concurrency_max));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let lease = select! {
            lease = context.queue.lease() => lease,
            () = shutdown.requested() => break,
        };
        let (context, way) = (context.clone(), way.clone());
        task::spawn("delivery", async move {
            let _place = place;
            round(&context, &way, lease).await;
        });
    }
    let all = u32::try_from(context.settings.concurrency_max).unwrap_or(u32::MAX);
    if clock::timeout(context.settings.stop_timeout.0, places.acquire_many(all)).await.is_err() {
        tracing::warn!("deliveries under way are left: their letters stay queued and are tried again");
    }
}

/// One round: each recipient that is due is tried once.
pub async fn round(context: &Context, way: &Way, lease: Lease) {
    let lease = Arc::new(lease);
    let sorted = sort::sort(context, way, &lease).await;
    let attempts = attempt(context, way, &lease, sorted).await;
    // Each task has given its share back by now, or panicked with it.
    let Some(lease) = Arc::into_inner(lease) else {
        tracing::error!("a delivery ended while its letter was still in use; the letter is tried again");
        return;
    };
    settle::settle(context, lease, attempts).await;
}

async fn attempt(context: &Context, way: &Way, lease: &Arc<Lease>, sorted: Sorted) -> Vec<Attempt> {
    let mut attempts = sorted.over;
    for (index, account) in sorted.local {
        attempts.push(local::deliver(context, lease, index, &account).await);
    }
    let mut groups = sorted.remote.into_iter();
    // The last group needs no task of its own; most letters have one.
    let Some((first, indexes)) = groups.next() else { return attempts };
    let (sender, mut results) = posthouse_runtime::sync::mpsc::unbounded_channel();
    let others: Vec<Task> = groups
        .map(|(destination, indexes)| {
            let (context, way, lease, sender) = (context.clone(), way.clone(), Arc::clone(lease), sender.clone());
            task::spawn("courier", async move {
                let attempts = remote::deliver(&context, &way, &lease, destination, indexes).await;
                drop(lease);
                // The receiver waits for every sender.
                let _received = sender.send(attempts);
            })
        })
        .collect();
    drop(sender);
    attempts.extend(remote::deliver(context, way, lease, first, indexes).await);
    while let Some(more) = results.recv().await {
        attempts.extend(more);
    }
    for task in others {
        task.join().await;
    }
    attempts
}
