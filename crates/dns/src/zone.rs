//! A resolver in memory, for tests: it answers from a text, at once, and fails where the text says so.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use posthouse_mail::Domain;
use thiserror::Error;

use crate::answer::{Answer, DnsError, Lookup, Mx, MxAnswer, Resolve, both, special};

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
/// broken.test   SERVFAIL
/// slow.test     TIMEOUT
/// ```
///
/// A name that no line begins with does not exist. Empty lines and lines that begin with `;` say nothing.
#[derive(Debug, Default)]
pub struct Zone {
    names: Mutex<HashMap<String, Vec<Data>>>,
    authenticated: bool,
    questions: AtomicUsize,
}

/// A line that is not a record.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a record: {0}")]
pub struct ZoneError(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Data {
    Mx(u16, Option<Domain>),
    Address(IpAddr),
    Text(Vec<u8>),
    Pointer(Domain),
    Alias(Domain),
    Trouble(&'static str),
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
        let mut names: HashMap<String, Vec<Data>> = HashMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(';')) {
            let (name, data) = record(line).ok_or_else(|| ZoneError(line.to_owned()))?;
            names.entry(name).or_default().push(data);
        }
        *self.names() = names;
        Ok(())
    }

    /// How many questions were asked, one per record type.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Vec<Data>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T>(&self, name: &str, wanted: impl Fn(&Data) -> Option<T>) -> Result<Answer<Vec<T>>, DnsError> {
        self.questions.fetch_add(1, Ordering::Relaxed);
        let names = self.names();
        let mut name = name.to_owned();
        for _ in 0..=ALIASES_MAX {
            let records = names.get(&name).ok_or(DnsError::NoSuchDomain)?;
            let mut alias = None;
            for record in records {
                match record {
                    Data::Trouble(why) => return Err(DnsError::Temporary((*why).to_owned())),
                    Data::Alias(target) => alias = Some(target.as_str().to_owned()),
                    Data::Mx(..) | Data::Address(_) | Data::Text(_) | Data::Pointer(_) => {}
                }
            }
            let value: Vec<T> = records.iter().filter_map(&wanted).collect();
            match alias {
                _ if !value.is_empty() => return Ok(Answer { value, authenticated: self.authenticated }),
                Some(target) => name = target,
                None => return Err(DnsError::NoData),
            }
        }
        Err(DnsError::Temporary("the aliases of the name go round".to_owned()))
    }

    fn family(&self, host: &Domain, v6: bool) -> Result<Answer<Vec<IpAddr>>, DnsError> {
        self.ask(host.as_str(), |data| match data {
            Data::Address(address) if address.is_ipv6() == v6 => Some(*address),
            Data::Address(_) | Data::Mx(..) | Data::Text(_) | Data::Pointer(_) | Data::Alias(_) | Data::Trouble(_) => None,
        })
    }

    fn mail_hosts(&self, domain: &Domain) -> Result<Answer<MxAnswer>, DnsError> {
        let records = self.ask(domain.as_str(), |data| match data {
            Data::Mx(preference, host) => Some((*preference, host.clone())),
            Data::Address(_) | Data::Text(_) | Data::Pointer(_) | Data::Alias(_) | Data::Trouble(_) => None,
        })?;
        Ok(Answer {
            value: match records.value.as_slice() {
                [(_, None)] => MxAnswer::Null,
                hosts => MxAnswer::Hosts(hosts.iter().filter_map(mail_host).collect()),
            },
            authenticated: records.authenticated,
        })
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
            Some(known) => known.map(|value| Answer { value, authenticated: true }),
            None => both(self.family(host, true), self.family(host, false)),
        };
        Box::pin(std::future::ready(answer))
    }

    fn txt<'a>(&'a self, name: &'a Domain) -> Lookup<'a, Vec<Vec<u8>>> {
        let answer = self.ask(name.as_str(), |data| match data {
            Data::Text(text) => Some(text.clone()),
            Data::Mx(..) | Data::Address(_) | Data::Pointer(_) | Data::Alias(_) | Data::Trouble(_) => None,
        });
        Box::pin(std::future::ready(answer))
    }

    fn ptr(&self, address: IpAddr) -> Lookup<'_, Vec<Domain>> {
        let answer = self.ask(&address.to_canonical().to_string(), |data| match data {
            Data::Pointer(name) => Some(name.clone()),
            Data::Mx(..) | Data::Address(_) | Data::Text(_) | Data::Alias(_) | Data::Trouble(_) => None,
        });
        Box::pin(std::future::ready(answer))
    }
}

fn mail_host((preference, host): &(u16, Option<Domain>)) -> Option<Mx> {
    Some(Mx { preference: *preference, host: host.clone()? })
}

fn record(line: &str) -> Option<(String, Data)> {
    let (name, rest) = line.split_once(char::is_whitespace)?;
    let (kind, data) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
    let data = data.trim();
    let data = match kind {
        "A" | "AAAA" => Data::Address(data.parse().ok()?),
        "TXT" => Data::Text(data.as_bytes().to_vec()),
        "PTR" => Data::Pointer(data.parse().ok()?),
        "CNAME" => Data::Alias(data.parse().ok()?),
        "MX" => {
            let (preference, host) = data.split_once(' ')?;
            let host = host.trim();
            Data::Mx(preference.parse().ok()?, if host == "." { None } else { Some(host.parse().ok()?) })
        }
        "SERVFAIL" => Data::Trouble("the name server answers Server Failure"),
        "TIMEOUT" => Data::Trouble("no name server answered in time"),
        _ => return None,
    };
    let name = match kind {
        "PTR" => name.parse::<IpAddr>().ok()?.to_string(),
        _ => name.parse::<Domain>().ok()?.as_str().to_owned(),
    };
    Some((name, data))
}

#[cfg(test)]
mod tests;
