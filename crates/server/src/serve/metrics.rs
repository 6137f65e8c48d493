//! The numbers of the server for Prometheus, over HTTP on a `metrics` listener.
//!
//! Counters are the journal's, gauges those of `posthouse status`; nothing else is asked, so that a reader who comes every few seconds costs nothing. Every name is declared here or in the journal, with
//! what it means, and the reference is made from that.

use std::fmt::Write as _;
use std::sync::Arc;

use posthouse_admin::{AlarmName, Status};
use posthouse_http::{Asked, Page, StatusCode};
use posthouse_journal::{Count, Journal, METERS};
use posthouse_runtime::gate::{Gate, Limits};
use posthouse_runtime::net::Stream;

/// Connections at a time, in all and from one address.
const CONNECTIONS: Limits = Limits { in_all: 16, per_address: 16, per_network: 16 };
/// The text format of Prometheus.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const PATH: &str = "/metrics";

/// A number that goes up and down.
pub(crate) struct Gauge {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    /// What it is given by; empty: by nothing.
    pub(crate) label: &'static str,
    pub(super) read: fn(&Status) -> Vec<(&str, u64)>,
}

/// Everything that goes up and down.
pub(crate) const GAUGES: [Gauge; 15] = [
    Gauge {
        name: "taking_mail",
        help: "1 while mail is taken, 0 while it is refused for lack of memory, disk or room, or because the spool has failed.",
        label: "",
        read: |status| one(u64::from(status.refusing.is_none())),
    },
    Gauge {
        name: "troubles",
        help: "What is wrong now, by the name of its alarm.",
        label: "name",
        read: |status| AlarmName::ALL.into_iter().map(|name| (name.as_str(), troubles(status, name))).collect(),
    },
    Gauge { name: "uptime_seconds", help: "Seconds since the start.", label: "", read: |status| one(status.uptime) },
    Gauge {
        name: "connections_open",
        help: "Connections that are open.",
        label: "protocol",
        read: |status| status.connections.iter().map(|of| (of.protocol.as_str(), number(of.open))).collect(),
    },
    Gauge {
        name: "connections_max",
        help: "Connections that may be open.",
        label: "protocol",
        read: |status| status.connections.iter().map(|of| (of.protocol.as_str(), number(of.max))).collect(),
    },
    Gauge { name: "queue_letters", help: "Undelivered letters.", label: "", read: |status| one(number(status.queue.letters)) },
    Gauge { name: "queue_octets", help: "Their octets.", label: "", read: |status| one(status.queue.octets) },
    Gauge {
        name: "queue_letters_max",
        help: "The letters that the queue takes; 0: any number.",
        label: "",
        read: |status| one(number(status.queue.letters_max)),
    },
    Gauge {
        name: "queue_suspensions",
        help: "Destinations that an operator has suspended.",
        label: "",
        read: |status| one(number(status.queue.suspensions.len())),
    },
    Gauge {
        name: "dkim_keys",
        help: "Keys for whose record the DNS has something to be done: those that wait for it, that sign without one, that sign no more.",
        label: "state",
        read: |status| {
            let of = |state: &'static str| (state, number(status.keys.iter().filter(|key| key.state == state).count()));
            ["waiting", "signing", "retired"].map(of).to_vec()
        },
    },
    Gauge {
        name: "disk_free_octets",
        help: "What is left of the disk that the spool lies on.",
        label: "",
        read: |status| status.disk.free.map(|free| ("", free)).into_iter().collect(),
    },
    Gauge {
        name: "memory_resident_octets",
        help: "Memory of the process.",
        label: "",
        read: |status| status.memory.resident.map(|resident| ("", resident)).into_iter().collect(),
    },
    Gauge {
        name: "journal_lost",
        help: "Journal entries that were lost since the start, because more came than could be written.",
        label: "",
        read: |status| one(status.journal_lost),
    },
    Gauge {
        name: "maildrop_letters",
        help: "Letters in the maildrop that wait to be taken.",
        label: "",
        read: |status| status.maildrop.iter().map(|drop| ("", number(drop.waiting))).collect(),
    },
    Gauge {
        name: "maildrop_set_aside",
        help: "Files in the maildrop that could not be taken.",
        label: "",
        read: |status| status.maildrop.iter().map(|drop| ("", number(drop.set_aside))).collect(),
    },
];

/// What these connections work with.
#[derive(Clone)]
pub(super) struct Metrics {
    gate: Gate,
    status: Arc<dyn Fn() -> Status + Send + Sync>,
    journal: Journal,
}

impl Metrics {
    pub(super) fn new(status: Arc<dyn Fn() -> Status + Send + Sync>, journal: Journal) -> Self {
        Self { gate: Gate::new(CONNECTIONS), status, journal }
    }

    fn find(&self, asked: &Asked) -> Page {
        if asked.path != PATH {
            return Page::text(StatusCode::NOT_FOUND, "The numbers are at /metrics.\n");
        }
        let text = render(&(self.status)(), &self.journal.counts());
        Page { status: StatusCode::OK, content_type: CONTENT_TYPE, body: text.into() }
    }
}

/// Takes one connection to its end.
pub(super) async fn serve(stream: Stream, metrics: &Metrics) {
    let Ok(_pass) = metrics.gate.enter(stream.peer_addr().ip()) else { return };
    posthouse_http::answer(stream, |asked| async move { metrics.find(&asked) }).await;
}

/// The text format (Prometheus, "Exposition formats").
fn render(status: &Status, counts: &[Count]) -> String {
    let mut text = String::with_capacity(8 * 1024);
    head(&mut text, "info", "gauge", "The version that runs.");
    line(&mut text, "info", ("version", &status.version), 1);
    for gauge in &GAUGES {
        head(&mut text, gauge.name, "gauge", gauge.help);
        (gauge.read)(status).into_iter().for_each(|(value, number)| line(&mut text, gauge.name, (gauge.label, value), number));
    }
    for meter in METERS {
        let name = format!("{}_total", meter.name);
        head(&mut text, &name, "counter", meter.help);
        let of = counts.iter().filter(|count| count.meter == meter);
        of.for_each(|count| line(&mut text, &name, (meter.label, count.value), count.count));
    }
    text
}

// Writing to a String cannot fail.
fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(text, "# HELP posthouse_{name} {help}\n# TYPE posthouse_{name} {kind}\n");
}

/// The values of labels are words of ours, without quotes, backslashes and line ends.
fn line(text: &mut String, name: &str, (label, value): (&str, &str), number: u64) {
    let labels = if label.is_empty() { String::new() } else { format!("{{{label}=\"{value}\"}}") };
    let _ = writeln!(text, "posthouse_{name}{labels} {number}");
}

fn troubles(status: &Status, name: AlarmName) -> u64 {
    number(status.troubles.iter().filter(|trouble| trouble.name == name).count())
}

fn one<'a>(number: u64) -> Vec<(&'a str, u64)> {
    vec![("", number)]
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The page of the reference.
pub(crate) fn reference() -> String {
    let mut text = String::from("# The metrics\n\n<!-- Made by `posthouse reference metrics`. -->\n\n");
    text.push_str("Served by a `metrics` listener at `/metrics`. Counters begin at zero with each start of the server.\n\n");
    text.push_str("| Name | Kind | Labels | Meaning |\n|---|---|---|---|\n");
    text.push_str("| `posthouse_info` | gauge | `version` | The version that runs. |\n");
    for gauge in &GAUGES {
        let label = if gauge.label.is_empty() { String::new() } else { format!("`{}`", gauge.label) };
        let _ = writeln!(text, "| `posthouse_{}` | gauge | {label} | {} |", gauge.name, gauge.help);
    }
    for meter in METERS {
        let values: Vec<String> = meter.values.iter().map(|value| format!("`{value}`")).collect();
        let label = if meter.label.is_empty() { String::new() } else { format!("`{}`: {}", meter.label, values.join(", ")) };
        let _ = writeln!(text, "| `posthouse_{}_total` | counter | {label} | {} |", meter.name, meter.help);
    }
    text
}
