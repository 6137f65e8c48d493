//! The aggregate report (RFC 9990 §3.1): what was found of the letters that said they were of a domain, in a day, counted. As XML, which
//! [`Report::read`] also takes as older standards and large providers write it.

mod read;
mod write;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::record::{Policy, Published};
use crate::packed::PackedError;

/// The octets of a report, unpacked.
const REPORT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The rows of one report.
const ROWS_MAX: usize = 50_000;

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Who reports.
    pub organization: String,
    /// Whom to ask about it.
    pub email: String,
    /// Its name; unique for who reports.
    pub report_id: String,
    /// The first moment it is about, in seconds since 1970.
    pub begins: u64,
    /// The last.
    pub ends: u64,
    /// What the domain asked for.
    pub published: Published,
    /// What was found, and of how many letters.
    pub rows: Vec<(Row, u64)>,
}

/// What was found of letters that were alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Row {
    /// Who sent them.
    pub source: IpAddr,
    /// What was done with them.
    pub disposition: Policy,
    /// Whether a signature of a domain of the author's holds.
    pub dkim_aligned: bool,
    /// Whether SPF passed for a domain of the author's.
    pub spf_aligned: bool,
    /// Why something else was done than the domain asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Override>,
    /// The author's domain.
    pub header_from: String,
    /// The sender's domain; empty for letters without a sender, `None` when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_from: Option<String>,
    /// The signatures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<SignatureResult>,
    /// SPF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spf: Option<SpfOutcome>,
}

/// Why something else was done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Override {
    /// One of [`Reason`], or what a stranger thinks it is.
    pub kind: String,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What the standard knows of reasons and we have (RFC 9990 §3.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Our operator decided so.
    LocalPolicy,
    /// The domain is only trying it out.
    PolicyTestMode,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignatureResult {
    /// `d=`
    pub domain: String,
    /// `s=`; empty when it is not said.
    pub selector: String,
    /// As RFC 8601 §2.7.1 names it.
    pub result: String,
}

/// SPF.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SpfOutcome {
    /// The domain that was asked about.
    pub domain: String,
    /// As RFC 8601 §2.7.2 names it.
    pub result: String,
}

/// Why a text is no report.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is larger than any report, or what is packed is broken.
    #[error(transparent)]
    Packed(#[from] PackedError),
    /// It is not XML, or not of a report.
    #[error("the report cannot be read: {0}")]
    Xml(String),
    /// What it has too much of.
    #[error("the report has too many {0}")]
    TooMany(&'static str),
    /// What no report needs, and what XML can do harm with.
    #[error("the report has {0}, which no report needs")]
    Forbidden(&'static str),
    /// Something that every report has.
    #[error("the report has no {0}")]
    Lacks(&'static str),
}

impl Reason {
    /// As the report writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LocalPolicy => "local_policy",
            Self::PolicyTestMode => "policy_test_mode",
        }
    }
}

#[cfg(test)]
mod tests;
