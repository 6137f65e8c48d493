//! How much comes from one address, one network, one account in a time.
//!
//! Each limit is a bucket that drains evenly: what is allowed in the time may come at once, and then as it drains. The state is in memory, of
//! bounded size, and shared by all connections; it does not outlive the process. A limit of 0 is none, and costs nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use posthouse_config::{ByteSize, Network, Period};
use posthouse_mail::Status;
use posthouse_runtime::{clock, origin};
use posthouse_smtp::server::{Reason, Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

/// The buckets kept: about 20 MB.
const BUCKETS_MAX: usize = 200_000;

/// `[intake.rates]`: how much may come in a time, counted over connections.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rates {
    /// The time in which the limits below count.
    pub per: Period,
    /// Networks that are not counted by address and network, beside the trusted ones; accounts are counted wherever they log in.
    pub exempt: Vec<Network>,
    /// From one address (IPv6: one /64).
    pub address: RateLimits,
    /// From one network: an IPv4 /24, an IPv6 /48.
    pub network: RateLimits,
    /// From one account, over all its connections.
    pub account: RateLimits,
}

/// Limits within the time; 0 is none.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RateLimits {
    /// Connections.
    pub connections: u32,
    /// Letters.
    pub letters: u32,
    /// Recipients of letters.
    pub recipients: u32,
    /// Recipients in one domain.
    pub recipients_per_domain: u32,
    /// The octets of letters.
    pub size: ByteSize,
    /// Commands, recipients and letters that were refused for good: a search for addresses, a broken program. Beyond it connections are refused.
    pub errors: u32,
}

impl Default for Rates {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        Self {
            per: Period::hours(1),
            exempt: loopback.iter().filter_map(|text| text.parse().ok()).collect(),
            address: RateLimits { errors: 500, ..RateLimits::default() },
            network: RateLimits { errors: 5_000, ..RateLimits::default() },
            account: RateLimits::default(),
        }
    }
}

/// The counts of a server. A clone is another handle to the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Mutex<HashMap<Key, Instant>>>);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Connections,
    Letters,
    Recipients,
    Size,
    Errors,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Address(IpAddr),
    Network(IpAddr),
    Account(String),
    /// A domain, as a destination of one of the above.
    Domain(Box<Subject>, String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    subject: Subject,
    what: What,
}

/// Who is counted.
pub(crate) struct Counted<'a> {
    pub(crate) meter: &'a Meter,
    pub(crate) rates: &'a Rates,
    pub(crate) peer: IpAddr,
    /// Whether the peer's address counts.
    pub(crate) by_address: bool,
    pub(crate) account: Option<&'a str>,
}

impl Counted<'_> {
    /// Takes `count` out of what is left; when it does not fit anywhere nothing is taken, and the answer is how long until it does.
    pub(crate) fn take(&self, what: What, count: u64) -> Result<(), Duration> {
        let limits = self.limits(what);
        let now = clock::now();
        let waits = limits.iter().filter_map(|(key, limit)| self.meter.wait(key, *limit, count, self.rates.per.duration(), now));
        if let Some(wait) = waits.max() {
            return Err(wait);
        }
        self.charge_all(limits, count, now);
        Ok(())
    }

    /// As [`Self::take`], of one recipient.
    pub(crate) fn take_recipient(&self, domain: &str) -> Result<(), Duration> {
        let now = clock::now();
        let mut limits = self.limits(What::Recipients);
        let of = |subject: Subject, limits: &RateLimits| {
            let key = Key { subject: Subject::Domain(Box::new(subject), domain.to_owned()), what: What::Recipients };
            (key, u64::from(limits.recipients_per_domain))
        };
        limits.extend(self.subjects().into_iter().map(|(subject, limits)| of(subject, limits)).filter(|(_, limit)| *limit > 0));
        let waits = limits.iter().filter_map(|(key, limit)| self.meter.wait(key, *limit, 1, self.rates.per.duration(), now));
        if let Some(wait) = waits.max() {
            return Err(wait);
        }
        self.charge_all(limits, 1, now);
        Ok(())
    }

    /// Whether anything more fits in, taking nothing.
    pub(crate) fn look(&self, what: What) -> Result<(), Duration> {
        let now = clock::now();
        let limits = self.limits(what);
        let waits = limits.iter().filter_map(|(key, limit)| self.meter.wait(key, *limit, 1, self.rates.per.duration(), now));
        waits.max().map_or(Ok(()), Err)
    }

    /// Counts what has happened already.
    pub(crate) fn charge(&self, what: What, count: u64) {
        self.charge_all(self.limits(what), count, clock::now());
    }

    fn charge_all(&self, limits: Vec<(Key, u64)>, count: u64, now: Instant) {
        for (key, limit) in limits {
            self.meter.charge(key, limit, count, self.rates.per.duration(), now);
        }
    }

    fn subjects(&self) -> Vec<(Subject, &RateLimits)> {
        let mut subjects = Vec::new();
        if self.by_address {
            subjects.push((Subject::Address(origin::host(self.peer)), &self.rates.address));
            subjects.push((Subject::Network(origin::network(self.peer)), &self.rates.network));
        }
        subjects.extend(self.account.map(|account| (Subject::Account(account.to_owned()), &self.rates.account)));
        subjects
    }

    /// The buckets that count, with their limits.
    fn limits(&self, what: What) -> Vec<(Key, u64)> {
        let limit = |limits: &RateLimits| match what {
            What::Connections => limits.connections.into(),
            What::Letters => limits.letters.into(),
            What::Recipients => limits.recipients.into(),
            What::Size => limits.size.bytes(),
            What::Errors => limits.errors.into(),
        };
        let subjects = self.subjects().into_iter().map(|(subject, limits)| (Key { subject, what }, limit(limits)));
        subjects.filter(|(_, limit)| *limit > 0).collect()
    }
}

impl Meter {
    /// How long until `count` fits in; `None`: it does now. More than the whole limit fits into an empty bucket: it can never fit otherwise.
    fn wait(&self, key: &Key, limit: u64, count: u64, per: Duration, now: Instant) -> Option<Duration> {
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = buckets.get(key)?.saturating_duration_since(now);
        let over = (filled + part(per, count.min(limit), limit)).saturating_sub(per);
        // A hundredth of a second is what rounding may add.
        (over > Duration::from_millis(10)).then_some(over)
    }

    fn charge(&self, key: Key, limit: u64, count: u64, per: Duration, now: Instant) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&key) {
            buckets.retain(|_, empty_at| *empty_at > now);
            if buckets.len() >= BUCKETS_MAX {
                // Those that are fullest are those that matter.
                buckets.retain(|_, empty_at| *empty_at > now + per / 2);
            }
            if buckets.len() >= BUCKETS_MAX {
                buckets.clear();
            }
        }
        let empty_at = buckets.entry(key).or_insert(now);
        // Nobody waits for more than two whole times.
        *empty_at = ((*empty_at).max(now) + part(per, count, limit)).min(now + per * 2);
    }
}

/// How long a count of the limit takes to drain.
fn part(per: Duration, count: u64, limit: u64) -> Duration {
    let nanos = per.as_nanos().saturating_mul(count.into()) / u128::from(limit.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(per * 2)
}

/// RFC 3463 §3.8: X.7.1, delivery not authorised; for now.
pub(crate) fn too_much(what: &str, wait: Duration) -> Verdict {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    Verdict::Defer(Reason::new(451, Status::temporary(7, 1), format!("too many {what}, try again in {minutes} min")))
}

#[cfg(test)]
mod tests;
