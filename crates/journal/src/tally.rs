//! How many events of each kind were recorded since the start.
//!
//! Whatever happens to a letter or a log-in is recorded, so this is the one place that counts, and a number never says something else than the timelines. What stands in a label is
//! one of a few words that are written here: nothing a peer says becomes one, so that nobody can make the numbers many.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::entry::{Event, Finding, Outcome};

/// One thing that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    /// Its name, in words parted by `_`.
    pub name: &'static str,
    /// What is counted.
    pub help: &'static str,
    /// What it is counted by; empty: by nothing.
    pub label: &'static str,
    /// The label's values; the last takes whatever else there may be.
    pub values: &'static [&'static str],
}

/// Everything that is counted.
pub const METERS: [Meter; 14] = [
    Meter {
        name: "letters_accepted",
        help: "Letters taken in, by the listener they came to.",
        label: "listener",
        values: &["mx", "submission", "submissions", "lmtp", "local", "other"],
    },
    Meter { name: "octets_accepted", help: "Octets of letters taken in.", label: "", values: &[""] },
    Meter {
        name: "refusals",
        help: "Connections, commands, senders, recipients and letters refused or put off, by stage.",
        label: "stage",
        values: &["connect", "hello", "starttls", "auth", "sender", "recipient", "letter", "command", "other"],
    },
    Meter { name: "spf", help: "SPF verdicts on letters from other servers.", label: "result", values: RESULTS },
    Meter { name: "dkim", help: "DKIM verdicts, one for each signature.", label: "result", values: RESULTS },
    Meter { name: "dmarc", help: "DMARC verdicts on letters from other servers.", label: "result", values: RESULTS },
    Meter {
        name: "attempts",
        help: "Attempts to deliver, by recipient and how they ended.",
        label: "outcome",
        values: &["delivered", "deferred", "failed"],
    },
    Meter { name: "stored", help: "Letters put into mailboxes here.", label: "", values: &[""] },
    Meter { name: "bounces", help: "Recipients that were given up, whose sender was told.", label: "", values: &[""] },
    Meter { name: "discarded", help: "Recipients that were given up without telling anybody.", label: "", values: &[""] },
    Meter {
        name: "expired",
        help: "Letters that were removed from Junk folders because of their age.",
        label: "",
        values: &[""],
    },
    Meter { name: "logins", help: "Log-ins that succeeded.", label: "protocol", values: &["smtp", "pop3", "other"] },
    Meter { name: "failed_logins", help: "Log-ins that did not.", label: "protocol", values: &["smtp", "pop3", "other"] },
    Meter { name: "operator_actions", help: "Changes that operators made to the queue.", label: "", values: &[""] },
];

const RESULTS: &[&str] = &["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror", "other"];

/// The counters.
#[derive(Debug)]
pub(crate) struct Tally(Vec<(Meter, Vec<AtomicU64>)>);

/// One number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// What is counted.
    pub meter: Meter,
    /// The value of its label.
    pub value: &'static str,
    /// How many.
    pub count: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let zeroes = |meter: Meter| (meter, meter.values.iter().map(|_| AtomicU64::new(0)).collect());
        Self(METERS.into_iter().map(zeroes).collect())
    }

    /// All of them, in the order of [`METERS`].
    pub(crate) fn counts(&self) -> Vec<Count> {
        let of = |(meter, counters): &(Meter, Vec<AtomicU64>)| {
            let each = meter.values.iter().zip(counters);
            let meter = *meter;
            each.map(move |(value, counter)| Count { meter, value, count: counter.load(Ordering::Relaxed) }).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    pub(crate) fn count(&self, event: &Event) {
        match event {
            Event::Accepted { listener, size, .. } => {
                self.add("letters_accepted", listener, 1);
                self.add("octets_accepted", "", *size);
            }
            Event::Refused { stage, .. } => self.add("refusals", stage, 1),
            Event::Verified { findings, .. } => findings.iter().for_each(|finding| self.verdict(finding)),
            Event::Attempt { also, outcome, .. } => {
                let value = match outcome {
                    Outcome::Delivered => "delivered",
                    Outcome::Deferred => "deferred",
                    Outcome::Failed => "failed",
                };
                self.add("attempts", value, 1 + u64::try_from(also.len()).unwrap_or(u64::MAX));
            }
            Event::Stored { .. } => self.add("stored", "", 1),
            Event::Bounced { .. } => self.add("bounces", "", 1),
            Event::Discarded { .. } => self.add("discarded", "", 1),
            Event::Expired { .. } => self.add("expired", "", 1),
            Event::Login { protocol, ok, .. } => self.add(if *ok { "logins" } else { "failed_logins" }, protocol, 1),
            Event::Operator { .. } => self.add("operator_actions", "", 1),
            Event::Expanded { .. }
            | Event::Waiting { .. }
            | Event::Fetched { .. }
            | Event::Filtered { .. }
            | Event::Reported { .. }
            | Event::Filed { .. }
            | Event::Unread { .. } => {}
        }
    }

    fn verdict(&self, finding: &Finding) {
        if matches!(finding.method.as_str(), "spf" | "dkim" | "dmarc") {
            self.add(&finding.method, &finding.result, 1);
        }
    }

    fn add(&self, name: &str, value: &str, count: u64) {
        let Some((meter, counters)) = self.0.iter().find(|(meter, _)| meter.name == name) else { return };
        let known = meter.values.iter().position(|known| *known == value);
        if let Some(counter) = known.map_or(counters.last(), |place| counters.get(place)) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
