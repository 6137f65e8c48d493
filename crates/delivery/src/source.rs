//! The addresses that letters leave by.
//!
//! Which letter leaves by which is a rule of the queue's ([`posthouse_queue::Sources`]), for the letters of each wait apart; here the rules are read,
//! and the addresses kept that their names stand for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use posthouse_mail::Domain;
use posthouse_queue::{SourceRule, Sources};
use posthouse_runtime::net;

use crate::settings::{Settings, SettingsMistake, SourceSettings};

/// Some addresses of ours.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    /// `None` for those that all letters leave by.
    pub(crate) name: Option<String>,
    /// One of each family at most; none: the system chooses.
    pub(crate) addresses: Vec<IpAddr>,
    /// The name that belongs to them.
    pub(crate) hostname: Option<Domain>,
}

impl Source {
    /// How the timeline names the address that a letter left by; nothing where the system chose.
    pub(crate) fn words(&self, address: IpAddr) -> Option<String> {
        match &self.name {
            _ if self.addresses.is_empty() => None,
            Some(name) => Some(format!("{name} ({address})")),
            None => Some(address.to_string()),
        }
    }
}

/// Everything but whether the addresses are this host's, which only a start can tell.
pub(crate) fn check(settings: &Settings) -> Result<(), SettingsMistake> {
    rules(settings).map(drop)
}

/// The rules, for the queue.
pub(crate) fn rules(settings: &Settings) -> Result<Sources, SettingsMistake> {
    families("source-addresses", &settings.source_addresses)?;
    let mut names = BTreeSet::new();
    let rules = settings.source.iter().enumerate().map(|(place, own)| {
        let key = |key: &str| format!("source.{place}.{key}");
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if own.name.is_empty() || !own.name.chars().all(is_name) {
            return Err(mistake(
                &key("name"),
                format!("`{}` is no name: it may have letters, digits, `-`, `.` and `_`", own.name),
            ));
        }
        if !names.insert(own.name.to_ascii_lowercase()) {
            return Err(mistake(&key("name"), format!("there are two sources called `{}`", own.name)));
        }
        if own.addresses.is_empty() {
            return Err(mistake(&key("addresses"), "there is none".to_owned()));
        }
        families(&key("addresses"), &own.addresses)?;
        hostname(own).map_err(|what| mistake(&key("hostname"), what))?;
        Ok(SourceRule {
            source: own.name.as_str().into(),
            senders: domains(&own.senders).map_err(|what| mistake(&key("senders"), what))?,
            destinations: domains(&own.destinations).map_err(|what| mistake(&key("destinations"), what))?,
        })
    });
    rules.collect::<Result<_, _>>().map(Sources::new)
}

/// The addresses themselves: first those of all letters, then those that have names.
pub(crate) fn addresses(settings: &Settings) -> Result<Vec<Source>, SettingsMistake> {
    check(settings)?;
    let usual = Source { name: None, addresses: settings.source_addresses.clone(), hostname: None };
    let named = settings.source.iter().map(|own| {
        let hostname = hostname(own).map_err(|what| mistake("source.hostname", what))?;
        Ok(Source { name: Some(own.name.clone()), addresses: own.addresses.clone(), hostname })
    });
    let all = std::iter::once(Ok(usual)).chain(named).collect::<Result<Vec<_>, _>>()?;
    for address in all.iter().flat_map(|source| &source.addresses) {
        net::can_leave_by(*address).map_err(|error| {
            mistake("source-addresses", format!("letters cannot leave by {address}, is it an address of this host? {error}"))
        })?;
    }
    Ok(all)
}

fn hostname(own: &SourceSettings) -> Result<Option<Domain>, String> {
    own.hostname.as_deref().map(|name| name.parse().map_err(|error| format!("`{name}`: {error}"))).transpose()
}

fn families(key: &str, addresses: &[IpAddr]) -> Result<(), SettingsMistake> {
    let of_v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
    if of_v4 > 1 || addresses.len() - of_v4 > 1 {
        return Err(mistake(key, "there are two of one family, and a letter leaves by one".to_owned()));
    }
    let any = addresses.iter().find(|address| address.is_unspecified() || address.is_multicast());
    any.map_or(Ok(()), |any| Err(mistake(key, format!("{any} is no address that a letter can leave by"))))
}

fn domains(names: &[String]) -> Result<Vec<Domain>, String> {
    names.iter().map(|name| name.trim_start_matches('@').parse().map_err(|error| format!("`{name}`: {error}"))).collect()
}

fn mistake(key: &str, what: String) -> SettingsMistake {
    SettingsMistake { key: key.to_owned(), what }
}
