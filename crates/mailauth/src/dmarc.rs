//! DMARC (RFC 9989): is the author's domain the one that answers for the letter, and what does it want done with letters that only say so?
//!
//! [`check`] takes the verdicts of SPF and DKIM. The organizational domain is found by walking the DNS tree (§4.10), at most eight questions
//! for a name; records of the older standards (RFC 7489, RFC 9091) are read by the same rules.

pub mod aggregate;
mod author;
mod destinations;
mod evaluation;
mod failure;
mod letter;
mod record;
mod walk;

use std::fmt;

use posthouse_dns::{DnsError, Kind, Name, Resolve};
use serde::Serialize;

use crate::dkim::{Dkim, DkimResult};
use crate::lookup::{Looked, Lookups};
use crate::spf::{Spf, SpfResult};
pub use author::{Author, AuthorError};
pub use destinations::{destinations, failure_destinations};
pub use evaluation::{Evaluation, Ledger, NoLedger};
pub(crate) use failure::beginning;
pub use failure::{Came, Failure, FailureKind};
pub use letter::ReportLetter;
pub(crate) use record::DmarcRecord;
pub use record::{Policy, Published, ReportAddress};
use walk::Tree;

/// What DMARC says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DmarcResult {
    /// The domain has no record, or none that counts.
    None,
    /// The domain answers for the letter.
    Pass,
    /// It does not.
    Fail,
    /// DNS trouble: try again later.
    Temperror,
    /// The letter names no author, or several where one must stand.
    Permerror,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dmarc {
    /// What it is.
    pub result: DmarcResult,
    /// What is to be done with the letter; nothing while DNS trouble leaves it open ([`Dmarc::is_open`]).
    pub disposition: Policy,
    /// Why, for people.
    pub reason: String,
    /// The author's domain.
    pub domain: String,
    /// The policy that applies, before `t=y` softens it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Where the record stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_domain: Option<String>,
    /// Whether the domain is only trying it out (`t=y`).
    pub testing: bool,
    /// Whether SPF passed for a domain of the author's.
    pub spf_aligned: bool,
    /// Whether a signature of a domain of the author's holds.
    pub dkim_aligned: bool,
    /// What the record says, for reports.
    #[serde(skip)]
    pub published: Option<Published>,
    /// What was read.
    pub records: Vec<Looked>,
}

/// Judges a letter. Several authors are judged one by one, and the strictest verdict stands (§5.3.1 leaves that to the receiver).
pub async fn check(resolver: &dyn Resolve, author: &Result<Author, AuthorError>, spf: &Spf, dkim: &[Dkim]) -> Dmarc {
    let domains = match author {
        Ok(author) => author.domains(),
        Err(error) => return nobody(error),
    };
    let mut worst: Option<Dmarc> = None;
    for domain in domains {
        let mut tree = Tree::new(Lookups::new(resolver));
        let found = judge(&mut tree, domain, spf, dkim).await;
        let mut verdict = found.unwrap_or_else(|trouble| verdict(domain, DmarcResult::Temperror, trouble.to_string()));
        verdict.records = tree.into_looked();
        if worst.as_ref().is_none_or(|worst| severity(worst) < severity(&verdict)) {
            worst = Some(verdict);
        }
    }
    worst.unwrap_or_else(|| nobody(&AuthorError::None))
}

impl Dmarc {
    /// What is said when the caller's deadline came first.
    #[must_use]
    pub fn too_slow(author: &Result<Author, AuthorError>) -> Self {
        match author {
            Ok(author) => {
                let domain = author.domains().first().map(ToString::to_string).unwrap_or_default();
                let reason = "the records could not be read in time".to_owned();
                Self { domain, result: DmarcResult::Temperror, disposition: Policy::None, reason, ..nobody(&AuthorError::None) }
            }
            Err(error) => nobody(error),
        }
    }

    /// Whether the decision hangs on an answer that the DNS did not give: without it nobody knows what the author's domain wants, or it wants
    /// something done with letters that fail.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.result == DmarcResult::Temperror && self.wish() != Some(Policy::None)
    }

    /// What the domain wants done with a letter that fails, softened by `t=y`.
    fn wish(&self) -> Option<Policy> {
        self.policy.map(|policy| if self.testing { policy.softer() } else { policy })
    }
}

fn nobody(error: &AuthorError) -> Dmarc {
    let disposition = match error {
        // Every program shows another one of them (OpenDMARC CVE-2019-16378): no honest letter has two.
        AuthorError::Fields(_) | AuthorError::Domains(_) => Policy::Reject,
        AuthorError::None | AuthorError::Unreadable(_) => Policy::Quarantine,
    };
    Dmarc {
        result: DmarcResult::Permerror,
        disposition,
        reason: error.to_string(),
        domain: String::new(),
        policy: None,
        policy_domain: None,
        testing: false,
        spf_aligned: false,
        dkim_aligned: false,
        published: None,
        records: Vec::new(),
    }
}

/// What is not known yet may be worse than what asks for nothing.
fn severity(verdict: &Dmarc) -> (Policy, bool, bool) {
    (verdict.disposition, verdict.is_open(), verdict.result != DmarcResult::Pass)
}

fn verdict(domain: &Name, result: DmarcResult, reason: String) -> Dmarc {
    let (spf_aligned, dkim_aligned, testing) = (false, false, false);
    let (policy, policy_domain, records) = (None, None, Vec::new());
    let domain = domain.to_string();
    Dmarc {
        result,
        disposition: Policy::None,
        reason,
        domain,
        policy,
        policy_domain,
        testing,
        spf_aligned,
        dkim_aligned,
        published: None,
        records,
    }
}

async fn judge(tree: &mut Tree<'_>, domain: &Name, spf: &Spf, dkim: &[Dkim]) -> Result<Dmarc, DnsError> {
    // §4.10.1: the author's own record, else what the walk finds.
    let (record, place) = match tree.record(domain).await? {
        Some(record) => (record, domain.clone()),
        None => match tree.walk(domain).await?.applicable() {
            Some(found) => found,
            None => return Ok(verdict(domain, DmarcResult::None, format!("{domain} has no DMARC record"))),
        },
    };
    if let Some(tag) = record.fault.filter(|_| record.aggregate.is_empty()) {
        let reason = format!("the record of {place} has no valid `{tag}` and wants no reports, so it counts for nothing");
        return Ok(Dmarc { policy_domain: Some(place.to_string()), ..verdict(domain, DmarcResult::None, reason) });
    }
    let mut found = verdict(domain, DmarcResult::Fail, String::new());
    found.policy_domain = Some(place.to_string());
    found.published = Some(record.published(place.to_string()));
    found.testing = record.testing;
    let mut trouble = None;
    if spf.result == SpfResult::Pass || spf.result == SpfResult::Temperror {
        match aligned(tree, domain, &spf.domain, record.strict_spf).await {
            Ok(true) if spf.result == SpfResult::Pass => found.spf_aligned = true,
            Ok(true) => trouble = Some(format!("SPF could not be checked: {}", spf.reason)),
            Ok(false) => {}
            Err(error) => trouble = Some(error.to_string()),
        }
    }
    for signature in dkim {
        if signature.result != DkimResult::Pass && signature.result != DkimResult::Temperror {
            continue;
        }
        match aligned(tree, domain, &signature.domain, record.strict_dkim).await {
            Ok(true) if signature.result == DkimResult::Pass => found.dkim_aligned = true,
            Ok(true) => trouble = Some(format!("a signature could not be checked: {}", signature.reason)),
            Ok(false) => {}
            Err(error) => trouble = Some(error.to_string()),
        }
    }
    let policy = policy(tree, &record, domain, &place).await;
    found.policy = policy.as_ref().ok().copied();
    if found.spf_aligned || found.dkim_aligned {
        let by = match (found.spf_aligned, found.dkim_aligned) {
            (true, true) => "SPF and DKIM",
            (true, false) => "SPF",
            _ => "DKIM",
        };
        found.result = DmarcResult::Pass;
        found.reason = format!("{by} passed for {domain} or a domain of the same organization");
        return Ok(found);
    }
    // §5.3.2: what could not be checked is no failure.
    if let Some(why) = trouble {
        found.result = DmarcResult::Temperror;
        found.reason = why;
        return Ok(found);
    }
    let policy = policy?;
    found.disposition = found.wish().unwrap_or(policy);
    let how = match record.fault {
        Some(tag) => format!(", having no valid `{tag}`"),
        None if record.testing => ", which is being tested".to_owned(),
        None => String::new(),
    };
    found.reason = format!("neither SPF nor DKIM passed for {domain}; the record of {place} asks for `{policy}`{how}");
    Ok(found)
}

/// Whether an authenticated domain is the author's: the same, or with `r` of the same organization (§4.10.2).
async fn aligned(tree: &mut Tree<'_>, author: &Name, domain: &str, strict: bool) -> Result<bool, DnsError> {
    let Ok(domain) = domain.parse::<Name>() else { return Ok(false) };
    if domain == *author {
        return Ok(true);
    }
    // Names without a common end cannot be of one organization.
    if strict || domain.last_labels(1) != author.last_labels(1) {
        return Ok(false);
    }
    // An organization is an end of each of its names. Whoever is not within the author's is not asked: a stranger's servers could answer with
    // trouble, and so keep every forgery open.
    let organization = tree.walk(author).await?.organization();
    Ok(domain.is_within(&organization) && tree.walk(&domain).await?.organization() == organization)
}

/// What the record asks for: `p` for its own domain, `sp` or `np` for those below.
async fn policy(tree: &mut Tree<'_>, record: &DmarcRecord, domain: &Name, place: &Name) -> Result<Policy, DnsError> {
    if domain == place {
        return Ok(record.policy);
    }
    let below = record.subdomains.unwrap_or(record.policy);
    match record.nonexistent {
        Some(policy) if policy != below && !exists(tree.lookups(), domain).await? => Ok(policy),
        Some(_) | None => Ok(below),
    }
}

/// §3.2.13: a domain without A, AAAA and MX does not exist.
async fn exists(lookups: &mut Lookups<'_>, domain: &Name) -> Result<bool, DnsError> {
    for kind in [Kind::A, Kind::Aaaa, Kind::Mx] {
        match lookups.ask(domain, kind).await {
            Ok(_) => return Ok(true),
            // RFC 8020: of a name that does not exist nothing exists.
            Err(DnsError::NoSuchDomain) => return Ok(false),
            Err(DnsError::NoData) => {}
            Err(trouble @ DnsError::Temporary(_)) => return Err(trouble),
        }
    }
    Ok(false)
}

/// As in `Authentication-Results`.
impl fmt::Display for DmarcResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Temperror => "temperror",
            Self::Permerror => "permerror",
        })
    }
}

#[cfg(test)]
mod tests;
