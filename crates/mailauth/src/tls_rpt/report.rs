//! The report (RFC 8460 §4): what came of the TLS sessions with a domain in a day, as JSON, packed or not.

use std::fmt;

use posthouse_mail::UnixMillis;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::packed::{self, PackedError};

/// The octets of a report, unpacked. The largest that are seen have some hundred thousand.
const REPORT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The policies of one report, and the kinds of failure of one policy.
const POLICIES_MAX: usize = 1_000;
const DETAILS_MAX: usize = 10_000;
/// The characters of a text in it that are kept.
const TEXT_CHARS_MAX: usize = 500;

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Who reports.
    #[serde(default)]
    pub organization_name: String,
    /// The time it is about.
    pub date_range: DateRange,
    /// Whom to ask about it.
    #[serde(default)]
    pub contact_info: Option<String>,
    /// Its name; unique for who reports.
    pub report_id: String,
    /// What came of the sessions, by the policy that held.
    #[serde(default)]
    pub policies: Vec<PolicyResult>,
}

/// From when to when, RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DateRange {
    /// The first moment.
    pub start_datetime: String,
    /// The last.
    pub end_datetime: String,
}

/// The sessions under one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyResult {
    /// The policy.
    pub policy: AppliedPolicy,
    /// How many went well and how many did not.
    pub summary: Summary,
    /// Why those did not, each reason once.
    #[serde(default)]
    pub failure_details: Vec<FailureDetail>,
}

/// The policy that held for a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AppliedPolicy {
    /// `sts`, `tlsa` or `no-policy-found`.
    pub policy_type: PolicyType,
    /// Its lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_string: Vec<String>,
    /// The domain whose it is.
    pub policy_domain: String,
    /// The hosts it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub mx_host: Vec<String>,
}

/// What kind of policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyType {
    /// DANE.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// None.
    NoPolicyFound,
}

/// How many sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// With TLS as it should be.
    #[serde(default)]
    pub total_successful_session_count: u64,
    /// Without.
    #[serde(default)]
    pub total_failure_session_count: u64,
}

/// One reason for failures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailureDetail {
    /// What went wrong.
    #[serde(flatten)]
    pub failure: Failure,
    /// How often.
    pub failed_session_count: u64,
}

/// What went wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// The kind (§4.3); a text, because new ones may come.
    pub result_type: String,
    /// The sender's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_mta_ip: Option<String>,
    /// The host it sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_hostname: Option<String>,
    /// That host's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_ip: Option<String>,
    /// In words, or a code of the sender's software.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason_code: Option<String>,
}

/// The kinds of failure that we report (§4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResultType {
    /// The host offers no STARTTLS.
    StarttlsNotSupported,
    /// The certificate is for another name.
    CertificateHostMismatch,
    /// Its time is over or has not come.
    CertificateExpired,
    /// It is of an authority that is not trusted.
    CertificateNotTrusted,
    /// Anything else.
    ValidationFailure,
    /// TLSA records of which none fits.
    TlsaInvalid,
    /// DNSSEC does not hold.
    DnssecInvalid,
    /// DANE was asked for and is not there.
    DaneRequired,
    /// The MTA-STS policy cannot be fetched.
    StsPolicyFetchError,
    /// What was fetched is no policy.
    StsPolicyInvalid,
    /// The certificate of the policy's host does not hold.
    StsWebpkiInvalid,
}

/// Why a text is no report.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is larger than any report, or what is packed is broken.
    #[error(transparent)]
    Packed(#[from] PackedError),
    /// It has more policies or failures than any report.
    #[error("the report has too many {0}")]
    TooMany(&'static str),
    /// Not JSON, or not of a report.
    #[error("the report cannot be read: {0}")]
    Json(String),
}

impl Report {
    /// Reads a report, packed by gzip (RFC 1952) or not: which, its first octets say. At most four mebibytes are unpacked, whatever it claims.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn read(octets: &[u8]) -> Result<Self, ReportError> {
        let text = packed::unpack(octets, REPORT_BYTES_MAX)?;
        // The library's own limit holds for the depth.
        let mut report: Self = serde_json::from_slice(&text).map_err(|error| ReportError::Json(error.to_string()))?;
        if report.policies.len() > POLICIES_MAX {
            return Err(ReportError::TooMany("policies"));
        }
        if report.policies.iter().map(|policy| policy.failure_details.len()).sum::<usize>() > DETAILS_MAX {
            return Err(ReportError::TooMany("failures"));
        }
        report.clean();
        Ok(report)
    }

    /// The report as JSON, packed by gzip.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        // Writing to a vector cannot fail, nor can texts and numbers be no JSON.
        let json = serde_json::to_vec(self).unwrap_or_default();
        packed::pack(&json)
    }

    /// All sessions of the report.
    #[must_use]
    pub fn total(&self) -> Summary {
        self.policies.iter().fold(Summary::default(), |all, result| Summary {
            total_successful_session_count: all
                .total_successful_session_count
                .saturating_add(result.summary.total_successful_session_count),
            total_failure_session_count: all
                .total_failure_session_count
                .saturating_add(result.summary.total_failure_session_count),
        })
    }

    /// A stranger's texts without controls, and not longer than they need be.
    fn clean(&mut self) {
        let clean = |text: &mut String| *text = text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect();
        let texts = [&mut self.organization_name, &mut self.report_id];
        texts.into_iter().chain(&mut self.contact_info).for_each(clean);
        [&mut self.date_range.start_datetime, &mut self.date_range.end_datetime].into_iter().for_each(clean);
        for PolicyResult { policy, failure_details, .. } in &mut self.policies {
            std::iter::once(&mut policy.policy_domain)
                .chain(&mut policy.policy_string)
                .chain(&mut policy.mx_host)
                .for_each(clean);
            for FailureDetail { failure, .. } in failure_details {
                clean(&mut failure.result_type);
                let Failure { sending_mta_ip, receiving_mx_hostname, receiving_ip, failure_reason_code, .. } = failure;
                [sending_mta_ip, receiving_mx_hostname, receiving_ip, failure_reason_code].into_iter().flatten().for_each(clean);
            }
        }
    }
}

impl DateRange {
    /// The day of UTC that begins at this moment, to its last second (§4.1: a day, from 00:00 on).
    #[must_use]
    pub fn day(begins: UnixMillis) -> Self {
        const DAY_LESS_A_SECOND: u64 = (86_400 - 1) * 1000;
        let ends = UnixMillis(begins.0.saturating_add(DAY_LESS_A_SECOND));
        Self { start_datetime: begins.to_rfc3339_seconds(), end_datetime: ends.to_rfc3339_seconds() }
    }
}

/// `mx-host` is a list in the text of the standard and a string in one of its examples; senders write both.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Hosts {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Hosts::deserialize(deserializer)? {
        Hosts::One(host) => vec![host],
        Hosts::Many(hosts) => hosts,
    })
}

/// As a report names it.
impl fmt::Display for ResultType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StarttlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebpkiInvalid => "sts-webpki-invalid",
        })
    }
}

impl fmt::Display for PolicyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tlsa => "tlsa",
            Self::Sts => "sts",
            Self::NoPolicyFound => "no-policy-found",
        })
    }
}
