//! The loop: asks the queue what to do and sees each letter through one attempt.
//!
//! A letter leaves the queue by [`Lease::finish`] alone. Whatever fails here, a panic included, drops the lease, and the letter is due again.

use std::sync::Arc;

use posthouse_mail::UnixMillis;
use posthouse_queue::{Lease, Work};
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::sync::{OwnedSemaphorePermit, Semaphore};
use posthouse_runtime::{clock, select, task};

use crate::context::{Context, now};
use crate::courier::{alias, local, remote, reports};
use crate::place::{self, HERE_MAX};
use crate::settle::Settlement;
use crate::sort::{self, Sorted};
use crate::way::Way;

/// Destinations looked up in the DNS at a time.
const LOOKUPS_MAX: usize = 64;

/// Delivers until `shutdown`, then waits for what is under way, within the time set.
pub async fn run(context: Context, way: Way, shutdown: Shutdown) {
    if context.settings.concurrency_max == 0 {
        tracing::warn!("delivery is held: `concurrency-max` is 0, so letters stay queued");
        return shutdown.requested().await;
    }
    let places_max = context.settings.concurrency_max.min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(places_max));
    let here = Arc::new(Semaphore::new(HERE_MAX));
    let lookups = Arc::new(Semaphore::new(LOOKUPS_MAX));
    loop {
        let place = select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = shutdown.requested() => break,
        };
        let Ok(place) = place else { return };
        let work = select! {
            work = context.queue.work() => work,
            () = shutdown.requested() => break,
        };
        match work {
            Work::Place(destination) => {
                drop(place);
                if let Some(lookup) = place::quickly(&context, &way, destination).await {
                    let (context, lookups) = (context.clone(), Arc::clone(&lookups));
                    task::spawn("destination", async move {
                        let _turn = lookups.acquire_owned().await;
                        lookup.finish(&context).await;
                    });
                }
            }
            Work::Carry(lease) => {
                let (context, way) = (context.clone(), way.clone());
                let turn = Turn { place, here: Arc::clone(&here) };
                task::spawn("delivery", async move { round(&context, &way, *lease, now(), Some(turn)).await });
            }
        }
    }
    let all = |count| u32::try_from(count).unwrap_or(u32::MAX);
    let ended = async { (places.acquire_many(all(places_max)).await, here.acquire_many(all(HERE_MAX)).await) };
    if clock::timeout(context.settings.stop_timeout.0, ended).await.is_err() {
        tracing::warn!("deliveries under way are left: their letters stay queued and are tried again");
    }
}

/// Does what the queue has to do at `now`, one after the other, until `max` letters were tried or there is nothing more; says how many
/// were.
pub async fn run_at(context: &Context, way: &Way, now: UnixMillis, max: usize) -> usize {
    let mut count = 0;
    while count < max {
        match context.queue.work_at(now) {
            None => break,
            Some(Work::Place(destination)) => {
                if let Some(lookup) = place::quickly(context, way, destination).await {
                    lookup.finish(context).await;
                }
            }
            Some(Work::Carry(lease)) => {
                round(context, way, *lease, now, None).await;
                count += 1;
            }
        }
    }
    count
}

/// The right to carry a letter.
struct Turn {
    place: OwnedSemaphorePermit,
    here: Arc<Semaphore>,
}

impl Turn {
    /// The letter goes to no other host: its place is free for one that does, unless very many stay here.
    fn stay(&mut self) {
        if let Ok(place) = Arc::clone(&self.here).try_acquire_owned() {
            self.place = place;
        }
    }
}

/// One attempt for each recipient of the lease that is due at `now`.
async fn round(context: &Context, way: &Way, mut lease: Lease, now: UnixMillis, mut turn: Option<Turn>) {
    let mut settlement = Settlement::new(context, now);
    if let Some(why) = lease.blocked().cloned() {
        settlement.add_blocked(&lease, &why);
        return settlement.finish(lease).await;
    }
    let Sorted { local, reports: to_reports, aliases, remote, over } = sort::sort(context, way, &lease, now).await;
    if let Some(turn) = turn.as_mut().filter(|_| remote.is_none()) {
        turn.stay();
    }
    settlement.add(&lease, over);
    let attempts = local::deliver_all(context, &lease, local).await;
    settlement.add(&lease, attempts);
    for index in to_reports {
        let attempt = reports::file(context, &lease, index, now).await;
        settlement.add(&lease, vec![attempt]);
    }
    for (index, targets) in aliases {
        let attempt = alias::forward(context, &lease, index, targets, now).await;
        settlement.add(&lease, vec![attempt]);
    }
    if let Some((destination, indexes)) = remote {
        let begun = clock::now();
        let (attempts, feedback) = remote::deliver(context, way, &lease, destination, indexes).await;
        // The next letter may go there while the end of this one is stored.
        lease.leave_site(Some(feedback), now.plus(clock::now() - begun));
        settlement.add(&lease, attempts);
    }
    settlement.finish(lease).await;
}
