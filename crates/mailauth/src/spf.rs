//! SPF (RFC 7208): may this address send mail in the name of this domain?
//!
//! [`check`] is `check_host()` with its initial processing. It never waits longer than its resolver does for each of a bounded number of
//! questions: ten terms that ask, two answers without records, ten hosts of an MX or a PTR (§4.6.4). The deadline over all of them is the
//! caller's.

mod evaluate;
mod macros;
mod record;

use std::fmt;
use std::net::IpAddr;

use posthouse_dns::{Name, Resolve};
use serde::Serialize;

use crate::lookup::{Looked, Lookups};
use evaluate::Evaluation;

/// What SPF says (RFC 7208 §2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SpfResult {
    /// No domain to ask about, or it has no record.
    None,
    /// The domain says nothing of this address.
    Neutral,
    /// The address may send.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    Softfail,
    /// DNS trouble: try again later.
    Temperror,
    /// The domain's records are wrong.
    Permerror,
}

/// Who sends.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The client's address.
    pub ip: IpAddr,
    /// What it called itself.
    pub helo: &'a str,
    /// The reverse-path without its brackets; empty for `<>`.
    pub mail_from: &'a str,
    /// Our name, for explanations.
    pub receiver: &'a str,
    /// Seconds since 1970, for explanations.
    pub now: u64,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spf {
    /// What it is.
    pub result: SpfResult,
    /// Why, for people.
    pub reason: String,
    /// The domain that was asked about.
    pub domain: String,
    /// Whose name it is: `mailfrom`, or `helo` when the reverse-path is empty.
    pub identity: &'static str,
    /// The directive that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mechanism: Option<String>,
    /// The domain whose record has the last word, at the end of all includes and redirects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_domain: Option<String>,
    /// What the domain wants said to whoever it does not let send. Text of a stranger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// What was read.
    pub records: Vec<Looked>,
}

/// Finds out whether `question.ip` may send for the domain of the reverse-path, or of the name it gave when that is empty (§2.4).
pub async fn check(resolver: &dyn Resolve, question: Question<'_>) -> Spf {
    let question = Question { ip: question.ip.to_canonical(), ..question };
    let (identity, sender) = match question.mail_from {
        "" => ("helo", format!("postmaster@{}", question.helo)),
        path => ("mailfrom", path.to_owned()),
    };
    let (local, domain) = sender.rsplit_once('@').unwrap_or(("", &sender));
    // §4.3: without a local part it is `postmaster`.
    let local = if local.is_empty() { "postmaster" } else { local };
    let verdict = |result, reason: &str| Spf {
        result,
        reason: reason.to_owned(),
        domain: domain.to_owned(),
        identity,
        mechanism: None,
        policy_domain: None,
        explanation: None,
        records: Vec::new(),
    };
    // §4.3: not a name, or not one with several labels.
    let Some(name) = domain.parse::<Name>().ok().filter(|name| name.label_count() > 1 && !domain.starts_with('[')) else {
        return verdict(SpfResult::None, "there is no domain name to ask about");
    };
    let mut evaluation = Evaluation::new(Lookups::new(resolver), question, local, domain);
    let found = evaluation.check_host(name, 0).await;
    let explanation = match found.result {
        SpfResult::Fail => evaluation.explain(found.exp).await,
        SpfResult::None
        | SpfResult::Neutral
        | SpfResult::Pass
        | SpfResult::Softfail
        | SpfResult::Temperror
        | SpfResult::Permerror => None,
    };
    let records = evaluation.into_looked();
    let policy_domain = found.place.map(|place| place.to_string());
    Spf { mechanism: found.mechanism, policy_domain, explanation, records, ..verdict(found.result, &found.reason) }
}

impl Spf {
    /// What is said when the caller's deadline came first (§4.6.4: a time limit ends in `temperror`).
    #[must_use]
    pub fn too_slow(question: Question<'_>) -> Self {
        let (identity, domain) = match question.mail_from.rsplit_once('@') {
            Some((_, domain)) => ("mailfrom", domain),
            None => ("helo", question.helo),
        };
        Self {
            result: SpfResult::Temperror,
            reason: "the records could not be read in time".to_owned(),
            domain: domain.to_owned(),
            identity,
            mechanism: None,
            policy_domain: None,
            explanation: None,
            records: Vec::new(),
        }
    }
}

/// As in `Authentication-Results` (RFC 8601 §2.7.2).
impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Softfail => "softfail",
            Self::Temperror => "temperror",
            Self::Permerror => "permerror",
        })
    }
}

#[cfg(test)]
mod tests;
