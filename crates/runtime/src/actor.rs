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

#[cfg(feature = "sim")]
use crate::sim;
#[cfg(feature = "sim")]
use crate::sync;
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
pub struct Sender<T>(Sending<T>);

/// The hand that puts messages into an [`Inbox`] of a fixed length.
#[derive(Debug)]
pub struct BoundedSender<T>(BoundedSending<T>);

/// Messages in the order they were sent.
#[derive(Debug)]
pub struct Inbox<T>(Receiving<T>);

/// An inbox that several actors serve.
#[derive(Debug)]
pub struct SharedInbox<T>(SharedReceiving<T>);

/// A running actor. Dropping it lets it run on.
#[derive(Debug)]
pub struct Actor(Running);

#[derive(Debug)]
enum Sending<T> {
    Thread(mpsc::Sender<T>),
    #[cfg(feature = "sim")]
    Task(sync::mpsc::UnboundedSender<T>),
}

#[derive(Debug)]
enum BoundedSending<T> {
    Thread(mpsc::SyncSender<T>),
    #[cfg(feature = "sim")]
    Task(sync::mpsc::UnboundedSender<T>),
}

#[derive(Debug)]
enum Receiving<T> {
    Thread(mpsc::Receiver<T>),
    #[cfg(feature = "sim")]
    Task(sync::mpsc::UnboundedReceiver<T>),
}

#[derive(Debug)]
enum SharedReceiving<T> {
    Thread(Mutex<mpsc::Receiver<T>>),
    #[cfg(feature = "sim")]
    Task(sync::AsyncMutex<sync::mpsc::UnboundedReceiver<T>>),
}

#[derive(Debug)]
enum Running {
    Thread(JoinHandle<()>),
    #[cfg(feature = "sim")]
    Task,
}

/// An inbox of any length.
#[must_use]
pub fn inbox<T>() -> (Sender<T>, Inbox<T>) {
    #[cfg(feature = "sim")]
    if sim::is_entered() {
        let (sender, receiver) = sync::mpsc::unbounded_channel();
        return (Sender(Sending::Task(sender)), Inbox(Receiving::Task(receiver)));
    }
    let (sender, receiver) = mpsc::channel();
    (Sender(Sending::Thread(sender)), Inbox(Receiving::Thread(receiver)))
}

/// An inbox for at most `max` messages. In a simulated world it takes any number, for there a sender cannot wait.
#[must_use]
pub fn bounded_inbox<T>(max: usize) -> (BoundedSender<T>, Inbox<T>) {
    #[cfg(feature = "sim")]
    if sim::is_entered() {
        let (sender, receiver) = sync::mpsc::unbounded_channel();
        return (BoundedSender(BoundedSending::Task(sender)), Inbox(Receiving::Task(receiver)));
    }
    let (sender, receiver) = mpsc::sync_channel(max);
    (BoundedSender(BoundedSending::Thread(sender)), Inbox(Receiving::Thread(receiver)))
}

/// Starts an actor. `serve` may wait for nothing but inboxes.
///
/// # Errors
/// The system gives no more threads.
pub fn start(name: &'static str, serve: impl Future<Output = ()> + Send + 'static) -> io::Result<Actor> {
    #[cfg(feature = "sim")]
    if sim::is_entered() {
        task::spawn(name, serve);
        return Ok(Actor(Running::Task));
    }
    let thread = task::thread(name, move || {
        task::never_urgent();
        if pin!(serve).poll(&mut Context::from_waker(Waker::noop())) == Poll::Pending {
            tracing::error!(actor = name, "an actor waited for something else than its inbox; this is a fault of ours");
        }
    })?;
    Ok(Actor(Running::Thread(thread)))
}

impl Actor {
    /// Waits for its end. A panic in it has been printed where it happened. In a simulated world, where nobody can wait here, it does not.
    pub fn join(self) {
        match self.0 {
            Running::Thread(thread) => drop(thread.join()),
            #[cfg(feature = "sim")]
            Running::Task => {}
        }
    }
}

impl<T> Sender<T> {
    /// Sends.
    ///
    /// # Errors
    /// The message, when nobody serves the inbox any more.
    pub fn send(&self, message: T) -> Result<(), T> {
        match &self.0 {
            Sending::Thread(sender) => sender.send(message).map_err(|mpsc::SendError(message)| message),
            #[cfg(feature = "sim")]
            Sending::Task(sender) => sender.send(message).map_err(|sync::mpsc::error::SendError(message)| message),
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Sending::Thread(sender) => Sending::Thread(sender.clone()),
            #[cfg(feature = "sim")]
            Sending::Task(sender) => Sending::Task(sender.clone()),
        })
    }
}

impl<T> BoundedSender<T> {
    /// Sends, or waits for room: it holds the thread, so only on one that may block.
    ///
    /// # Errors
    /// The message, when nobody serves the inbox any more.
    pub fn send(&self, message: T) -> Result<(), T> {
        match &self.0 {
            BoundedSending::Thread(sender) => sender.send(message).map_err(|mpsc::SendError(message)| message),
            #[cfg(feature = "sim")]
            BoundedSending::Task(sender) => sender.send(message).map_err(|sync::mpsc::error::SendError(message)| message),
        }
    }

    /// Sends if there is room.
    ///
    /// # Errors
    /// The message, when there is none or nobody serves the inbox any more.
    pub fn try_send(&self, message: T) -> Result<(), T> {
        match &self.0 {
            BoundedSending::Thread(sender) => {
                sender.try_send(message).map_err(|(TrySendError::Full(message) | TrySendError::Disconnected(message))| message)
            }
            #[cfg(feature = "sim")]
            BoundedSending::Task(_) => self.send(message),
        }
    }
}

impl<T> Clone for BoundedSender<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            BoundedSending::Thread(sender) => BoundedSending::Thread(sender.clone()),
            #[cfg(feature = "sim")]
            BoundedSending::Task(sender) => BoundedSending::Task(sender.clone()),
        })
    }
}

impl<T> Inbox<T> {
    /// Waits for the next message; `None` when every sender is gone and nothing is left.
    pub async fn recv(&mut self) -> Option<T> {
        match &mut self.0 {
            Receiving::Thread(receiver) => receiver.recv().ok(),
            #[cfg(feature = "sim")]
            Receiving::Task(receiver) => {
                let message = receiver.recv().await;
                sim::work().await;
                message
            }
        }
    }

    /// Waits for the next message for at most `duration`.
    pub async fn recv_within(&mut self, duration: Duration) -> Received<T> {
        match &mut self.0 {
            Receiving::Thread(receiver) => match receiver.recv_timeout(duration) {
                Ok(message) => Received::Message(message),
                Err(RecvTimeoutError::Timeout) => Received::Nothing,
                Err(RecvTimeoutError::Disconnected) => Received::Closed,
            },
            #[cfg(feature = "sim")]
            Receiving::Task(receiver) => match crate::clock::timeout(duration, receiver.recv()).await {
                Ok(message) => message.map_or(Received::Closed, Received::Message),
                Err(_) => Received::Nothing,
            },
        }
    }

    /// The next message, if there is one now.
    pub fn try_recv(&mut self) -> Received<T> {
        match &mut self.0 {
            Receiving::Thread(receiver) => match receiver.try_recv() {
                Ok(message) => Received::Message(message),
                Err(TryRecvError::Empty) => Received::Nothing,
                Err(TryRecvError::Disconnected) => Received::Closed,
            },
            #[cfg(feature = "sim")]
            Receiving::Task(receiver) => match receiver.try_recv() {
                Ok(message) => Received::Message(message),
                Err(sync::mpsc::error::TryRecvError::Empty) => Received::Nothing,
                Err(sync::mpsc::error::TryRecvError::Disconnected) => Received::Closed,
            },
        }
    }

    /// The same inbox for several actors.
    #[must_use]
    pub fn shared(self) -> SharedInbox<T> {
        SharedInbox(match self.0 {
            Receiving::Thread(receiver) => SharedReceiving::Thread(Mutex::new(receiver)),
            #[cfg(feature = "sim")]
            Receiving::Task(receiver) => SharedReceiving::Task(sync::AsyncMutex::new(receiver)),
        })
    }
}

impl<T> SharedInbox<T> {
    /// Waits for the next message; `None` when every sender is gone and nothing is left.
    pub async fn recv(&self) -> Option<T> {
        match &self.0 {
            SharedReceiving::Thread(receiver) => receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok(),
            #[cfg(feature = "sim")]
            SharedReceiving::Task(receiver) => {
                let message = receiver.lock().await.recv().await;
                sim::work().await;
                message
            }
        }
    }
}

#[cfg(test)]
mod tests;
