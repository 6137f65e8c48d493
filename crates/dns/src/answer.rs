//! Questions, answers, and the ways of having none.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use posthouse_mail::Domain;
use thiserror::Error;

/// Who answers; shared by all that ask.
pub type Resolver = Arc<dyn Resolve>;

/// A question under way.
pub type Lookup<'a, T> = Pin<Box<dyn Future<Output = Result<Answer<T>, DnsError>> + Send + 'a>>;

/// Answers questions about names. Every answer comes within a bounded time: a resolver that waits too long says [`DnsError::Temporary`].
pub trait Resolve: Send + Sync {
    /// The mail hosts of a domain. [`DnsError::NoData`] when it has none of its own (the implicit MX is the caller's to know, RFC 5321 §5.1).
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, MxAnswer>;

    /// The addresses of a host, both families, aliases followed. Never an empty list.
    fn addresses<'a>(&'a self, host: &'a Domain) -> Lookup<'a, Vec<IpAddr>>;

    /// The texts of a name, the strings of each record joined (RFC 7208 §3.3). Never an empty list.
    fn txt<'a>(&'a self, name: &'a Domain) -> Lookup<'a, Vec<Vec<u8>>>;

    /// The names of an address. Whoever trusts one asks for its addresses and compares. Never an empty list.
    fn ptr(&self, address: IpAddr) -> Lookup<'_, Vec<Domain>>;
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// DNSSEC vouches for it: said by a resolver whose word is taken ([`crate::Settings::trust_ad`]).
    pub authenticated: bool,
}

/// A domain's MX records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MxAnswer {
    /// `MX 0 .`: it takes no mail (RFC 7505).
    Null,
    /// Its hosts, in no order.
    Hosts(Vec<Mx>),
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// The host.
    pub host: Domain,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DnsError {
    /// The name does not exist: certain, and final.
    #[error("the name does not exist")]
    NoSuchDomain,
    /// The name exists and has no such records: certain, and final.
    #[error("the name has no such records")]
    NoData,
    /// It cannot be known now: the server did not answer, failed, refused, or its answer cannot be used.
    #[error("{0}")]
    Temporary(String),
}
