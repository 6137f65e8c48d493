//! The threads that commit deliveries.
//!
//! Deliveries wait in one list per account. The first one in an empty list gives the account to a thread; the thread commits what waits in one
//! transaction, then what came meanwhile, until nothing waits. So an account is with one thread at a time, a busy account pays one flush for
//! many letters, and a quiet one waits for nobody. No delivery waits on a timer.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use posthouse_runtime::actor::{self, Sender, SharedInbox};
use posthouse_runtime::sync::oneshot;

use crate::account::{Arrival, Uid};
use crate::error::MailboxError;
use crate::mailboxes::Accounts;

/// The threads: commits of different accounts wait for the disk side by side.
const THREADS: usize = 4;
/// The letters of one transaction, so that the first of many does not wait for the last.
const BATCH_MAX: usize = 256;

pub(crate) type Answer = Result<Uid, MailboxError>;

/// Hands deliveries to the threads. They end when it is dropped, after what was handed to them.
pub(crate) struct Writer {
    waiting: Arc<Waiting>,
    turns: Sender<String>,
}

/// By account; an entry is there exactly while the account is with a thread or on its way to one.
type Waiting = Mutex<HashMap<String, Vec<Job>>>;

struct Job {
    arrival: Arrival,
    answer: oneshot::Sender<Answer>,
}

impl Writer {
    pub(crate) fn start(accounts: &Arc<Accounts>) -> Result<Self, MailboxError> {
        let (turns, inbox) = actor::inbox();
        let (waiting, inbox) = (Arc::new(Waiting::default()), Arc::new(inbox.shared()));
        for _ in 0..THREADS {
            let (accounts, waiting, inbox) = (Arc::clone(accounts), Arc::clone(&waiting), Arc::clone(&inbox));
            actor::start("mailbox-writer", work(accounts, waiting, inbox))
                .map_err(|error| MailboxError::Storage(format!("no thread to write mail: {error}")))?;
        }
        Ok(Self { waiting, turns })
    }

    /// Commits a delivery. Once it is handed over it is stored even when nobody waits for the answer.
    pub(crate) async fn store(&self, account: &str, arrival: Arrival) -> Answer {
        let (answer, answered) = oneshot::channel();
        let job = Job { arrival, answer };
        let first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            match waiting.get_mut(account) {
                Some(jobs) => {
                    jobs.push(job);
                    false
                }
                None => waiting.insert(account.to_owned(), vec![job]).is_none(),
            }
        };
        let stopped = || MailboxError::Storage("the delivery was given up".to_owned());
        if first {
            self.turns.send(account.to_owned()).map_err(|_| stopped())?;
        }
        answered.await.map_err(|_| stopped())?
    }
}

async fn work(accounts: Arc<Accounts>, waiting: Arc<Waiting>, turns: Arc<SharedInbox<String>>) {
    while let Some(account) = turns.recv().await {
        // A panic costs the deliveries that wait for this account (their queue tries again), not the thread.
        if catch_unwind(AssertUnwindSafe(|| serve(&accounts, &waiting, &account))).is_err() {
            tracing::error!(%account, "a delivery ended by a panic; this is a fault of ours");
            waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&account);
        }
    }
}

fn serve(accounts: &Accounts, waiting: &Waiting, account: &str) {
    while let Some(batch) = next_batch(waiting, account) {
        let (arrivals, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.arrival, job.answer)).unzip();
        let stored = accounts.account(account).store(arrivals);
        for (index, answer) in answers.into_iter().enumerate() {
            let result = match &stored {
                Ok(uids) => uids.get(index).copied().ok_or_else(|| MailboxError::Storage("a delivery got no number".to_owned())),
                Err(error) => Err(error.clone()),
            };
            // Nobody waits any more: the letter is stored, and delivering it again will find it.
            let _ = answer.send(result);
        }
    }
}

/// What waits; when nothing does, the account's entry goes with the same lock.
fn next_batch(waiting: &Waiting, account: &str) -> Option<Vec<Job>> {
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let jobs = waiting.get_mut(account)?;
    if jobs.is_empty() {
        waiting.remove(account);
        return None;
    }
    let rest = jobs.split_off(jobs.len().min(BATCH_MAX));
    Some(std::mem::replace(jobs, rest))
}

#[cfg(test)]
mod tests;
