//! OpenTelemetry: the numbers of the server, and traces of letters, pushed to a collector (OTLP over HTTP, in its JSON encoding).
//!
//! The numbers are those that Prometheus reads, from the same places: gauges from the status, counters from the journal. A collector that is not there, or refuses them, is told of in the
//! log once; the next push has everything again, for counters only grow. Of traces what does not fit into bounded memory meanwhile is dropped and counted ([`traces`]).

mod span;
mod traces;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use posthouse_admin::Status;
use posthouse_http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use posthouse_http::{Client, Limits, Request};
use posthouse_journal::{Count, Journal, METERS};
use posthouse_mail::UnixMillis;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::{clock, select};
use serde_json::{Value, json};
use tracing::{info, warn};

use super::metrics::GAUGES;
use crate::config::OpenTelemetry;

pub(super) use traces::Tracer;

/// How long the collector may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// What is read of its answer.
const LIMITS: Limits = Limits { body_bytes_max: 64 * 1024 };
/// OTLP over HTTP, "Endpoint URLs".
const PATH: &str = "/v1/metrics";
/// "Retryable Response Codes".
const AGAIN: [u16; 4] = [429, 502, 503, 504];
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`: each value counts from the start.
const CUMULATIVE: u32 = 2;

/// The collector. Clones share its connection's makings.
#[derive(Clone)]
pub(super) struct Collector {
    pub(super) settings: OpenTelemetry,
    pub(super) client: Client,
}

/// Why something did not reach the collector.
#[derive(Debug, PartialEq, Eq)]
struct Missed {
    why: String,
    /// Whether the same may be sent again (OTLP, "Failures").
    again: bool,
}

/// What is said in the log of a collector: when it begins to fail, and when that is over.
struct Trouble {
    /// `the numbers`, `the traces`.
    what: &'static str,
    why: Option<String>,
}

/// Pushes the numbers.
pub(super) struct Pusher {
    pub(super) collector: Collector,
    pub(super) status: Arc<dyn Fn() -> Status + Send + Sync>,
    pub(super) journal: Journal,
}

impl Pusher {
    /// Pushes every so often, until `shutdown`.
    pub(super) async fn run(self, shutdown: Shutdown) {
        let started = nanos();
        let mut trouble = Trouble { what: "the numbers", why: None };
        loop {
            select! {
                () = clock::sleep(self.collector.settings.every.duration()) => {}
                () = shutdown.requested() => return,
            }
            let body = document(&(self.status)(), &self.journal.counts(), &started, &nanos()).to_string();
            let pushed = select! {
                pushed = self.collector.post(PATH, body) => pushed,
                () = shutdown.requested() => return,
            };
            trouble.say(&self.collector, pushed.as_ref().err());
        }
    }
}

impl Trouble {
    fn say(&mut self, collector: &Collector, missed: Option<&Missed>) {
        let (url, what) = (&collector.settings.url, self.what);
        match missed {
            Some(Missed { why, .. }) if self.why.as_ref() != Some(why) => {
                warn!(url, why, "{what} do not reach their collector");
                self.why = Some(why.clone());
            }
            Some(_) => {}
            None if self.why.take().is_some() => info!(url, "{what} reach their collector again"),
            None => {}
        }
    }
}

impl Collector {
    async fn post(&self, path: &str, body: String) -> Result<(), Missed> {
        let later = |why: String| Missed { why, again: true };
        let never = |why: String| Missed { why, again: false };
        let url = format!("{}{path}", self.settings.url.trim_end_matches('/'));
        let mut request = Request::post(url).header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.settings.authorization {
            let mut value = HeaderValue::from_str(authorization.expose()).map_err(|error| never(error.to_string()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(Bytes::from(body)).map_err(|error| never(error.to_string()))?;
        let response = self.client.send(request, LIMITS).await.map_err(|error| later(error.to_string()))?;
        let status = response.status();
        if !status.is_success() {
            return Err(Missed { why: format!("it answers {status}"), again: AGAIN.contains(&status.as_u16()) });
        }
        // "Partial Success": what was refused is said in a 200.
        let said: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        match said.pointer("/partialSuccess/errorMessage").and_then(Value::as_str) {
            Some(words) if !words.is_empty() => Err(never(format!("it refuses some of them: {words}"))),
            Some(_) | None => Ok(()),
        }
    }
}

/// Who we are: the resource that everything is about.
fn resource(version: &str, hostname: &str) -> Value {
    let resource = [("service.name", "posthouse"), ("service.version", version), ("host.name", hostname)];
    let resource: Vec<Value> = resource.into_iter().map(|(key, value)| attribute(key, value)).collect();
    json!({ "attributes": resource })
}

/// Nanoseconds since 1970, as the JSON mapping writes 64 bits: a text.
fn nanos() -> String {
    nanos_of(UnixMillis(clock::unix_millis()))
}

fn nanos_of(at: UnixMillis) -> String {
    (u128::from(at.0) * 1_000_000).to_string()
}

/// An `ExportMetricsServiceRequest`.
fn document(status: &Status, counts: &[Count], started: &str, now: &str) -> Value {
    let gauges = GAUGES.iter().map(|gauge| {
        let points = (gauge.read)(status).into_iter();
        let points: Vec<Value> = points.map(|(value, number)| point(gauge.label, value, number, None, now)).collect();
        json!({ "name": format!("posthouse.{}", gauge.name), "description": gauge.help, "gauge": { "dataPoints": points } })
    });
    let sums = METERS.iter().map(|meter| {
        let of = counts.iter().filter(|count| count.meter == *meter);
        let points: Vec<Value> = of.map(|count| point(meter.label, count.value, count.count, Some(started), now)).collect();
        let sum = json!({ "aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points });
        json!({ "name": format!("posthouse.{}", meter.name), "description": meter.help, "sum": sum })
    });
    json!({ "resourceMetrics": [{
        "resource": resource(&status.version, &status.hostname),
        "scopeMetrics": [{
            "scope": { "name": "posthouse", "version": status.version },
            "metrics": gauges.chain(sums).collect::<Vec<_>>(),
        }],
    }] })
}

fn point(label: &str, value: &str, number: u64, started: Option<&str>, now: &str) -> Value {
    let attributes: Vec<Value> = (!label.is_empty()).then(|| attribute(label, value)).into_iter().collect();
    // `asInt` is signed.
    let number = i64::try_from(number).unwrap_or(i64::MAX).to_string();
    let mut point = json!({ "attributes": attributes, "timeUnixNano": now, "asInt": number });
    if let (Some(started), Some(fields)) = (started, point.as_object_mut()) {
        fields.insert("startTimeUnixNano".to_owned(), started.into());
    }
    point
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}
