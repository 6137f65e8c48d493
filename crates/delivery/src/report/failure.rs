//! Reports on single letters that failed (DMARC, RFC 9991): at once, by mail, where the operator wants that.
//!
//! They are worth no letter's delay and no memory: what failed comes through a short queue, and what has no room there, or comes when a host has had its share, is left
//! out. Letters that fail alike are reported once in an hour, with their count. On letters that are reports or bounces nobody reports, and these have no sender
//! themselves: nothing can go round.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthouse_dns::Name;
use posthouse_journal::Event;
use posthouse_mail::{Address, Domain, UnixMillis};
use posthouse_mailauth::dmarc::{Failure, FailureKind, Policy, failure_destinations};
use posthouse_mailauth::feedback::{FailureLetter, Redaction};
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::sync::mpsc;
use posthouse_runtime::{clock, random, select};

use super::Sending;
use crate::context::{Context, now};
use crate::derive;

/// The origin of these letters.
pub(crate) const KIND: &str = "failure-report";
/// Failures that wait to be reported.
const WAITING_MAX: usize = 64;
/// How long letters that fail alike are counted together.
const ALIKE: Duration = Duration::from_hours(1);
/// The ways to fail that are told apart at a time; more are not reported.
const WAYS_MAX: usize = 10_000;
/// How long the DNS may take to say where a report goes.
const ASKED_FOR: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Where failures are handed in. Clones reach the same.
#[derive(Clone)]
pub struct Failures {
    hand: mpsc::Sender<Box<Failure>>,
    end: Arc<Mutex<Option<mpsc::Receiver<Box<Failure>>>>>,
}

/// Reports them.
pub struct FailureReports {
    /// What delivery works with.
    pub context: Context,
    /// Who they come from; without it the postmaster of our domain.
    pub from: Option<Address>,
    /// How many one host is sent in an hour and in a day.
    pub limits: (u32, u32),
    /// Whether addresses of people are made unreadable.
    pub is_redacted: bool,
}

/// What letters that fail alike have in common.
#[derive(PartialEq, Eq, Hash)]
struct FailureWay {
    domain: String,
    source: IpAddr,
    kind: FailureKind,
    is_unaligned: (bool, bool),
}

/// Since when, and how many came after the one that was reported.
type Seen = HashMap<FailureWay, (UnixMillis, u64)>;

impl Failures {
    /// Hands one in. What has no room is left out.
    pub fn put(&self, failure: Failure) {
        // Whoever floods us with failing letters does not make us work more.
        let _ = self.hand.try_send(Box::new(failure));
    }
}

impl Default for Failures {
    fn default() -> Self {
        let (hand, end) = mpsc::channel(WAITING_MAX);
        Self { hand, end: Arc::new(Mutex::new(Some(end))) }
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failures")
    }
}

impl FailureReports {
    /// Reports what is handed in, until `shutdown` or until nobody is left who could.
    pub async fn run(self, failures: Failures, shutdown: Shutdown) {
        let end = failures.end.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(failures);
        // One takes them out.
        let Some(mut failures) = end else { return };
        // A new key now and then is what RFC 6590 §3 asks for: codes are not to be gathered for years.
        let mut key = [0; 32];
        random::fill(&mut key);
        let redaction = Redaction::new(&key);
        let redaction = self.is_redacted.then_some(&redaction);
        let mut seen = Seen::new();
        loop {
            let failure = select! {
                failure = failures.recv() => failure,
                () = shutdown.requested() => return,
            };
            let Some(failure) = failure else { return };
            if let Some(incidents) = incidents(&mut seen, &failure, now())
                && let Err(why) = self.report(&failure, incidents, redaction).await
            {
                tracing::info!(domain = failure.domain, why, "a failure is not reported");
            }
        }
    }

    /// Reports one, to each that asks and agrees.
    ///
    /// # Errors
    /// Why it is not reported.
    pub async fn report(&self, failure: &Failure, incidents: u64, redaction: Option<&Redaction>) -> Result<(), String> {
        let place: Name = failure.published.domain.parse().map_err(|_| "its domain is none".to_owned())?;
        let about: Domain = failure.published.domain.parse().map_err(|_| "its domain is none".to_owned())?;
        let asked = clock::timeout(ASKED_FOR, failure_destinations(self.context.resolver.as_ref(), &place)).await;
        let addresses = asked.map_err(|_| "the DNS does not answer".to_owned())?.map_err(|error| error.to_string())?;
        let from = super::from(&self.context, self.from.as_ref()).await.map_err(|error| error.to_string())?;
        for wanted in addresses {
            let (to, at) = (&wanted.address, now());
            if !self.may_send(to, at).await? {
                tracing::info!(domain = %about, %to, "a failure is not reported: the host has had its share for now");
                continue;
            }
            let id = derive::id(failure.letter, &format!("{KIND} {to}"));
            let submitter = &self.context.hostname;
            let letter = FailureLetter { from: &from, to, submitter, id, at, incidents, failure, redaction };
            let message = letter.to_message();
            if wanted.bytes_max.is_some_and(|max| u64::try_from(message.len()).is_ok_and(|size| size > max)) {
                tracing::info!(domain = %about, %to, size = message.len(), "a report is larger than the domain takes there, and is not sent");
                continue;
            }
            let sending = Sending { kind: KIND, from: &from, to, about: &about, id, at };
            sending.queue(&self.context, message).await?;
            // Of a letter that was refused there is no timeline.
            if failure.done != Policy::Reject {
                let (kind, about, to) = (KIND.to_owned(), about.to_string(), to.to_string());
                self.context.note(failure.letter, Event::Reported { kind, about, to });
            }
        }
        Ok(())
    }

    async fn may_send(&self, to: &Address, at: UnixMillis) -> Result<bool, String> {
        let (in_hour, in_day) = self.limits;
        for (time, max) in [(HOUR, in_hour), (DAY, in_day)] {
            let since = UnixMillis(at.0.saturating_sub(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
            let sent = self.context.reports.sent_to(to.domain().as_str(), KIND, since).await;
            if sent.map_err(|error| error.to_string())? >= u64::from(max) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// How many letters a report on this one stands for; `None` when it is only counted.
fn incidents(seen: &mut Seen, failure: &Failure, at: UnixMillis) -> Option<u64> {
    let way = FailureWay {
        domain: failure.published.domain.clone(),
        source: failure.source,
        kind: failure.kind,
        is_unaligned: (failure.is_dkim_unaligned, failure.is_spf_unaligned),
    };
    if let Some((since, more)) = seen.get_mut(&way) {
        *more += 1;
        if at.since(*since) < ALIKE {
            return None;
        }
        let incidents = *more;
        (*since, *more) = (at, 0);
        return Some(incidents);
    }
    if seen.len() >= WAYS_MAX {
        seen.retain(|_, (since, _)| at.since(*since) < ALIKE);
        if seen.len() >= WAYS_MAX {
            return None;
        }
    }
    seen.insert(way, (at, 0));
    Some(1)
}
