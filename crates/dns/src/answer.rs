//! What is asked and what is answered.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;

use posthouse_mail::Domain;
use thiserror::Error;

use crate::record::{Kind, Name, Record};

/// An answer that is still to come. Dropping it gives up.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Result<Answer<T>, DnsError>> + Send + 'a>>;

/// A resolver that everybody shares.
pub type Resolver = Arc<dyn Resolve>;

/// Somebody who answers. Aliases (CNAME) are followed; every answer comes within the resolver's own time limit.
pub trait Resolve: Send + Sync {
    /// The mail hosts of a domain, in the order of the answer. A domain without MX records is [`DnsError::NoData`], whether it has
    /// addresses or not.
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, MxAnswer>;

    /// The addresses of a host, both families; never an empty list. An address literal is its own answer.
    fn addresses<'a>(&'a self, host: &'a Domain) -> Lookup<'a, Vec<IpAddr>>;

    /// The texts at a name, each with its strings put together without anything between them (RFC 7208 §3.3).
    fn txt<'a>(&'a self, name: &'a Domain) -> Lookup<'a, Vec<Vec<u8>>>;

    /// The names of an address. Whoever owns the address can claim any name: look it up again before believing it.
    fn ptr(&self, address: IpAddr) -> Lookup<'_, Vec<Domain>>;

    /// The records of one type at any name, in the order of the answer; never an empty list. No name is special here, and one that is no
    /// host's is asked for like any other.
    fn records<'a>(&'a self, name: &'a Name, kind: Kind) -> Lookup<'a, Vec<Record>>;
}

/// An answer, and how far it may be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The records.
    pub value: T,
    /// Whether a resolver that is trusted to validate says that DNSSEC vouches for all of it, aliases on the way included.
    pub authenticated: bool,
    /// The name at the end of the aliases, when the name that was asked for is one.
    pub alias: Option<Name>,
}

impl<T> Answer<T> {
    /// The same of other records.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: change(self.value), authenticated: self.authenticated, alias: self.alias }
    }
}

/// The MX records of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MxAnswer {
    /// `MX 0 .`: the domain takes no mail, ever (RFC 7505 §3).
    Null,
    /// The hosts. Empty when there are MX records but none names a host that can be looked up: there is no implicit MX then
    /// (RFC 5321 §5.1).
    Hosts(Vec<Mx>),
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// The host's name.
    pub host: Domain,
}

/// Why there is no answer. It can be cloned and kept: it holds no socket and no source error.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DnsError {
    /// The name does not exist (NXDOMAIN): permanent.
    #[error("the name does not exist")]
    NoSuchDomain,
    /// The name exists but has no record of this type: permanent.
    #[error("the name has no such record")]
    NoData,
    /// It could not be found out: SERVFAIL, REFUSED, no answer in time, an answer that makes no sense. Temporary.
    #[error("{0}")]
    Temporary(String),
}

/// What is known of both families of a host.
type Family = Result<Answer<Vec<IpAddr>>, DnsError>;

/// Both families together. One that has addresses is enough; else trouble with either leaves it open whether there are any.
pub(crate) fn both(v6: Family, v4: Family) -> Family {
    match (v6, v4) {
        (Ok(v6), Ok(v4)) => {
            let authenticated = v6.authenticated && v4.authenticated;
            Ok(Answer { value: [v6.value, v4.value].concat(), authenticated, alias: v6.alias.or(v4.alias) })
        }
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
        (Err(trouble @ DnsError::Temporary(_)), Err(_)) | (Err(_), Err(trouble @ DnsError::Temporary(_))) => Err(trouble),
        // Some servers deny a name altogether when asked for the family it lacks.
        (Err(DnsError::NoData), Err(_)) | (Err(_), Err(DnsError::NoData)) => Err(DnsError::NoData),
        (Err(DnsError::NoSuchDomain), Err(DnsError::NoSuchDomain)) => Err(DnsError::NoSuchDomain),
    }
}

/// Names that are never asked for, and their addresses: literals, and the names of RFC 6761 §6.3–6.4 and RFC 7686 §2.
pub(crate) fn special(name: &Domain) -> Option<Result<Vec<IpAddr>, DnsError>> {
    if let Some(address) = name.literal() {
        return Some(Ok(vec![address]));
    }
    match name.as_str().rsplit('.').next() {
        Some("localhost") => Some(Ok(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()])),
        Some("invalid" | "onion") => Some(Err(DnsError::NoSuchDomain)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
