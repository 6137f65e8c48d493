//! The keys that sign letters (DKIM): made, published, used, and given up.
//!
//! A domain begins with two, RSA and Ed25519, that sign at once. Those that follow wait until the DNS has had their records for a while; then they sign
//! in the place of the older ones of their kind, whose records stay for what is still on its way. [`Keeper`] sees to that in a running server; it
//! never signs with a key that others cannot find. Where it may change the DNS it does; what is to be done elsewhere it says.

mod keeper;
mod plan;
mod settings;

use serde::Serialize;

use posthouse_directory::{DirectoryError, DomainKey, KeyState, REPORTS, StoredKey};
use posthouse_dns::{DnsError, Kind, Name, Record, Resolver};
use posthouse_mail::{Domain, UnixMillis};
use posthouse_mailauth::dkim::{self, Algorithm, SigningKey, key_record};
use posthouse_runtime::clock;

use crate::admin::Admin;
use crate::error::AdminError;
use crate::results::DnsRecord;
use plan::Look;

pub use keeper::{Keeper, Standing};
pub use settings::Settings;

/// A key of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its name under the domain.
    pub selector: String,
    /// `rsa` or `ed25519`.
    pub algorithm: String,
    /// `waiting` for the DNS, `signing`, or `retired`.
    pub state: String,
    /// When it was made, RFC 3339.
    pub made: String,
    /// When it became what it is, RFC 3339.
    pub since: String,
}

/// Whether the DNS has the record of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The name of the record.
    pub name: String,
    /// Whether it is there as it should be.
    pub right: bool,
    /// What is to be seen there.
    pub words: String,
}

impl Admin {
    /// Makes new keys beside those a domain has. They wait: a running server signs with them, and no more with the old ones, when the DNS has had
    /// their records for a while. With `at_once` it does now, whatever the DNS has: for keys that others have got hold of.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], [`AdminError::Key`], storage errors.
    pub async fn rotate_keys(&self, domain: &Domain, at_once: bool) -> Result<Vec<DnsRecord>, AdminError> {
        let present = self.directory.all_keys(domain).await?;
        let keys = fresh(&present)?;
        let records: Result<Vec<_>, _> = keys.iter().map(|key| published(domain, key)).collect();
        if at_once {
            self.directory.add_keys(domain, keys).await?;
            let turns = present.into_iter().filter(|key| key.state != KeyState::Retired);
            self.directory.turn_keys(domain, turns.map(|key| (key.key.selector, KeyState::Retired)).collect()).await?;
        } else {
            self.directory.prepare_keys(domain, keys).await?;
        }
        records
    }

    /// The keys of a domain, oldest first.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], [`AdminError::Key`], storage errors.
    pub async fn keys(&self, domain: &Domain) -> Result<Vec<KeyInfo>, AdminError> {
        self.must_be_local(domain).await?;
        let keys = self.directory.all_keys(domain).await?;
        let info = |one: DomainKey| {
            let algorithm = read_key(&one.key.octets).ok_or(AdminError::Key)?.algorithm().to_string();
            let (made, since) = (one.made.to_string(), one.since.to_string());
            Ok(KeyInfo { selector: one.key.selector, algorithm, state: one.state.name().to_owned(), made, since })
        };
        keys.into_iter().map(info).collect()
    }

    /// Forgets a key, and signs no more with it. Its record should stay in the DNS for some days: letters are on their way.
    ///
    /// # Errors
    /// [`AdminError::NoKey`], storage errors.
    pub async fn remove_key(&self, domain: &Domain, selector: &str) -> Result<(), AdminError> {
        if self.directory.remove_key(domain, selector).await? { Ok(()) } else { Err(AdminError::NoKey(selector.to_owned())) }
    }

    /// The records that a domain's DNS should have for its letters to be believed: its keys, SPF, DMARC. Those of retired keys whose time is over are
    /// not among them.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], [`AdminError::Key`], storage errors.
    pub async fn dns_records(&self, domain: &Domain, settings: &Settings) -> Result<Vec<DnsRecord>, AdminError> {
        self.must_be_local(domain).await?;
        let mut records = Vec::new();
        for one in self.wanted_keys(domain, settings).await? {
            records.push(published(domain, &one.key)?);
        }
        // The hosts of its MX send; whoever else does must be added by hand.
        records.push(DnsRecord::txt(domain.to_string(), "v=spf1 mx -all".to_owned()));
        // Reports first; `p=reject` when they show that nothing honest fails. They are read at this address (`posthouse reports`).
        records.push(DnsRecord::txt(format!("_dmarc.{domain}"), format!("v=DMARC1; p=none; rua=mailto:{REPORTS}@{domain}")));
        records.push(DnsRecord::txt(format!("_smtp._tls.{domain}"), format!("v=TLSRPTv1; rua=mailto:{REPORTS}@{domain}")));
        Ok(records)
    }

    /// Whether the DNS has the records of the keys that it should have.
    ///
    /// # Errors
    /// As [`Self::dns_records`].
    pub async fn published_keys(
        &self,
        domain: &Domain,
        settings: &Settings,
        resolver: &Resolver,
    ) -> Result<Vec<Published>, AdminError> {
        match self.must_be_local(domain).await {
            // What else is looked at of a domain can be looked at before it is added.
            Err(error) if error.kind() == crate::error::Kind::NotFound => {
                return Ok(vec![Published { name: domain.to_string(), right: false, words: error.to_string() }]);
            }
            other => other?,
        }
        let mut all = Vec::new();
        for one in self.wanted_keys(domain, settings).await? {
            let key = read_key(&one.key.octets).ok_or(AdminError::Key)?;
            let found = look(resolver, domain, &one.key.selector, &key).await;
            let signs = match one.state {
                KeyState::Waiting => "the key signs when this is published",
                KeyState::Signing => "the key signs",
                KeyState::Retired => "the key has signed what may still be on its way",
            };
            let (right, words) = match found {
                Look::Published(_) => (true, format!("published; {signs}")),
                Look::Absent => (false, format!("not published; {signs}")),
                Look::Wrong(why) => (false, format!("{why}; {signs}")),
                Look::Unknown(why) => (false, format!("it cannot be read now: {why}")),
            };
            all.push(Published { name: record_name(&one.key.selector, domain), right, words });
        }
        Ok(all)
    }

    async fn wanted_keys(&self, domain: &Domain, settings: &Settings) -> Result<Vec<DomainKey>, AdminError> {
        let (now, overlap) = (UnixMillis(clock::unix_millis()), settings.overlap.duration());
        let mut keys = self.directory.all_keys(domain).await?;
        keys.retain(|key| key.state != KeyState::Retired || now.since(key.since) < overlap);
        Ok(keys)
    }

    async fn must_be_local(&self, domain: &Domain) -> Result<(), AdminError> {
        let is_local = self.directory.is_local(domain).await?;
        if is_local { Ok(()) } else { Err(DirectoryError::NoSuchDomain(domain.clone()).into()) }
    }
}

/// Two keys with the day in their names, so that others can stand beside them when they are changed.
pub(crate) fn fresh(present: &[DomainKey]) -> Result<Vec<StoredKey>, AdminError> {
    // `2026-11-24T…`
    let day: String = UnixMillis(clock::unix_millis()).to_string().chars().take(10).filter(char::is_ascii_digit).collect();
    let fresh = |algorithm, mark: &str| {
        let octets = SigningKey::generate(algorithm).and_then(|key| key.to_pkcs8()).map_err(|_| AdminError::Key)?;
        let names = (1..).map(|number| if number == 1 { format!("{day}{mark}") } else { format!("{day}{mark}{number}") });
        let free = |name: &String| present.iter().all(|one| one.key.selector != *name);
        names.take(present.len() + 1).find(free).map(|selector| StoredKey { selector, octets }).ok_or(AdminError::Key)
    };
    Ok(vec![fresh(Algorithm::Rsa, "r")?, fresh(Algorithm::Ed25519, "e")?])
}

/// The record of a key.
fn published(domain: &Domain, key: &StoredKey) -> Result<DnsRecord, AdminError> {
    let value = read_key(&key.octets).and_then(|key| key_record(&key).ok()).ok_or(AdminError::Key)?;
    Ok(DnsRecord::txt(record_name(&key.selector, domain), value))
}

fn record_name(selector: &str, domain: &Domain) -> String {
    format!("{selector}._domainkey.{domain}")
}

fn read_key(octets: &[u8]) -> Option<SigningKey> {
    [Algorithm::Rsa, Algorithm::Ed25519].into_iter().find_map(|algorithm| SigningKey::from_der(algorithm, octets).ok())
}

/// What the DNS has of a key now.
async fn look(resolver: &Resolver, domain: &Domain, selector: &str, key: &SigningKey) -> Look {
    let Ok(name) = record_name(selector, domain).parse::<Name>() else {
        return Look::Wrong("the name is too long for the DNS".to_owned());
    };
    let texts = match resolver.records(&name, Kind::Txt).await {
        Ok(answer) => answer.value,
        Err(DnsError::NoSuchDomain | DnsError::NoData) => return Look::Absent,
        Err(DnsError::Temporary(why)) => return Look::Unknown(why),
    };
    let text = |record| if let Record::Text(text) = record { Some(text) } else { None };
    let texts: Vec<Vec<u8>> = texts.into_iter().filter_map(text).collect();
    dkim::is_published(key, &texts).map_or_else(Look::Wrong, |()| Look::Published(UnixMillis(clock::unix_millis())))
}

#[cfg(test)]
mod tests;
