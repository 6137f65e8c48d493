//! A resolver in memory, for tests and for trying a case out: it answers from a text, at once, and fails where the text says so.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use posthouse_mail::Domain;
use thiserror::Error;

use crate::answer::{Answer, DnsError, Lookup, Mx, MxAnswer, Resolve, both, special};
use crate::master;
use crate::record::{Kind, Name, Record};

/// The aliases followed for one question.
const ALIASES_MAX: usize = 8;

/// The records, one to a line:
///
/// ```text
/// example.test  MX    10 mx.example.test
/// nomail.test   MX    0 .
/// mx.example.test A   192.0.2.1
/// www.example.test CNAME mx.example.test
/// example.test  TXT   v=spf1 -all
/// 192.0.2.1     PTR   mx.example.test
/// _25._tcp.mx.example.test TLSA 3 1 1 0123…
/// broken.test   SERVFAIL
/// slow.test     TIMEOUT
/// other.test    INSECURE
/// ```
///
/// `INSECURE` marks a name of which nothing is authenticated, in a zone that is ([`Zone::authenticated`]).
/// A name that no line begins with does not exist, unless others lie below it. Beside a mark of trouble the records that are there are answered;
/// every other question fails. Empty lines and lines that begin with `;` say nothing. [`Zone::master`] reads the form of RFC 1035.
#[derive(Debug, Default)]
pub struct Zone {
    names: Mutex<HashMap<Name, Vec<Entry>>>,
    authenticated: bool,
    questions: AtomicUsize,
}

/// A line that is not a record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a record: {0}")]
pub struct ZoneError(pub String);

/// What a line says of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Record(Record),
    Alias(Name),
    Trouble(&'static str),
    /// It exists.
    Other,
    /// Nobody vouches for what stands there.
    Insecure,
}

impl Entry {
    pub(crate) const SERVFAIL: Self = Self::Trouble("the name server answers Server Failure");
    pub(crate) const TIMEOUT: Self = Self::Trouble("no name server answered in time");
}

impl Zone {
    /// A world without names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A zone of these records.
    ///
    /// # Errors
    /// The first line that is not one.
    pub fn of(text: &str) -> Result<Self, ZoneError> {
        let zone = Self::new();
        zone.set(text)?;
        Ok(zone)
    }

    /// A zone of the records of a master file (RFC 1035 §5): TXT, A, AAAA, MX, PTR, CNAME and TLSA; other types only make their name
    /// exist. `SERVFAIL` or `TIMEOUT` in the place of a type marks a name.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn master(text: &str) -> Result<Self, ZoneError> {
        Self::master_with_doubts(text).map(|(zone, _)| zone)
    }

    /// The same, and what its writer probably did not mean, for people.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn master_with_doubts(text: &str) -> Result<(Self, Vec<String>), ZoneError> {
        let master = master::read(text)?;
        let zone = Self::new();
        zone.replace(master.entries);
        Ok((zone, master.doubts))
    }

    /// The same, with every answer authenticated.
    #[must_use]
    pub fn authenticated(mut self) -> Self {
        self.authenticated = true;
        self
    }

    /// Replaces the records.
    ///
    /// # Errors
    /// As [`Self::of`]; the records stay as they were.
    pub fn set(&self, text: &str) -> Result<(), ZoneError> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(';'));
        let entries: Result<Vec<_>, _> = lines.map(|line| entry(line).ok_or_else(|| ZoneError(line.to_owned()))).collect();
        self.replace(entries?);
        Ok(())
    }

    /// How many questions were asked, one per record type.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    fn replace(&self, entries: Vec<(Name, Entry)>) {
        let mut names: HashMap<Name, Vec<Entry>> = HashMap::new();
        for (name, entry) in entries {
            names.entry(name).or_default().push(entry);
        }
        *self.names() = names;
    }

    fn names(&self) -> MutexGuard<'_, HashMap<Name, Vec<Entry>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, name: &Name, kind: Kind) -> Result<Answer<Vec<Record>>, DnsError> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        let names = self.names();
        let (asked, mut name) = (name, name.clone());
        let mut authenticated = self.authenticated;
        for _ in 0..=ALIASES_MAX {
            let entries = find(&names, &name)?;
            let mut value = Vec::new();
            let (mut alias, mut trouble) = (None, None);
            for entry in entries {
                match entry {
                    Entry::Record(record) if record.kind() == kind => value.push(record.clone()),
                    Entry::Alias(target) if kind == Kind::Cname => value.push(Record::Alias(target.clone())),
                    Entry::Insecure => authenticated = false,
                    Entry::Alias(target) => alias = Some(target.clone()),
                    Entry::Trouble(why) => trouble = Some(*why),
                    Entry::Record(_) | Entry::Other => {}
                }
            }
            match (alias, trouble) {
                _ if !value.is_empty() => {
                    let alias = Some(name).filter(|name| name != asked);
                    return Ok(Answer { value, authenticated, alias });
                }
                (_, Some(why)) => return Err(DnsError::Temporary(why.to_owned())),
                (Some(target), None) => name = target,
                (None, None) => return Err(DnsError::NoData),
            }
        }
        Err(DnsError::Temporary("the aliases of the name go round".to_owned()))
    }

    fn family(&self, host: &Domain, kind: Kind) -> Result<Answer<Vec<IpAddr>>, DnsError> {
        self.ask(&name_of(host)?, kind).map(|answer| pick(answer, address))
    }

    fn mail_hosts(&self, domain: &Domain) -> Result<Answer<MxAnswer>, DnsError> {
        let answer = self.ask(&name_of(domain)?, Kind::Mx)?;
        Ok(answer.map(|records| match records.as_slice() {
            [Record::Mx { host: None, .. }] => MxAnswer::Null,
            records => MxAnswer::Hosts(records.iter().filter_map(mail_host).collect()),
        }))
    }
}

impl Resolve for Zone {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, MxAnswer> {
        let answer = match special(domain) {
            Some(known) => known.and(Err(DnsError::NoData)),
            None => self.mail_hosts(domain),
        };
        Box::pin(std::future::ready(answer))
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> Lookup<'a, Vec<IpAddr>> {
        let answer = match special(host) {
            Some(known) => known.map(|value| Answer { value, authenticated: true, alias: None }),
            None => both(self.family(host, Kind::Aaaa), self.family(host, Kind::A)),
        };
        Box::pin(std::future::ready(answer))
    }

    fn txt<'a>(&'a self, name: &'a Domain) -> Lookup<'a, Vec<Vec<u8>>> {
        let answer = name_of(name).and_then(|name| self.ask(&name, Kind::Txt)).map(|answer| pick(answer, text));
        Box::pin(std::future::ready(answer))
    }

    fn ptr(&self, address: IpAddr) -> Lookup<'_, Vec<Domain>> {
        let answer = self.ask(&Name::reverse(address), Kind::Ptr).map(|answer| pick(answer, pointer));
        Box::pin(std::future::ready(answer))
    }

    fn records<'a>(&'a self, name: &'a Name, kind: Kind) -> Lookup<'a, Vec<Record>> {
        Box::pin(std::future::ready(self.ask(name, kind)))
    }
}

/// What is said of a name, by itself or by a wildcard (RFC 4592 §3.3.1).
fn find<'a>(names: &'a HashMap<Name, Vec<Entry>>, name: &Name) -> Result<&'a [Entry], DnsError> {
    if let Some(entries) = names.get(name) {
        return Ok(entries);
    }
    let exists = |name: &Name| names.keys().any(|other| other.is_within(name));
    // A name with others below it exists and has nothing (RFC 8020 §2).
    if exists(name) {
        return Err(DnsError::NoData);
    }
    let encloser = (1..name.label_count()).rev().map(|count| name.last_labels(count)).find(exists);
    let wildcard = encloser.and_then(|encloser| encloser.below("*").ok());
    wildcard.and_then(|wildcard| names.get(&wildcard)).map(Vec::as_slice).ok_or(DnsError::NoSuchDomain)
}

fn pick<T>(answer: Answer<Vec<Record>>, pick: impl Fn(Record) -> Option<T>) -> Answer<Vec<T>> {
    answer.map(|records| records.into_iter().filter_map(pick).collect())
}

fn address(record: Record) -> Option<IpAddr> {
    if let Record::Address(address) = record { Some(address) } else { None }
}

fn text(record: Record) -> Option<Vec<u8>> {
    if let Record::Text(text) = record { Some(text) } else { None }
}

fn pointer(record: Record) -> Option<Domain> {
    if let Record::Pointer(name) = record { name.as_str().parse().ok() } else { None }
}

fn mail_host(record: &Record) -> Option<Mx> {
    let Record::Mx { preference, host: Some(host) } = record else { return None };
    Some(Mx { preference: *preference, host: host.as_str().parse().ok()? })
}

fn name_of(domain: &Domain) -> Result<Name, DnsError> {
    Name::try_from(domain).map_err(|_| DnsError::NoSuchDomain)
}

fn entry(line: &str) -> Option<(Name, Entry)> {
    let (name, rest) = line.split_once(char::is_whitespace)?;
    let (kind, data) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
    let data = data.trim();
    let entry = match kind {
        "A" | "AAAA" => Entry::Record(Record::Address(data.parse().ok()?)),
        "TXT" => Entry::Record(Record::Text(data.as_bytes().to_vec())),
        "PTR" => Entry::Record(Record::Pointer(data.parse().ok()?)),
        "CNAME" => Entry::Alias(data.parse().ok()?),
        "MX" => {
            let (preference, host) = data.split_once(' ')?;
            let host = host.trim();
            let host = if host == "." { None } else { Some(host.parse().ok()?) };
            Entry::Record(Record::Mx { preference: preference.parse().ok()?, host })
        }
        "TLSA" => Entry::Record(Record::Tlsa(master::tlsa(data)?)),
        "SERVFAIL" => Entry::SERVFAIL,
        "TIMEOUT" => Entry::TIMEOUT,
        "INSECURE" => Entry::Insecure,
        _ => return None,
    };
    let name = match kind {
        "PTR" => Name::reverse(name.parse().ok()?),
        _ => name.parse().ok()?,
    };
    Some((name, entry))
}

#[cfg(test)]
mod tests;
