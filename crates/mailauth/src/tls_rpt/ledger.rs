//! What happened in sessions, on its way into a report.

use std::fmt;

use posthouse_mail::Domain;

use super::report::{AppliedPolicy, Failure, PolicyType};
use crate::dane::Records;
use crate::mta_sts::Policy;

/// What came of the TLS of one connection to a mail host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The policy that held.
    pub policy: AppliedPolicy,
    /// What went wrong; `None` when nothing did.
    pub failure: Option<Failure>,
}

/// Where sessions are written down. It never waits and never fails: a report is worth no letter's delay.
pub trait Ledger: Send + Sync {
    /// Writes one down.
    fn note(&self, session: Session);
}

/// Nothing is written down.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLedger;

impl Ledger for NoLedger {
    fn note(&self, _session: Session) {}
}

impl AppliedPolicy {
    /// What a report says of a domain without a policy.
    #[must_use]
    pub fn none(domain: &Domain) -> Self {
        let (policy_string, mx_host) = (Vec::new(), Vec::new());
        Self { policy_type: PolicyType::NoPolicyFound, policy_string, policy_domain: domain.to_string(), mx_host }
    }

    /// Of a host with TLSA records.
    #[must_use]
    pub fn tlsa(domain: &Domain, host: &Domain, records: &Records) -> Self {
        Self {
            policy_type: PolicyType::Tlsa,
            policy_string: records.lines(),
            policy_domain: domain.to_string(),
            mx_host: vec![host.to_string()],
        }
    }

    /// Of one with an MTA-STS policy (RFC 8460 §4.4: each line is a string).
    #[must_use]
    pub fn sts(domain: &Domain, policy: &Policy) -> Self {
        Self {
            policy_type: PolicyType::Sts,
            policy_string: policy.to_string().lines().map(str::to_owned).collect(),
            policy_domain: domain.to_string(),
            mx_host: policy.mx.iter().map(ToString::to_string).collect(),
        }
    }
}

impl fmt::Debug for dyn Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}
