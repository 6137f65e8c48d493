//! `check_host()` (RFC 7208 §4) over the records of the DNS, within its limits.

use std::net::IpAddr;
use std::pin::Pin;

use posthouse_dns::{DnsError, Kind, Name, Record};

use super::macros::{MacroString, Values};
use super::record::{self, Cidr, Directive, Mechanism, SpfRecord};
use super::{Question, SpfResult};
use crate::lookup::{Looked, Lookups};

/// §4.6.4: terms that ask the DNS.
const LOOKUPS_MAX: u32 = 10;
/// §4.6.4: answers without records.
const VOID_LOOKUPS_MAX: u32 = 2;
/// §4.6.4: hosts of an MX, names of an address.
const HOSTS_MAX: usize = 10;
/// Includes and redirects each count as a lookup, so this is never the first limit.
const DEPTH_MAX: u32 = LOOKUPS_MAX + 1;

/// A check under way.
pub(super) struct Evaluation<'a> {
    lookups: Lookups<'a>,
    question: Question<'a>,
    local: &'a str,
    sender_domain: &'a str,
    asked: u32,
    void: u32,
    /// The validated names of the address; found once.
    validated: Option<Vec<Name>>,
    /// What matched in the record that was included last: how, and where.
    included: Option<(String, Option<Name>)>,
}

/// What a record says.
pub(super) struct Found {
    pub(super) result: SpfResult,
    pub(super) reason: String,
    pub(super) mechanism: Option<String>,
    /// The domain whose record says so, at the end of all includes and redirects.
    pub(super) place: Option<Name>,
    /// Where the explanation of a failure is, and the domain it is of.
    pub(super) exp: Option<(MacroString, Name)>,
}

/// Why the evaluation ends at once.
enum Stop {
    Temporary(String),
    Permanent(String),
}

impl Found {
    fn new(result: SpfResult, reason: impl Into<String>) -> Self {
        Self { result, reason: reason.into(), mechanism: None, place: None, exp: None }
    }
}

impl From<Stop> for Found {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Temporary(why) => Self::new(SpfResult::Temperror, why),
            Stop::Permanent(why) => Self::new(SpfResult::Permerror, why),
        }
    }
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(lookups: Lookups<'a>, question: Question<'a>, local: &'a str, sender_domain: &'a str) -> Self {
        Self { lookups, question, local, sender_domain, asked: 0, void: 0, validated: None, included: None }
    }

    pub(super) fn into_looked(self) -> Vec<Looked> {
        self.lookups.into_looked()
    }

    /// Boxed, because includes come back here.
    pub(super) fn check_host(&mut self, domain: Name, depth: u32) -> Pin<Box<dyn Future<Output = Found> + Send + '_>> {
        Box::pin(async move {
            match self.record(&domain).await {
                Ok(Some(record)) => self.evaluate(record, domain, depth).await.unwrap_or_else(Found::from),
                Ok(None) => Found::new(SpfResult::None, format!("{domain} has no SPF record")),
                Err(stop) => stop.into(),
            }
        })
    }

    /// §4.4, §4.5: the one record of a domain.
    async fn record(&mut self, domain: &Name) -> Result<Option<SpfRecord>, Stop> {
        let texts = self.lookups.texts(domain).await.map_err(|error| Stop::Temporary(format!("{domain}: {error}")))?;
        let mut records = texts.iter().filter(|text| record::is_record(text));
        let Some(text) = records.next() else { return Ok(None) };
        if records.next().is_some() {
            return Err(Stop::Permanent(format!("{domain} has more than one SPF record")));
        }
        record::parse(text).map(Some).map_err(|what| Stop::Permanent(format!("the record of {domain} is wrong: `{what}`")))
    }

    async fn evaluate(&mut self, record: SpfRecord, domain: Name, depth: u32) -> Result<Found, Stop> {
        for directive in &record.directives {
            if self.matches(directive, &domain, depth).await? {
                let included = self.included.take();
                let inner = included.as_ref().map(|(reason, _)| format!(", for {reason}")).unwrap_or_default();
                return Ok(Found {
                    result: directive.result,
                    reason: format!("`{}` of {domain} matches {}{inner}", directive.text, self.question.ip),
                    mechanism: Some(directive.text.clone()),
                    place: included.and_then(|(_, place)| place).or_else(|| Some(domain.clone())),
                    exp: record.exp.map(|exp| (exp, domain)),
                });
            }
        }
        // §6.1: `all` anywhere makes `redirect` void; it would have matched.
        let Some(redirect) = &record.redirect else {
            let why = format!("nothing in the record of {domain} matches {}", self.question.ip);
            return Ok(Found { place: Some(domain), ..Found::new(SpfResult::Neutral, why) });
        };
        self.count()?;
        let target = self.target(Some(redirect), &domain).await;
        let Some(target) = target.filter(|_| depth < DEPTH_MAX) else {
            return Err(Stop::Permanent(format!("the `redirect` of {domain} leads to no name")));
        };
        let shown = target.to_string();
        let found = self.check_host(target, depth + 1).await;
        if found.result == SpfResult::None {
            return Err(Stop::Permanent(format!("the `redirect` of {domain} leads to {shown}, which has no SPF record")));
        }
        Ok(found)
    }

    async fn matches(&mut self, directive: &Directive, domain: &Name, depth: u32) -> Result<bool, Stop> {
        match &directive.mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, bits) => Ok(within(self.question.ip, IpAddr::V4(*network), *bits)),
            Mechanism::Ip6(network, bits) => Ok(within(self.question.ip, IpAddr::V6(*network), *bits)),
            Mechanism::Include(spec) => {
                self.count()?;
                self.include(spec, domain, depth).await
            }
            Mechanism::A(spec, cidr) => {
                self.count()?;
                let Some(host) = self.target(spec.as_ref(), domain).await else { return Ok(false) };
                self.has_address(&host, *cidr).await
            }
            Mechanism::Mx(spec, cidr) => {
                self.count()?;
                let Some(host) = self.target(spec.as_ref(), domain).await else { return Ok(false) };
                self.has_mail_host(&host, *cidr).await
            }
            Mechanism::Ptr(spec) => {
                self.count()?;
                let Some(above) = self.target(spec.as_ref(), domain).await else { return Ok(false) };
                Ok(self.validated().await.iter().any(|name| name.is_within(&above)))
            }
            Mechanism::Exists(spec) => {
                self.count()?;
                let Some(name) = self.target(Some(spec), domain).await else { return Ok(false) };
                // §5.7: A, also for a client with IPv6.
                Ok(!self.ask(&name, Kind::A).await?.is_empty())
            }
        }
    }

    /// §5.2
    async fn include(&mut self, spec: &MacroString, domain: &Name, depth: u32) -> Result<bool, Stop> {
        let target = self.target(Some(spec), domain).await;
        let Some(target) = target.filter(|_| depth < DEPTH_MAX) else {
            return Err(Stop::Permanent(format!("an `include` of {domain} leads to no name")));
        };
        let shown = target.to_string();
        let found = self.check_host(target, depth + 1).await;
        match found.result {
            SpfResult::Pass => {
                self.included = Some((found.reason, found.place));
                Ok(true)
            }
            SpfResult::Fail | SpfResult::Softfail | SpfResult::Neutral => Ok(false),
            SpfResult::Temperror => Err(Stop::Temporary(found.reason)),
            SpfResult::Permerror => Err(Stop::Permanent(found.reason)),
            SpfResult::None => Err(Stop::Permanent(format!("{domain} includes {shown}, which has no SPF record"))),
        }
    }

    /// §5.3
    async fn has_address(&mut self, host: &Name, cidr: Cidr) -> Result<bool, Stop> {
        let (kind, bits) = if self.question.ip.is_ipv4() { (Kind::A, cidr.v4) } else { (Kind::Aaaa, cidr.v6) };
        let ip = self.question.ip;
        let records = self.ask(host, kind).await?;
        Ok(records.iter().any(|record| matches!(record, Record::Address(address) if within(ip, *address, bits))))
    }

    /// §5.4
    async fn has_mail_host(&mut self, domain: &Name, cidr: Cidr) -> Result<bool, Stop> {
        for (number, record) in self.ask(domain, Kind::Mx).await?.into_iter().enumerate() {
            if number >= HOSTS_MAX {
                return Err(Stop::Permanent(format!("{domain} has more than {HOSTS_MAX} mail hosts")));
            }
            let Record::Mx { host: Some(host), .. } = record else { continue };
            if self.has_address(&host, cidr).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// §5.5: the names of the address that lead back to it. Trouble makes no name, and no error.
    async fn validated(&mut self) -> Vec<Name> {
        if let Some(known) = &self.validated {
            return known.clone();
        }
        let ip = self.question.ip;
        let names = self.lookups.ask(&Name::reverse(ip), Kind::Ptr).await.unwrap_or_default();
        let kind = if ip.is_ipv4() { Kind::A } else { Kind::Aaaa };
        let mut validated = Vec::new();
        for name in names.into_iter().take(HOSTS_MAX) {
            let Record::Pointer(name) = name else { continue };
            let addresses = self.lookups.ask(&name, kind).await.unwrap_or_default();
            if addresses.contains(&Record::Address(ip)) {
                validated.push(name);
            }
        }
        self.validated = Some(validated.clone());
        validated
    }

    /// Records, where none are no error but count (§4.6.4).
    async fn ask(&mut self, name: &Name, kind: Kind) -> Result<Vec<Record>, Stop> {
        match self.lookups.ask(name, kind).await {
            Ok(records) => Ok(records),
            Err(DnsError::Temporary(why)) => Err(Stop::Temporary(format!("{name}: {why}"))),
            Err(DnsError::NoData | DnsError::NoSuchDomain) => {
                self.void += 1;
                if self.void > VOID_LOOKUPS_MAX {
                    return Err(Stop::Permanent(format!("more than {VOID_LOOKUPS_MAX} of the names asked for do not exist")));
                }
                Ok(Vec::new())
            }
        }
    }

    fn count(&mut self) -> Result<(), Stop> {
        self.asked += 1;
        if self.asked > LOOKUPS_MAX {
            return Err(Stop::Permanent(format!("the records need more than {LOOKUPS_MAX} lookups")));
        }
        Ok(())
    }

    /// The name a term speaks of; the domain itself when it names none. `None` when it cannot be a name: then it does not exist (§4.8).
    async fn target(&mut self, spec: Option<&MacroString>, domain: &Name) -> Option<Name> {
        match spec {
            None => Some(domain.clone()),
            Some(spec) => {
                let ptr = if spec.needs_ptr() { self.ptr(domain).await } else { String::new() };
                spec.expand_domain(&self.values(domain.as_str(), &ptr)).parse().ok()
            }
        }
    }

    /// §7.3: the macro `p`.
    async fn ptr(&mut self, domain: &Name) -> String {
        let names = self.validated().await;
        let exact = names.iter().find(|name| *name == domain);
        let below = || names.iter().find(|name| name.is_within(domain));
        exact.or_else(below).or(names.first()).map_or_else(|| "unknown".to_owned(), ToString::to_string)
    }

    fn values<'b>(&'b self, domain: &'b str, ptr: &'b str) -> Values<'b> {
        let Question { ip, helo, receiver, now, .. } = self.question;
        Values { local: self.local, sender_domain: self.sender_domain, domain, ip, ptr, helo, receiver, now }
    }

    /// §6.2: whatever is wrong with an explanation, there is none then.
    pub(super) async fn explain(&mut self, exp: Option<(MacroString, Name)>) -> Option<String> {
        let (spec, domain) = exp?;
        let name = self.target(Some(&spec), &domain).await?;
        let texts = self.lookups.texts(&name).await.ok()?;
        let [text] = texts.as_slice() else { return None };
        let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
        let explanation = MacroString::explanation(text)?;
        let ptr = if explanation.needs_ptr() { self.ptr(&domain).await } else { String::new() };
        Some(explanation.expand(&self.values(domain.as_str(), &ptr)))
    }
}

/// Whether the first `bits` bits are the same.
fn within(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            (ip.to_bits() ^ network.to_bits()) & mask == 0
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            (ip.to_bits() ^ network.to_bits()) & mask == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
