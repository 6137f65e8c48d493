//! Names in memory, for tests: no sockets, no time.

use std::collections::HashMap;
use std::future::ready;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use posthouse_mail::Domain;

use crate::answer::{Answer, DnsError, Lookup, Mx, MxAnswer, Resolve};

/// Names and their records. A name that is not in it does not exist.
#[derive(Debug, Default)]
pub struct Zone {
    names: Mutex<HashMap<String, Records>>,
}

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Its servers fail.
    ServFail,
    /// Its servers do not answer.
    Timeout,
}

#[derive(Debug, Clone, Default)]
struct Records {
    mx: Vec<Mx>,
    null_mx: bool,
    addresses: Vec<IpAddr>,
    txt: Vec<Vec<u8>>,
    ptr: Vec<Domain>,
    trouble: Option<Trouble>,
    authenticated: bool,
}

impl Zone {
    /// An empty world.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an MX record; the host `.` makes it a null MX.
    pub fn mx(&self, name: &str, preference: u16, host: &str) -> &Self {
        self.edit(name, |records| match host.parse() {
            Ok(host) => records.mx.push(Mx { preference, host }),
            Err(_) => records.null_mx = true,
        })
    }

    /// Adds an address.
    pub fn address(&self, name: &str, address: IpAddr) -> &Self {
        self.edit(name, |records| records.addresses.push(address))
    }

    /// Adds a text.
    pub fn txt(&self, name: &str, text: &str) -> &Self {
        self.edit(name, |records| records.txt.push(text.as_bytes().to_vec()))
    }

    /// Adds a name of an address.
    pub fn ptr(&self, address: IpAddr, name: &Domain) -> &Self {
        self.edit(&address.to_string(), |records| records.ptr.push(name.clone()))
    }

    /// Makes every question about a name fail.
    pub fn trouble(&self, name: &str, trouble: Trouble) -> &Self {
        self.edit(name, |records| records.trouble = Some(trouble))
    }

    /// Makes the answers about a name authenticated.
    pub fn authenticate(&self, name: &str) -> &Self {
        self.edit(name, |records| records.authenticated = true)
    }

    /// Makes a name end to exist.
    pub fn forget(&self, name: &str) -> &Self {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).remove(&name.to_ascii_lowercase());
        self
    }

    fn edit(&self, name: &str, change: impl FnOnce(&mut Records)) -> &Self {
        change(self.names.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_ascii_lowercase()).or_default());
        self
    }

    fn find<T>(&self, name: &str, pick: impl FnOnce(Records) -> Option<T>) -> Lookup<'static, T>
    where
        T: Send + 'static,
    {
        let records = self.names.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let result = match records {
            None => Err(DnsError::NoSuchDomain),
            Some(Records { trouble: Some(Trouble::ServFail), .. }) => Err(DnsError::Temporary("the server failed".to_owned())),
            Some(Records { trouble: Some(Trouble::Timeout), .. }) => {
                Err(DnsError::Temporary("no resolver answered in time".to_owned()))
            }
            Some(records) => {
                let authenticated = records.authenticated;
                pick(records).map(|value| Answer { value, authenticated }).ok_or(DnsError::NoData)
            }
        };
        Box::pin(ready(result))
    }
}

impl Resolve for Zone {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, MxAnswer> {
        self.find(domain.as_str(), |records| match (records.mx.is_empty(), records.null_mx) {
            (false, _) => Some(MxAnswer::Hosts(records.mx)),
            (true, true) => Some(MxAnswer::Null),
            (true, false) => None,
        })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> Lookup<'a, Vec<IpAddr>> {
        self.find(host.as_str(), |records| Some(records.addresses).filter(|found| !found.is_empty()))
    }

    fn txt<'a>(&'a self, name: &'a Domain) -> Lookup<'a, Vec<Vec<u8>>> {
        self.find(name.as_str(), |records| Some(records.txt).filter(|found| !found.is_empty()))
    }

    fn ptr(&self, address: IpAddr) -> Lookup<'_, Vec<Domain>> {
        self.find(&address.to_string(), |records| Some(records.ptr).filter(|found| !found.is_empty()))
    }
}
