//! Steps of a letter as spans, in the words of OpenTelemetry's semantic conventions where it has some, else in ours (`posthouse.…`).
//!
//! The trace's id is the letter's, all its 16 octets, and the span that everything hangs on has the last eight of them: so spans of one letter find each other over restarts, and whoever has a
//! letter's id has its trace. What peers said is cut to a bounded length.

use std::net::{IpAddr, SocketAddr};

use posthouse_journal::{Event, Finding, Outcome, Span as Lasted, Step};
use posthouse_mail::{LetterId, UnixMillis};
use serde_json::{Value, json};

use super::{attribute, nanos_of};

/// The characters of one value.
const VALUE_MAX: usize = 500;
/// `SPAN_KIND_…`.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// A span that is to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    letter: LetterId,
    name: &'static str,
    kind: u8,
    lasted: Lasted,
    /// Whether it is the one that the others hang on.
    is_root: bool,
    attributes: Vec<Value>,
    events: Vec<Value>,
    /// Another letter's trace.
    link: Option<LetterId>,
    /// What went wrong.
    error: Option<String>,
}

/// The span of a step; none of those that take no time and are no end, which the timeline has.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a new kind of event is in the timeline, and no span until somebody makes it one"
)]
pub(super) fn of(letter: LetterId, step: Step<'_>, lasted: Lasted) -> Option<Span> {
    let span = |name, kind| Span::new(letter, name, kind, lasted);
    Some(match step {
        Step::Asked { filter } => span("filter", INTERNAL).text("posthouse.filter", filter),
        Step::Event(event) => match event {
            Event::Accepted { .. } => accepted(span("accept", SERVER), letter, event),
            Event::Verified { findings, action, .. } => verified(span("verify", INTERNAL), findings, action),
            Event::Filtered { filter, changes } => {
                span("change", INTERNAL).text("posthouse.filter", filter).text("posthouse.changes", &changes.join("; "))
            }
            Event::Attempt { .. } => attempt(span("deliver", CLIENT), event),
            Event::Stored { to, folder, .. } => span("store", INTERNAL)
                .text("posthouse.recipient.domain", domain(to))
                .text("posthouse.folder", folder.as_deref().unwrap_or("inbox")),
            Event::Bounced { bounce, .. } => Span { link: Some(*bounce), ..span("bounce", INTERNAL) },
            Event::Discarded { why, .. } => span("discard", INTERNAL).text("posthouse.reason", why),
            _ => return None,
        },
    })
}

/// The time in which nothing was done for a letter: from its acceptance, or the last attempt, until the next.
pub(super) fn wait(letter: LetterId, from: UnixMillis, until: UnixMillis) -> Option<Span> {
    (from < until).then(|| Span::new(letter, "wait", INTERNAL, Lasted { began: from, ended: until }))
}

/// The first span of a bounce: it was made here, and nobody brought it.
pub(super) fn made(bounce: LetterId, of: LetterId, at: UnixMillis) -> Span {
    Span { is_root: true, link: Some(of), ..Span::new(bounce, "bounce", INTERNAL, Lasted::at(at)) }
}

fn accepted(span: Span, letter: LetterId, event: &Event) -> Span {
    let Event::Accepted { listener, peer, tls, account, from, to, size, message_id, .. } = event else { return span };
    let mut span = Span { is_root: true, ..span }
        .text("posthouse.letter", &letter.to_string())
        .text("posthouse.listener", listener)
        .text("network.protocol.name", "smtp")
        .text("posthouse.sender.domain", domain(from))
        .number("posthouse.recipients", to.len())
        .number("messaging.message.envelope.size", usize::try_from(*size).unwrap_or(usize::MAX));
    span = span.tls(tls.as_deref());
    if let Some(peer) = peer {
        span = span.text("client.address", &peer.to_string());
    }
    if let Some(id) = message_id {
        span = span.text("messaging.message.id", id);
    }
    if account.is_some() {
        span.attributes.push(json!({ "key": "posthouse.authenticated", "value": { "boolValue": true } }));
    }
    span
}

fn verified(mut span: Span, findings: &[Finding], action: &str) -> Span {
    let at = nanos_of(span.lasted.ended);
    for Finding { method, result, domain, reason, .. } in findings {
        let attributes = [("posthouse.result", result), ("posthouse.domain", domain), ("posthouse.reason", reason)];
        let attributes: Vec<Value> = attributes.iter().map(|(key, value)| attribute(key, cut(value))).collect();
        span.events.push(json!({ "timeUnixNano": at, "name": cut(method), "attributes": attributes }));
    }
    span.text("posthouse.action", action)
}

fn attempt(mut span: Span, event: &Event) -> Span {
    let Event::Attempt { to, also, host, address, tls, policy, reply, outcome, .. } = event else { return span };
    if address.is_none() {
        span.kind = INTERNAL;
    }
    let (code, status) = codes(reply);
    let outcome = match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Deferred => "deferred",
        Outcome::Failed => "failed",
    };
    span = span
        .text("posthouse.outcome", outcome)
        .text("posthouse.recipient.domain", domain(to))
        .number("posthouse.recipients", also.len() + 1)
        .text("posthouse.reply", reply)
        .tls(tls.as_deref());
    if let Some(host) = host {
        span = span.text("server.address", host);
    }
    if let Some(address) = address {
        span = span.peer(*address);
    }
    if let Some(policy) = policy {
        span = span.text("posthouse.tls.policy", policy);
    }
    if let Some(status) = status {
        span = span.text("posthouse.reply.status", status);
    }
    if let Some(code) = code {
        span = span.number("posthouse.reply.code", code.into());
    }
    if outcome != "delivered" {
        span.error = Some(cut(reply).to_owned());
        span = span.text("error.type", &code.map_or_else(|| outcome.to_owned(), |code| code.to_string()));
    }
    span
}

impl Span {
    fn new(letter: LetterId, name: &'static str, kind: u8, lasted: Lasted) -> Self {
        let (attributes, events) = (Vec::new(), Vec::new());
        Self { letter, name, kind, lasted, is_root: false, attributes, events, link: None, error: None }
    }

    fn text(mut self, key: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.attributes.push(attribute(key, cut(value)));
        }
        self
    }

    fn number(mut self, key: &str, value: usize) -> Self {
        self.attributes.push(json!({ "key": key, "value": { "intValue": value.to_string() } }));
        self
    }

    /// `TLSv1.3 TLS13_AES_256_GCM_SHA384 X25519MLKEM768`.
    fn tls(self, tls: Option<&str>) -> Self {
        let Some(tls) = tls else { return self };
        let mut words = tls.split(' ');
        let version = words.next().unwrap_or_default();
        let span = self.text("tls.protocol.name", "tls").text("tls.protocol.version", version.trim_start_matches("TLSv"));
        let span = span.text("tls.cipher", words.next().unwrap_or_default());
        span.text("tls.curve", words.next().unwrap_or_default())
    }

    fn peer(self, address: SocketAddr) -> Self {
        let kind = if matches!(address.ip().to_canonical(), IpAddr::V4(_)) { "ipv4" } else { "ipv6" };
        let span = self.text("network.protocol.name", "smtp").text("network.transport", "tcp").text("network.type", kind);
        span.text("network.peer.address", &address.ip().to_string()).number("network.peer.port", address.port().into())
    }

    /// As the collector reads it; `id` is that of a span that is no root.
    pub(super) fn document(self, id: u64) -> Value {
        let Self { letter, name, kind, lasted, is_root, attributes, events, link, error } = self;
        let root = root(letter);
        let mut span = json!({
            "traceId": trace(letter),
            "spanId": if is_root { root.clone() } else { format!("{:016x}", id.max(1)) },
            "name": name,
            "kind": kind,
            "startTimeUnixNano": nanos_of(lasted.began.min(lasted.ended)),
            "endTimeUnixNano": nanos_of(lasted.ended),
            "attributes": attributes,
        });
        let Some(fields) = span.as_object_mut() else { return span };
        if !is_root {
            fields.insert("parentSpanId".to_owned(), root.into());
        }
        if !events.is_empty() {
            fields.insert("events".to_owned(), events.into());
        }
        if let Some(link) = link {
            // Named by its first span, which the letter's id gives.
            fields.insert("links".to_owned(), json!([{ "traceId": trace(link), "spanId": self::root(link) }]));
        }
        if let Some(message) = error {
            fields.insert("status".to_owned(), json!({ "code": ERROR, "message": message }));
        }
        span
    }
}

/// The letter's id is the trace's.
fn trace(letter: LetterId) -> String {
    hex(&letter.to_bytes())
}

/// The last eight octets of the letter's id, which were drawn by chance.
fn root(letter: LetterId) -> String {
    let octets = letter.to_bytes();
    hex(octets.get(8..).unwrap_or_default())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// `550` and `5.1.1` of `550 5.1.1 nobody`.
fn codes(reply: &str) -> (Option<u16>, Option<&str>) {
    let mut words = reply.split([' ', '-']);
    let code = words.next().filter(|word| word.len() == 3).and_then(|word| word.parse().ok());
    let is_status =
        |word: &&str| word.split('.').count() == 3 && word.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    (code, words.next().filter(is_status))
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain.trim_end_matches('>'))
}

fn cut(value: &str) -> &str {
    value.char_indices().nth(VALUE_MAX).map_or(value, |(end, _)| value.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests;
