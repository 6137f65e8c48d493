//! The TXT record at `_smtp._tls.DOMAIN` (RFC 8460 §3).

use std::fmt;

use posthouse_mail::Address;
use thiserror::Error;

use crate::tags::shown;
use crate::{fields, report_uri};

/// `v=TLSRPTv1`, letter for letter.
const VERSION: &str = "v=TLSRPTv1";
/// The destinations that are heeded, from the first on: a domain cannot make us write to the whole world.
const DESTINATIONS_MAX: usize = 8;

/// Where a domain's reports go; one destination at least. Each is to get every report (§3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    destinations: Vec<Destination>,
}

/// One place for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// `mailto:`, by mail (§3, §5.3).
    Mail(Address),
    /// `https:`, by POST (§3, §5.4). The URL as it was written; it begins with `https://`.
    Https(Box<str>),
}

/// Why a domain's records ask for no reports. A sender goes on as if there were none (§3).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the record at _smtp._tls cannot be used: {0}")]
pub struct RecordError(String);

impl Record {
    /// Reads the texts at `_smtp._tls.DOMAIN`. `None` when none of them is such a record.
    ///
    /// # Errors
    /// There are several, or the one is malformed or names no destination that can be used.
    pub fn read(texts: &[Vec<u8>]) -> Result<Option<Self>, RecordError> {
        let Some(record) = fields::only(texts, VERSION).map_err(RecordError)? else { return Ok(None) };
        let fields = fields::fields(record).map_err(RecordError)?;
        let rua = fields.iter().find(|(name, _)| *name == "rua").map(|(_, value)| *value);
        let rua = rua.ok_or_else(|| RecordError("it has no `rua`".to_owned()))?;
        // A scheme that came later is no reason not to use the others.
        let destinations: Vec<_> = rua.split(',').filter_map(Destination::read).take(DESTINATIONS_MAX).collect();
        if destinations.is_empty() {
            return Err(RecordError(format!("`{}` has no `mailto:` or `https:` address", shown(rua))));
        }
        Ok(Some(Self { destinations }))
    }

    /// The record that has reports sent to an address of ours.
    #[must_use]
    pub fn to_address(address: Address) -> Self {
        Self { destinations: vec![Destination::Mail(address)] }
    }

    /// The places, in the order of the record.
    #[must_use]
    pub fn destinations(&self) -> &[Destination] {
        &self.destinations
    }
}

impl Destination {
    /// RFC 3986 §3.1: schemes know no case.
    fn read(uri: &str) -> Option<Self> {
        let uri = uri.trim_matches([' ', '\t']);
        let (scheme, rest) = uri.split_once(':')?;
        if scheme.eq_ignore_ascii_case("mailto") {
            return report_uri::mail_address(uri).map(Self::Mail);
        }
        let is_plain = rest.starts_with("//") && rest.len() > 2 && rest.bytes().all(|octet| octet.is_ascii_graphic());
        (scheme.eq_ignore_ascii_case("https") && is_plain).then(|| Self::Https(format!("https:{rest}").into()))
    }
}

/// The text of the record.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.destinations.iter().map(ToString::to_string).collect();
        write!(f, "{VERSION}; rua={}", all.join(","))
    }
}

/// As the record writes it.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mail(address) => f.write_str(&report_uri::mail_uri(address)),
            Self::Https(url) => f.write_str(url),
        }
    }
}
