//! Threads that serve an inbox: the writers of logs and databases.
//!
//! What serves is written as a future whose only waits are those for its [`Inbox`]. In a server it has a thread of its own and these waits
//! hold that thread, so the future never yields and costs no more than a loop around a blocking receive. In a simulated world the very
//! same future is a task among the others.
//!
//! An actor is never urgent. Each wake-up that took a processor from a busy thread would find one message; a moment later it finds many,
//! and one write, one sync and one answer are enough for all of them.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError, TrySendError};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::task;

/// What a look into an inbox found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received<T> {
    /// The next message.
    Message(T),
    /// None, for now.
    Nothing,
    /// None any more: every sender is gone.
    Closed,
}

/// The hand that puts messages into an [`Inbox`] of any length. Clones reach the same one.
#[derive(Debug)]
pub struct Sender<T>(mpsc::Sender<T>);

/// The hand that puts messages into an [`Inbox`] of a fixed length.
#[derive(Debug)]
pub struct BoundedSender<T>(mpsc::SyncSender<T>);

/// Messages in the order they were sent.
#[derive(Debug)]
pub struct Inbox<T>(mpsc::Receiver<T>);

/// An inbox that several actors serve.
#[derive(Debug)]
pub struct SharedInbox<T>(Mutex<mpsc::Receiver<T>>);

/// A running actor. Dropping it lets it run on.
#[derive(Debug)]
pub struct Actor(JoinHandle<()>);

/// An inbox of any length.
#[must_use]
pub fn inbox<T>() -> (Sender<T>, Inbox<T>) {
    let (sender, receiver) = mpsc::channel();
    (Sender(sender), Inbox(receiver))
}

/// An inbox for at most `max` messages.
#[must_use]
pub fn bounded_inbox<T>(max: usize) -> (BoundedSender<T>, Inbox<T>) {
    let (sender, receiver) = mpsc::sync_channel(max);
    (BoundedSender(sender), Inbox(receiver))
}

/// Starts an actor. `serve` may wait for nothing but inboxes.
///
/// # Errors
/// The system gives no more threads.
pub fn start(name: &'static str, serve: impl Future<Output = ()> + Send + 'static) -> io::Result<Actor> {
    let thread = task::thread(name, move || {
        task::never_urgent();
        if pin!(serve).poll(&mut Context::from_waker(Waker::noop())) == Poll::Pending {
            tracing::error!(actor = name, "an actor waited for something else than its inbox; this is a fault of ours");
        }
    })?;
    Ok(Actor(thread))
}

impl Actor {
    /// Waits for its end. A panic in it has been printed where it happened.
    pub fn join(self) {
        let _ = self.0.join();
    }
}

impl<T> Sender<T> {
    /// Sends.
    ///
    /// # Errors
    /// The message, when nobody serves the inbox any more.
    pub fn send(&self, message: T) -> Result<(), T> {
        self.0.send(message).map_err(|mpsc::SendError(message)| message)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> BoundedSender<T> {
    /// Sends, or waits for room: it holds the thread, so only on one that may block.
    ///
    /// # Errors
    /// The message, when nobody serves the inbox any more.
    pub fn send(&self, message: T) -> Result<(), T> {
        self.0.send(message).map_err(|mpsc::SendError(message)| message)
    }

    /// Sends if there is room.
    ///
    /// # Errors
    /// The message, when there is none or nobody serves the inbox any more.
    pub fn try_send(&self, message: T) -> Result<(), T> {
        self.0.try_send(message).map_err(|(TrySendError::Full(message) | TrySendError::Disconnected(message))| message)
    }
}

impl<T> Clone for BoundedSender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Inbox<T> {
    /// Waits for the next message; `None` when every sender is gone and nothing is left.
    #[expect(clippy::unused_async, reason = "a wait that holds the thread; in a simulated world it yields")]
    pub async fn recv(&mut self) -> Option<T> {
        self.0.recv().ok()
    }

    /// Waits for the next message for at most `duration`.
    #[expect(clippy::unused_async, reason = "a wait that holds the thread; in a simulated world it yields")]
    pub async fn recv_within(&mut self, duration: Duration) -> Received<T> {
        match self.0.recv_timeout(duration) {
            Ok(message) => Received::Message(message),
            Err(RecvTimeoutError::Timeout) => Received::Nothing,
            Err(RecvTimeoutError::Disconnected) => Received::Closed,
        }
    }

    /// The next message, if there is one now.
    pub fn try_recv(&mut self) -> Received<T> {
        match self.0.try_recv() {
            Ok(message) => Received::Message(message),
            Err(TryRecvError::Empty) => Received::Nothing,
            Err(TryRecvError::Disconnected) => Received::Closed,
        }
    }

    /// The same inbox for several actors.
    #[must_use]
    pub fn shared(self) -> SharedInbox<T> {
        SharedInbox(Mutex::new(self.0))
    }
}

impl<T> SharedInbox<T> {
    /// Waits for the next message; `None` when every sender is gone and nothing is left.
    #[expect(clippy::unused_async, reason = "a wait that holds the thread; in a simulated world it yields")]
    pub async fn recv(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
}

#[cfg(test)]
mod tests;
