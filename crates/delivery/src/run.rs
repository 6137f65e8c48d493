//! The loop: leases letters as they come due and sees each through one round of attempts.
//!
//! A letter leaves the queue by [`Lease::finish`] alone. Whatever fails here, a panic included, drops the lease, and the letter is due again.

use std::sync::Arc;

use posthouse_mail::UnixMillis;
use posthouse_queue::Lease;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::sync::{Semaphore, mpsc};
use posthouse_runtime::task::{self, Task};
use posthouse_runtime::{clock, select};

use crate::context::{Context, now};
use crate::courier::{alias, local, remote};
use crate::outcome::Attempt;
use crate::parcel::Parcel;
use crate::settle::Settlement;
use crate::sort::{self, Sorted};
use crate::way::{Destination, Way};

/// Delivers until `shutdown`, then waits for what is under way, within the time set.
pub async fn run(context: Context, way: Way, shutdown: Shutdown) {
    if context.settings.concurrency_max == 0 {
        tracing::warn!("delivery is held: `concurrency-max` is 0, so letters stay queued");
        return shutdown.requested().await;
    }
    let letters_max = way.places().letters_max();
    let letters = Arc::new(Semaphore::new(letters_max));
    loop {
        let room = select! {
            room = Arc::clone(&letters).acquire_owned() => room,
            () = shutdown.requested() => break,
        };
        let Ok(room) = room else { return };
        let lease = select! {
            lease = context.queue.lease() => lease,
            () = shutdown.requested() => break,
        };
        let (context, way) = (context.clone(), way.clone());
        task::spawn("delivery", async move {
            let _room = room;
            round(&context, &way, lease, now()).await;
        });
    }
    // Who waits goes back into the queue; who is under way may arrive.
    way.places().close();
    let all = u32::try_from(letters_max).unwrap_or(u32::MAX);
    if clock::timeout(context.settings.stop_timeout.0, letters.acquire_many(all)).await.is_err() {
        tracing::warn!("deliveries under way are left: their letters stay queued and are tried again");
    }
}

/// One round: each recipient that is due at `now` is tried once.
pub async fn round(context: &Context, way: &Way, lease: Lease, now: UnixMillis) {
    let parcel = Arc::new(Parcel::new(lease));
    let Sorted { local, aliases, mut remote, over } = sort::sort(context, way, &parcel, now).await;
    let mut settlement = Settlement::new(context, now);
    settlement.add(&parcel, over);
    for (index, account) in local {
        let Some(_place) = way.places().here().await else { break };
        let attempt = local::deliver(context, &parcel, index, &account).await;
        settlement.add(&parcel, vec![attempt]);
    }
    for (index, targets) in aliases {
        let attempt = alias::forward(context, &parcel, index, targets, now).await;
        settlement.add(&parcel, vec![attempt]);
    }
    // Most letters have one destination, which needs no task of its own.
    if remote.len() == 1
        && let Some((destination, indexes)) = remote.pop()
    {
        let attempts = remote::deliver(context, way, &parcel, destination, indexes).await;
        settlement.add(&parcel, attempts);
    }
    let (tasks, mut results) = depart(context, way, &parcel, remote);
    let mut left = tasks.len();
    while let Some(attempts) = results.recv().await {
        settlement.add(&parcel, attempts);
        left = left.saturating_sub(1);
        if left > 0 {
            // What one host has taken must not be given to it again because another is slow and we are killed meanwhile.
            settlement.record(&parcel).await;
        }
    }
    for task in tasks {
        task.join().await;
    }
    // Each task has given its share back by now, also by a panic.
    let Some(parcel) = Arc::into_inner(parcel) else {
        tracing::error!("a delivery ended while its letter was still in use; the letter is tried again");
        return;
    };
    settlement.finish(parcel).await;
}

type Departure = (Destination, Vec<usize>);

/// Starts a courier for each destination. The channel ends when the last of them has.
fn depart(
    context: &Context,
    way: &Way,
    parcel: &Arc<Parcel>,
    groups: Vec<Departure>,
) -> (Vec<Task>, mpsc::UnboundedReceiver<Vec<Attempt>>) {
    let (sender, results) = mpsc::unbounded_channel();
    let tasks = groups
        .into_iter()
        .map(|(destination, indexes)| {
            let (context, way, parcel, sender) = (context.clone(), way.clone(), Arc::clone(parcel), sender.clone());
            task::spawn("courier", async move {
                let attempts = remote::deliver(&context, &way, &parcel, destination, indexes).await;
                drop(parcel);
                // The receiver waits for every sender.
                let _received = sender.send(attempts);
            })
        })
        .collect();
    (tasks, results)
}
