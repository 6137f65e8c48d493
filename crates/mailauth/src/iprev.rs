//! Has the client's address a name that leads back to it (RFC 8601 §3)?

use std::fmt;
use std::net::IpAddr;

use posthouse_dns::{DnsError, Kind, Name, Record, Resolve};
use serde::Serialize;

use crate::lookup::{Looked, Lookups};

/// The names of an address that are looked at.
const NAMES_MAX: usize = 10;

/// What the reverse entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IprevResult {
    /// A name leads back to the address.
    Pass,
    /// There are names, and none leads back.
    Fail,
    /// DNS trouble.
    Temperror,
    /// There is no name.
    Permerror,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Iprev {
    /// What it is.
    pub result: IprevResult,
    /// Why, for people.
    pub reason: String,
    /// The name that leads back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was read.
    pub records: Vec<Looked>,
}

/// Looks the address up, and its names.
pub async fn check(resolver: &dyn Resolve, ip: IpAddr) -> Iprev {
    let ip = ip.to_canonical();
    let mut lookups = Lookups::new(resolver);
    let (result, name) = find(&mut lookups, ip).await;
    let reason = match (result, &name) {
        (IprevResult::Pass, Some(name)) => format!("{name} leads back to {ip}"),
        (IprevResult::Pass | IprevResult::Fail, _) => format!("no name of {ip} leads back to it"),
        (IprevResult::Temperror, _) => "the records could not be read".to_owned(),
        (IprevResult::Permerror, _) => format!("{ip} has no name"),
    };
    Iprev { result, reason, name, records: lookups.into_looked() }
}

async fn find(lookups: &mut Lookups<'_>, ip: IpAddr) -> (IprevResult, Option<String>) {
    let names = match lookups.ask(&Name::reverse(ip), Kind::Ptr).await {
        Ok(names) => names,
        Err(DnsError::NoData | DnsError::NoSuchDomain) => return (IprevResult::Permerror, None),
        Err(DnsError::Temporary(_)) => return (IprevResult::Temperror, None),
    };
    let kind = if ip.is_ipv4() { Kind::A } else { Kind::Aaaa };
    let mut result = IprevResult::Fail;
    for name in names.into_iter().take(NAMES_MAX) {
        let Record::Pointer(name) = name else { continue };
        match lookups.ask(&name, kind).await {
            Ok(addresses) if addresses.contains(&Record::Address(ip)) => return (IprevResult::Pass, Some(name.to_string())),
            Ok(_) | Err(DnsError::NoData | DnsError::NoSuchDomain) => {}
            Err(DnsError::Temporary(_)) => result = IprevResult::Temperror,
        }
    }
    (result, None)
}

impl Iprev {
    /// What is said when the caller's deadline came first.
    #[must_use]
    pub fn too_slow() -> Self {
        let reason = "the records could not be read in time".to_owned();
        Self { result: IprevResult::Temperror, reason, name: None, records: Vec::new() }
    }
}

/// As in `Authentication-Results`.
impl fmt::Display for IprevResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Temperror => "temperror",
            Self::Permerror => "permerror",
        })
    }
}
