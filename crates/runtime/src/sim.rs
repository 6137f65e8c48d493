//! A world in one thread: hosts, their clocks, the network between them, and chance, all of it from one seed.
//!
//! Behind the feature `sim`, which no binary of ours has on. [`run`] enters a world; inside it the rest of this crate (clock, randomness,
//! sockets, tasks, actors) is the world's, outside it everything is as without the feature. Time passes only while everybody waits. The
//! same seed and the same program make the same [`events`], to the octet.
//!
//! A [`Host`] has an address, a wall clock that may be wrong, and tasks; what a task starts runs on its host. [`Host::crash`] takes them all
//! away at once, as a power cut does: the other ends of their connections hear nothing of it. Links can be cut and healed, connections
//! broken, and the [`Weather`] makes all of them slow or brittle. TLS works over these streams, but draws randomness of its own.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

mod chance;
mod event;
mod generator;
mod host;
pub(crate) mod net;
mod state;

pub use event::Event;
pub use host::{Host, On};
pub use net::Side;
pub use state::Weather;

pub(crate) use generator::generator;
use host::Place;
pub(crate) use host::spawn;
use state::State;

/// What o'clock it is in every world when it begins, on clocks that are right: 2026-09-21.
pub const BEGINNING_UNIX_MILLIS: u64 = 1_790_000_000_000;
/// Polls of tasks without the time moving on, before the world is said to hang.
const POLLS_MAX: u32 = 2_000_000;
/// The longest a piece of work takes that blocks, or an actor's turn.
const WORK_MAX: Duration = Duration::from_millis(4);

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// Which world this thread is in, and on which host.
#[derive(Clone)]
pub(crate) struct Here {
    pub(crate) world: Arc<World>,
    pub(crate) place: Place,
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    began: Instant,
    state: Mutex<State>,
}

/// Puts back what was there before.
struct Visit(Option<Here>);

impl Here {
    fn enter(self) -> Visit {
        Visit(HERE.replace(Some(self)))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        HERE.set(self.0.take());
    }
}

impl World {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        Instant::now().duration_since(self.began)
    }

    pub(crate) fn instant(&self, elapsed: Duration) -> Instant {
        self.began + elapsed
    }

    fn note(&self, event: Event) {
        let now = self.elapsed();
        self.state().note(now, event);
    }
}

/// Runs `future` in a new world, on a host of its own that has no address. Everything it started ends with it.
///
/// # Errors
/// There is no memory for it.
///
/// # Panics
/// When the world hangs: everybody is busy and the time does not move on.
pub fn run<F: Future>(seed: u64, future: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let world = {
        let _context = runtime.enter();
        Arc::new(World { began: Instant::now(), state: Mutex::new(State::new(seed)) })
    };
    let here = Here { world, place: Place::OUTSIDE };
    let _visit = here.clone().enter();
    let ended = runtime.block_on(On::new(here, future));
    // With the tasks that are left, while their world is still there.
    drop(runtime);
    ended.ok_or_else(|| io::Error::other("the world has ended before its future"))
}

pub(crate) fn here() -> Option<Here> {
    HERE.with_borrow(Clone::clone)
}

/// Whether this thread is in a simulated world.
#[must_use]
pub fn is_entered() -> bool {
    HERE.with_borrow(Option::is_some)
}

/// The time since the world began; zero outside one.
#[must_use]
pub fn elapsed() -> Duration {
    here().map_or(Duration::ZERO, |here| here.world.elapsed())
}

/// Everything that has happened, each with its time since the beginning.
#[must_use]
pub fn events() -> Vec<(Duration, Event)> {
    here().map_or_else(Vec::new, |here| here.world.state().events.clone())
}

/// Adds a line to what has happened.
pub fn note(text: impl Into<String>) {
    if let Some(here) = here() {
        let host = Host::of(here.place);
        here.world.note(Event::Note { host, text: text.into() });
    }
}

/// How the network is from now on.
pub fn set_weather(weather: Weather) {
    if let Some(here) = here() {
        here.world.state().weather = weather;
    }
}

/// Cuts the link between two hosts: nothing arrives until it is healed, and nobody is told.
pub fn cut(one: Host, other: Host) {
    if let Some(here) = here() {
        here.world.note(Event::Cut { one, other });
        here.world.state().cut(one, other);
    }
}

/// Heals the link between two hosts: what was under way arrives.
pub fn heal(one: Host, other: Host) {
    if let Some(here) = here() {
        here.world.note(Event::Healed { one, other });
        here.world.state().heal(one, other);
    }
}

/// The connections that stand, and between whom.
#[must_use]
pub fn connections() -> Vec<(usize, Host, Host)> {
    here().map_or_else(Vec::new, |here| here.world.state().standing())
}

/// Breaks a connection: what was under way is lost, and both ends are told that it was reset.
pub fn break_connection(id: usize) {
    if let Some(here) = here() {
        let now = here.world.elapsed();
        here.world.state().break_connection(id, now);
    }
}

/// Waits as long as work takes: at random, a few milliseconds at most.
pub(crate) async fn work() {
    let Some(here) = here() else { return };
    let time = here.world.state().chance.up_to(WORK_MAX);
    tokio::time::sleep(time).await;
}

/// The next number of this world's chance; `None` outside one.
pub(crate) fn draw() -> Option<u64> {
    here().map(|here| here.world.state().chance.draw())
}

/// What the wall clock of this host shows.
pub(crate) fn unix_millis() -> Option<u64> {
    let here = here()?;
    let elapsed = u64::try_from(here.world.elapsed().as_millis()).unwrap_or(u64::MAX);
    let skew = here.world.state().skew(here.place);
    Some(BEGINNING_UNIX_MILLIS.saturating_add(elapsed).saturating_add_signed(skew))
}

#[cfg(test)]
mod tests;
