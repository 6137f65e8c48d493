//! Asking the parts of a program to come to an end.
//!
//! One [`Trigger`], any number of [`Shutdown`]s. What has been asked for is never taken back.

use tokio::sync::watch;

/// The hand that asks.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// The ear that hears it.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A trigger and what listens to it.
#[must_use]
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Asks everybody to end; a second call changes nothing.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Whether the end has been asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the end is asked for: for ever, when the trigger is dropped without having fired. Cancel-safe.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|fired| *fired).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests;
