//! Traces of letters: which ones, and how their spans reach the collector.
//!
//! A letter is chosen by its id alone (the random octets at its end, as OpenTelemetry's probability sampling does it), so all its spans are sent or none, over restarts too, and nothing that a peer
//! says makes it chosen: a `traceparent` in a letter is text. Whoever records a step never waits: spans go into a bounded channel, and what has no room there is dropped and counted.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthouse_journal::{Event, Follow, Span as Lasted, Step};
use posthouse_mail::{LetterId, UnixMillis};
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::sync::mpsc;
use posthouse_runtime::{clock, random, select};
use serde_json::{Value, json};
use tracing::warn;

use super::span::{self, Span};
use super::{Collector, Missed, Trouble, resource};

/// OTLP over HTTP, "Endpoint URLs".
const PATH: &str = "/v1/traces";
/// How long spans gather.
const GATHER: Duration = Duration::from_secs(2);
/// The spans of one push.
const SPANS_AT_ONCE: usize = 500;
/// The spans that wait to be pushed, besides: a few megabytes.
const WAITING_MAX: usize = 4000;
/// The letters of which is remembered since when nothing has been done.
const LETTERS_MAX: usize = 10_000;
/// How long the last push may take when the server stops.
const FAREWELL: Duration = Duration::from_secs(2);
/// 2^56: what the last seven octets of an id say.
const CHANCES: f64 = 72_057_594_037_927_936.0;

/// Chooses letters and takes their spans.
pub(crate) struct Tracer {
    threshold: Threshold,
    spans: mpsc::Sender<Span>,
    idle: Mutex<Idle>,
    dropped: Arc<AtomicU64>,
}

/// Sends them.
pub(crate) struct Sender {
    collector: Collector,
    hostname: String,
    threshold: Threshold,
    spans: mpsc::Receiver<Span>,
    dropped: Arc<AtomicU64>,
}

/// Letters whose last seven octets are no less are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Threshold(u64);

/// Since when nothing has been done for a letter.
#[derive(Default)]
struct Idle {
    since: HashMap<LetterId, UnixMillis>,
    /// The oldest first.
    order: VecDeque<LetterId>,
}

impl Tracer {
    /// Both ends. `share` of the letters is chosen.
    pub(crate) fn new(collector: Collector, hostname: String, share: f64) -> (Self, Sender) {
        let (threshold, dropped) = (Threshold::of(share), Arc::new(AtomicU64::new(0)));
        let (sender, spans) = mpsc::channel(WAITING_MAX);
        let tracer = Self { threshold, spans: sender, idle: Mutex::default(), dropped: Arc::clone(&dropped) };
        (tracer, Sender { collector, hostname, threshold, spans, dropped })
    }

    fn send(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The wait that this step has ended.
    fn waited(&self, letter: LetterId, lasted: Lasted) -> Option<Span> {
        let since = self.idle.lock().unwrap_or_else(PoisonError::into_inner).next(letter, lasted.ended)?;
        span::wait(letter, since, lasted.began)
    }
}

impl Follow for Tracer {
    fn wants(&self, letter: LetterId) -> bool {
        self.threshold.chooses(letter)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the others end no wait and begin none")]
    fn step(&self, letter: LetterId, step: Step<'_>, lasted: Lasted) {
        if let Step::Event(event) = step {
            match event {
                Event::Accepted { .. } => {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).next(letter, lasted.ended);
                }
                Event::Attempt { .. } | Event::Stored { .. } => {
                    self.waited(letter, lasted).into_iter().for_each(|wait| self.send(wait))
                }
                Event::Bounced { bounce, .. } if self.wants(*bounce) => {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).next(*bounce, lasted.ended);
                    self.send(span::made(*bounce, letter, lasted.ended));
                }
                _ => {}
            }
        }
        span::of(letter, step, lasted).into_iter().for_each(|span| self.send(span));
    }
}

impl Threshold {
    /// (OpenTelemetry, "Probability Sampling", `th`.)
    fn of(share: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 2^56, which a float has exactly, and saturating"
        )]
        Self(((1.0 - share.clamp(0.0, 1.0)) * CHANCES) as u64)
    }

    fn chooses(self, letter: LetterId) -> bool {
        let random = letter.to_bytes().into_iter().skip(9).fold(0, |sum, octet| sum << 8 | u64::from(octet));
        random >= self.0
    }

    /// As `tracestate` says it: a collector may count each span for as many as it stands for.
    fn state(self) -> String {
        let digits = format!("{:014x}", self.0);
        let digits = digits.trim_end_matches('0');
        format!("ot=th:{}", if digits.is_empty() { "0" } else { digits })
    }
}

impl Idle {
    /// Since when nothing had been done until now; from `now` on nothing is done.
    fn next(&mut self, letter: LetterId, now: UnixMillis) -> Option<UnixMillis> {
        let before = self.since.insert(letter, now);
        if before.is_none() {
            self.order.push_back(letter);
            if self.order.len() > LETTERS_MAX {
                let oldest = self.order.pop_front();
                oldest.into_iter().for_each(|oldest| {
                    self.since.remove(&oldest);
                });
            }
        }
        before
    }
}

impl Sender {
    /// Sends what comes, until `shutdown`, and then what is there.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        let mut trouble = Trouble { what: "the traces", why: None };
        let mut batch: Vec<Value> = Vec::new();
        loop {
            select! {
                () = self.gather(&mut batch) => {}
                () = shutdown.requested() => break,
            }
            let sent = select! {
                sent = self.collector.post(PATH, self.document(&batch)) => sent,
                () = shutdown.requested() => break,
            };
            trouble.say(&self.collector, sent.as_ref().err());
            match sent {
                Err(Missed { again: true, .. }) => {}
                Err(Missed { again: false, .. }) => {
                    self.dropped.fetch_add(u64::try_from(batch.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
                    batch.clear();
                }
                Ok(()) => {
                    batch.clear();
                    self.account();
                }
            }
        }
        while let (true, Ok(span)) = (batch.len() < SPANS_AT_ONCE, self.spans.try_recv()) {
            batch.push(self.one(span));
        }
        if !batch.is_empty() {
            // What does not get there now never does.
            let _ = clock::timeout(FAREWELL, self.collector.post(PATH, self.document(&batch))).await;
        }
    }

    /// Waits for spans, and a little for more. What is in `batch` already is to be sent again after a while.
    async fn gather(&mut self, batch: &mut Vec<Value>) {
        if !batch.is_empty() {
            clock::sleep(GATHER).await;
        } else if let Some(span) = self.spans.recv().await {
            batch.push(self.one(span));
        } else {
            // Nobody records anything any more.
            return std::future::pending().await;
        }
        let until = clock::now() + GATHER;
        while batch.len() < SPANS_AT_ONCE {
            match clock::timeout_at(until, self.spans.recv()).await {
                Ok(Some(span)) => batch.push(self.one(span)),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn one(&self, span: Span) -> Value {
        let mut span = span.document(random::u64());
        if let Some(fields) = span.as_object_mut() {
            fields.insert("traceState".to_owned(), self.threshold.state().into());
        }
        span
    }

    /// Says how many were dropped, once there is somebody again.
    fn account(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            warn!(dropped, "spans of traces were dropped: their collector took fewer than there were");
        }
    }

    /// An `ExportTraceServiceRequest`.
    fn document(&self, spans: &[Value]) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let scope = json!({ "name": "posthouse", "version": version });
        let spans = json!([{ "scope": scope, "spans": spans }]);
        json!({ "resourceSpans": [{ "resource": resource(version, &self.hostname), "scopeSpans": spans }] }).to_string()
    }
}

#[cfg(test)]
mod tests;
