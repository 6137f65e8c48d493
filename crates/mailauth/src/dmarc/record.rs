//! The record (RFC 9989 §4.7, §4.8). What is wrong in it counts as not said, and so does a tag that stands twice; unknown tags mean nothing.
//! A policy that is wrong makes the whole record ask for nothing (§4.10.1).

use std::fmt;

use posthouse_mail::Address;
use serde::{Deserialize, Serialize};

use crate::report_uri;

/// The addresses of one list that are heeded, from the first on: a domain cannot make us write to the whole world.
const ADDRESSES_MAX: usize = 8;
/// The characters of `fo` that are kept.
const OPTIONS_CHARS_MAX: usize = 20;

/// What a domain wants done, from mild to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
    #[default]
    None,
    /// Put it where suspicious letters are.
    Quarantine,
    /// Do not take it.
    Reject,
}

/// Whether a domain is a public suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Psd {
    Yes,
    No,
    Unsaid,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DmarcRecord {
    pub(crate) policy: Policy,
    /// The tag whose policy is missing or none that there is. The record then asks for nothing, and counts at all only if it wants reports.
    pub(crate) fault: Option<&'static str>,
    /// `sp`
    pub(crate) subdomains: Option<Policy>,
    /// `np`
    pub(crate) nonexistent: Option<Policy>,
    pub(crate) psd: Psd,
    /// `t=y`
    pub(crate) testing: bool,
    pub(crate) strict_dkim: bool,
    pub(crate) strict_spf: bool,
    /// `rua`
    pub(crate) aggregate: Vec<ReportAddress>,
    /// `ruf`
    pub(crate) failures: Vec<ReportAddress>,
    /// `fo`
    pub(crate) failure_options: Option<String>,
}

/// Where a domain wants reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportAddress {
    /// The address.
    pub address: Address,
    /// The octets of the largest letter that it takes, if it says so: RFC 7489 §6.2 had `!10m` behind the address, RFC 9989 has it no more.
    pub bytes_max: Option<u64>,
}

/// What a domain asks for, as reports repeat it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Published {
    /// Where the record stands.
    pub domain: String,
    /// `p`
    pub policy: Policy,
    /// `sp`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subdomains: Option<Policy>,
    /// `np`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonexistent: Option<Policy>,
    /// `adkim=s`
    pub strict_dkim: bool,
    /// `aspf=s`
    pub strict_spf: bool,
    /// `t=y`
    pub testing: bool,
    /// `fo`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_options: Option<String>,
    /// Whether it asks for aggregate reports (`rua`).
    #[serde(skip)]
    pub wants_aggregate: bool,
    /// Whether it asks for failure reports (`ruf`).
    #[serde(skip)]
    pub wants_failures: bool,
}

impl DmarcRecord {
    /// Reads a text. `None` when it is no DMARC record: `v=DMARC1` stands first, letter for letter and with nothing before it.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let (first, rest) = text.split_once(';').unwrap_or((&*text, ""));
        let (name, version) = first.split_once('=')?;
        if !name.trim_end().eq_ignore_ascii_case("v") || version.trim() != "DMARC1" {
            return None;
        }
        let tags = Tags(rest);
        let (policy, subdomains, nonexistent) = (tags.policy("p"), tags.policy("sp"), tags.policy("np"));
        // §4.10.1: a `p` that is missing is not valid either; `sp` and `np` need not be there.
        let fault = match (policy, subdomains, nonexistent) {
            (Some(Ok(_)), None | Some(Ok(_)), None | Some(Ok(_))) => None,
            (None | Some(Err(())), _, _) => Some("p"),
            (_, Some(Err(())), _) => Some("sp"),
            (_, _, Some(Err(()))) => Some("np"),
        };
        let counts = |policy: Option<Result<Policy, ()>>| policy.and_then(Result::ok).filter(|_| fault.is_none());
        let is = |name: &str, wanted: &str| tags.once(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted));
        let options = |value: &str| value.chars().filter(char::is_ascii_graphic).take(OPTIONS_CHARS_MAX).collect::<String>();
        Some(Self {
            policy: counts(policy).unwrap_or(Policy::None),
            fault,
            subdomains: counts(subdomains),
            nonexistent: counts(nonexistent),
            psd: if is("psd", "y") {
                Psd::Yes
            } else if is("psd", "n") {
                Psd::No
            } else {
                Psd::Unsaid
            },
            testing: is("t", "y"),
            strict_dkim: is("adkim", "s"),
            strict_spf: is("aspf", "s"),
            aggregate: tags.once("rua").map(ReportAddress::list).unwrap_or_default(),
            failures: tags.once("ruf").map(ReportAddress::list).unwrap_or_default(),
            failure_options: tags.once("fo").map(|value| options(&value.to_ascii_lowercase())),
        })
    }

    /// RFC 9991 §3: what is asked for at a public suffix is not asked for by the domains below it.
    pub(crate) fn wants_failures(&self) -> bool {
        !self.failures.is_empty() && self.psd != Psd::Yes
    }

    /// What reports say of it.
    pub(crate) fn published(&self, domain: String) -> Published {
        Published {
            domain,
            policy: self.policy,
            subdomains: self.subdomains,
            nonexistent: self.nonexistent,
            strict_dkim: self.strict_dkim,
            strict_spf: self.strict_spf,
            testing: self.testing,
            failure_options: self.failure_options.clone(),
            wants_aggregate: !self.aggregate.is_empty(),
            wants_failures: self.wants_failures(),
        }
    }
}

/// What stands behind the version. Names know no case.
struct Tags<'a>(&'a str);

impl<'a> Tags<'a> {
    fn named(&self, wanted: &str) -> impl Iterator<Item = &'a str> {
        let tags = self.0.split(';').filter_map(|tag| tag.split_once('='));
        tags.filter(move |(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    }

    /// The value of a tag that stands once. RFC 6376 §3.2 forbids twice, and which one a writer meant nobody knows: it is an error of the
    /// kind that §4.7 wants discarded.
    fn once(&self, name: &str) -> Option<&'a str> {
        let mut found = self.named(name);
        found.next().filter(|_| found.next().is_none())
    }

    /// A policy, if the tag is there.
    fn policy(&self, name: &str) -> Option<Result<Policy, ()>> {
        self.named(name).next()?;
        Some(self.once(name).and_then(|value| Policy::parse(&value.to_ascii_lowercase())).ok_or(()))
    }
}

impl ReportAddress {
    fn list(value: &str) -> Vec<Self> {
        value.split(',').filter_map(Self::read).take(ADDRESSES_MAX).collect()
    }

    fn read(uri: &str) -> Option<Self> {
        let uri = uri.trim();
        let (uri, size) = uri.rsplit_once('!').map_or((uri, None), |(uri, size)| (uri, Some(size)));
        let bytes_max = match size {
            None => None,
            Some(size) => Some(octets(size)?),
        };
        report_uri::mail_address(uri).map(|address| Self { address, bytes_max })
    }
}

/// `50`, `50k`, `10m` … RFC 7489 §6.4.
fn octets(text: &str) -> Option<u64> {
    let (number, unit) = match text.char_indices().last()? {
        (at, unit) if unit.is_ascii_alphabetic() => (text.get(..at)?, unit.to_ascii_lowercase()),
        _ => (text, 'b'),
    };
    let shift = match unit {
        'b' => 0,
        'k' => 10,
        'm' => 20,
        'g' => 30,
        't' => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl Policy {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Self::None),
            "quarantine" => Some(Self::Quarantine),
            "reject" => Some(Self::Reject),
            _ => None,
        }
    }

    /// What is done while the domain tests its policy: one step less (§4.7, `t`).
    #[must_use]
    pub fn softer(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        })
    }
}
