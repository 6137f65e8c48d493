//! Hosts: their tasks, their power, their clocks.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use super::{Event, Here, POLLS_MAX, World, here};

/// A host of the world that this thread is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(pub(super) usize);

/// A host between two crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) host: usize,
    pub(super) life: u64,
}

impl Place {
    /// Where [`super::run`] begins.
    pub(super) const OUTSIDE: Self = Self { host: 0, life: 0 };
}

impl Host {
    /// Adds a host with this address.
    ///
    /// # Panics
    /// Outside a world.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        let here = here();
        assert!(here.is_some(), "a host stands in a simulated world");
        Self(here.map_or(0, |here| here.world.state().add_host(address)))
    }

    pub(super) fn of(place: Place) -> Self {
        Self(place.host)
    }

    /// Its number, counted from 1.
    #[must_use]
    pub fn number(self) -> usize {
        self.0
    }

    /// Runs a future in this task, but on that host; `None` when the host crashed before it ended.
    pub fn run<F: Future>(self, future: F) -> On<F> {
        let mut there = here();
        if let Some(there) = &mut there {
            there.place = there.world.state().place(self.0);
        }
        On { here: there, future: Some(Box::pin(future)) }
    }

    /// Starts a task there, as [`crate::task::spawn`] does here.
    pub fn spawn(self, name: &'static str, future: impl Future<Output = ()> + Send + 'static) -> crate::task::Task {
        let Some(mut there) = here() else { return crate::task::spawn(name, future) };
        there.place = there.world.state().place(self.0);
        let _visit = there.enter();
        crate::task::spawn(name, future)
    }

    /// Takes the power away: its tasks run no further, and its connections and listeners fall silent.
    pub fn crash(self) {
        let Some(here) = here() else { return };
        let mut state = here.world.state();
        if !state.is_up(self.0) {
            return;
        }
        state.note(here.world.elapsed(), Event::Crashed { host: self });
        for task in state.crash(self.0) {
            task.abort();
        }
    }

    /// Gives the power back. Nothing runs there until somebody starts it.
    pub fn start(self) {
        let Some(here) = here() else { return };
        let mut state = here.world.state();
        state.note(here.world.elapsed(), Event::Started { host: self });
        state.start(self.0);
    }

    /// Whether it has power.
    #[must_use]
    pub fn is_up(self) -> bool {
        here().is_some_and(|here| here.world.state().is_up(self.0))
    }

    /// How many of its tasks have not ended.
    #[must_use]
    pub fn tasks(self) -> usize {
        here().map_or(0, |here| here.world.state().live_tasks(self.0))
    }

    /// Sets its wall clock that far from the right time.
    pub fn set_clock(self, skew_millis: i64) {
        let Some(here) = here() else { return };
        let mut state = here.world.state();
        state.note(here.world.elapsed(), Event::Clock { host: self, skew_millis });
        state.set_skew(self.0, skew_millis);
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host{}", self.0)
    }
}

/// A future on a host.
pub struct On<F> {
    here: Option<Here>,
    future: Option<Pin<Box<F>>>,
}

impl<F> On<F> {
    pub(super) fn new(here: Here, future: F) -> Self {
        Self { here: Some(here), future: Some(Box::pin(future)) }
    }
}

impl<F: Future> Future for On<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(here) = self.here.clone() else { return Poll::Ready(None) };
        let is_alive = {
            let now = here.world.elapsed();
            let mut state = here.world.state();
            assert!(state.count_poll(now) < POLLS_MAX, "the world hangs: everybody is busy and the time stands still at {now:?}");
            state.is_alive(here.place)
        };
        let _visit = here.enter();
        if !is_alive {
            self.future = None;
        }
        self.future.as_mut().map_or(Poll::Ready(None), |future| future.as_mut().poll(context).map(Some))
    }
}

/// What it holds is dropped where it ran.
impl<F> Drop for On<F> {
    fn drop(&mut self) {
        let _visit = self.here.clone().map(Here::enter);
        self.future = None;
    }
}

impl<F> fmt::Debug for On<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("On").finish_non_exhaustive()
    }
}

/// Starts a task on the host of the one that calls; gives the future back outside a world.
pub(crate) fn spawn<F: Future<Output = ()> + Send + 'static>(future: F) -> Result<JoinHandle<()>, F> {
    let Some(here) = here() else { return Err(future) };
    let (world, place): (Arc<World>, Place) = (Arc::clone(&here.world), here.place);
    let on = On::new(here, future);
    let handle = tokio::spawn(async move {
        let _ended = on.await;
    });
    world.state().add_task(place, handle.abort_handle());
    Ok(handle)
}
