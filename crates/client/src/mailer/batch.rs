//! Letters that are to be sent, shared by the connections that send them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthouse_mail::Envelope;
use posthouse_runtime::sync::mpsc;
use posthouse_smtp::client::RecipientResult;

use crate::error::ClientError;
use crate::message::Message;
use crate::report::{RecipientReport, SendReport};

/// What became of the letter with a number.
pub(super) type Ended = (usize, Result<SendReport, ClientError>);

/// A letter on its way, with what is known of its recipients so far.
pub(super) struct Job {
    index: usize,
    pub(super) message: Message,
    results: Vec<Option<RecipientResult>>,
    /// Whether it was begun on a connection that had been at rest and was lost: once is no reason to give up.
    pub(super) retried: bool,
    report: Option<SendReport>,
}

/// The letters: those that came back first, then new ones.
pub(super) struct Batch {
    line: Mutex<Line>,
    ended: mpsc::UnboundedSender<Ended>,
}

struct Line {
    back: VecDeque<Job>,
    fresh: Box<dyn Iterator<Item = Message> + Send>,
    next: usize,
    workers: usize,
}

impl Batch {
    pub(super) fn new(letters: Box<dyn Iterator<Item = Message> + Send>, ended: mpsc::UnboundedSender<Ended>) -> Self {
        Self { line: Mutex::new(Line { back: VecDeque::new(), fresh: letters, next: 0, workers: 0 }), ended }
    }

    /// The next letter; none when there is none, or when nobody waits for the results any more.
    pub(super) fn take(&self) -> Option<Job> {
        if self.ended.is_closed() {
            return None;
        }
        let mut line = self.line();
        if let Some(job) = line.back.pop_front() {
            return Some(job);
        }
        let message = line.fresh.next()?;
        let index = line.next;
        line.next += 1;
        let results = vec![None; message.envelope().recipients.len()];
        Some(Job { index, message, results, retried: false, report: None })
    }

    /// A letter that is to be tried again, before all others.
    pub(super) fn give_back(&self, job: Job) {
        self.line().back.push_front(job);
    }

    /// Nobody got the letter, or nobody more.
    pub(super) fn failed(&self, mut job: Job, error: ClientError) {
        let told = match job.report.take() {
            None => Err(error),
            // Some have it already: the rest stays untried, with the reason.
            Some(report) => {
                let why = error.to_string();
                job.open().for_each(|result| *result = Some(RecipientResult::NotTried(why.clone())));
                Ok(job.told(report))
            }
        };
        self.end(job.index, told);
    }

    /// A round of a letter has ended; if the server would not take everybody at once, it comes back for the rest.
    pub(super) fn ended(&self, mut job: Job, round: Vec<RecipientResult>, report: SendReport, all_or_none: bool) {
        let progress = round.iter().any(|result| !matches!(result, RecipientResult::NotTried(_)));
        for (slot, result) in job.open().zip(round) {
            *slot = Some(result);
        }
        // One who was refused is an end for the others too, where it is to be all or none.
        let is_left = all_or_none && !job.results.iter().all(|result| is_open(result.as_ref()));
        // Each round ends at least one recipient, or there is no next; but once another connection may do what this one is too full for (RFC 9422 §4.3).
        let again = progress || !std::mem::replace(&mut job.retried, true);
        if again && !is_left && job.open().next().is_some() {
            job.report = Some(report);
            return self.give_back(job);
        }
        let told = job.told(report);
        self.end(job.index, Ok(told));
    }

    /// A worker found no connection for a letter and ends. While others have one, they send it; the last one's error is everybody's.
    pub(super) fn no_connection(&self, job: Job, error: ClientError) {
        {
            let mut line = self.line();
            line.workers = line.workers.saturating_sub(1);
            if line.workers > 0 {
                return line.back.push_front(job);
            }
        }
        self.fail_from(job, error);
    }

    /// No letter is sent: this one and all that are left failed by one error.
    pub(super) fn fail_from(&self, job: Job, error: ClientError) {
        let Some(second) = self.take() else { return self.failed(job, error) };
        let error = Arc::new(error);
        let mut next = Some(second);
        self.failed(job, ClientError::NoConnection(Arc::clone(&error)));
        while let Some(job) = next {
            self.failed(job, ClientError::NoConnection(Arc::clone(&error)));
            next = self.take();
        }
    }

    /// One more worker.
    pub(super) fn join(&self) {
        self.line().workers += 1;
    }

    /// A worker has nothing left to do; not so if another one gave a letter back meanwhile.
    pub(super) fn leave(&self) -> bool {
        let mut line = self.line();
        let done = line.back.is_empty();
        if done {
            line.workers = line.workers.saturating_sub(1);
        }
        done
    }

    fn end(&self, index: usize, told: Result<SendReport, ClientError>) {
        // Whoever waited has gone.
        let _ = self.ended.send((index, told));
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    /// The envelope for those who have no end yet.
    pub(super) fn envelope(&self) -> Envelope {
        let whole = self.message.envelope();
        let open = whole.recipients.iter().zip(&self.results).filter(|(_, result)| is_open(result.as_ref()));
        Envelope { recipients: open.map(|(recipient, _)| recipient.clone()).collect(), ..whole.clone() }
    }

    fn open(&mut self) -> impl Iterator<Item = &mut Option<RecipientResult>> {
        self.results.iter_mut().filter(|result| is_open(result.as_ref()))
    }

    fn told(&mut self, mut report: SendReport) -> SendReport {
        let unknown = || RecipientResult::NotTried("the letter was not sent".to_owned());
        let ends = self.message.envelope().recipients.iter().zip(std::mem::take(&mut self.results));
        report.recipients = ends
            .map(|(recipient, result)| RecipientReport::new(recipient.address.clone(), result.unwrap_or_else(unknown)))
            .collect();
        report.message_id = self.message.message_id().map(str::to_owned);
        report
    }
}

fn is_open(result: Option<&RecipientResult>) -> bool {
    matches!(result, None | Some(RecipientResult::NotTried(_)))
}
