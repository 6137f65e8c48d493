//! The record (RFC 9989 §4.7, §4.8). What is wrong in it counts as not said; unknown tags mean nothing.

use std::fmt;

use serde::Serialize;

/// What a domain wants done, from mild to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
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
    /// `sp`
    pub(crate) subdomains: Option<Policy>,
    /// `np`
    pub(crate) nonexistent: Option<Policy>,
    pub(crate) psd: Psd,
    /// `t=y`
    pub(crate) testing: bool,
    pub(crate) strict_dkim: bool,
    pub(crate) strict_spf: bool,
}

impl DmarcRecord {
    /// Reads a text. `None` when it is no DMARC record: `v=DMARC1` stands first, letter for letter.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let mut tags = text.split(';').map(|tag| tag.split_once('=').map(|(name, value)| (name.trim(), value.trim())));
        let (name, value) = tags.next()??;
        if !name.eq_ignore_ascii_case("v") || value != "DMARC1" {
            return None;
        }
        // §4.7: without `p`, or with one that is none, nothing is asked for.
        let mut record = Self {
            policy: Policy::None,
            subdomains: None,
            nonexistent: None,
            psd: Psd::Unsaid,
            testing: false,
            strict_dkim: false,
            strict_spf: false,
        };
        for (name, value) in tags.flatten() {
            let value = value.to_ascii_lowercase();
            match name.to_ascii_lowercase().as_str() {
                "p" => record.policy = Policy::parse(&value).unwrap_or(record.policy),
                "sp" => record.subdomains = Policy::parse(&value).or(record.subdomains),
                "np" => record.nonexistent = Policy::parse(&value).or(record.nonexistent),
                "t" => record.testing = value == "y",
                "adkim" => record.strict_dkim = value == "s",
                "aspf" => record.strict_spf = value == "s",
                "psd" => {
                    record.psd = match value.as_str() {
                        "y" => Psd::Yes,
                        "n" => Psd::No,
                        _ => Psd::Unsaid,
                    }
                }
                _ => {}
            }
        }
        Some(record)
    }
}

impl Policy {
    fn parse(text: &str) -> Option<Self> {
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
