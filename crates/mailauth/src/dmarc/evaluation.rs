//! What was found of one letter, on its way into a report.

use std::fmt;
use std::net::IpAddr;

use super::aggregate::{Override, Reason, Row, SignatureResult, SpfOutcome};
use super::record::{Policy, Published};
use super::{Dmarc, DmarcResult, Failure};
use crate::dkim::{Dkim, DkimResult};
use crate::spf::Spf;

/// RFC 9990 §3.1.3 allows a hundred signatures of a letter; nobody honest has ten.
const SIGNATURES_MAX: usize = 10;
/// The characters of a stranger's text that a report repeats.
const TEXT_CHARS_MAX: usize = 253;

/// A letter whose author's domain wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// What the domain asks for.
    pub published: Published,
    /// What was found; letters with the same are counted together.
    pub row: Row,
}

/// Where evaluations are written down. It never waits and never fails: a report is worth no letter's delay.
pub trait Ledger: Send + Sync {
    /// Writes one down.
    fn note(&self, evaluation: Evaluation);

    /// Whether anybody is told of single letters that failed.
    fn wants_failures(&self) -> bool {
        false
    }

    /// Has a letter that failed reported.
    fn failed(&self, _failure: Failure) {}
}

/// Nothing is written down.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLedger;

impl Ledger for NoLedger {
    fn note(&self, _evaluation: Evaluation) {}
}

impl fmt::Debug for dyn Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ledger")
    }
}

impl Evaluation {
    /// What is to be reported of a letter; `None` when nobody asked, or nothing was found out. `done` is what was done with it.
    #[must_use]
    pub fn of(peer: IpAddr, spf: &Spf, dkim: &[Dkim], dmarc: &Dmarc, done: Policy) -> Option<Self> {
        let published = dmarc.published.clone().filter(|published| published.wants_aggregate)?;
        if !matches!(dmarc.result, DmarcResult::Pass | DmarcResult::Fail) {
            return None;
        }
        // §3.1.1.9: why what was done is not what the domain asks for.
        let asked = dmarc.policy.unwrap_or(Policy::None);
        let is_asked = dmarc.result == DmarcResult::Pass || done == asked;
        let is_tested = dmarc.testing && done == dmarc.disposition;
        let reason = (!is_asked).then_some(if is_tested { Reason::PolicyTestMode } else { Reason::LocalPolicy });
        let row = Row {
            source: peer.to_canonical(),
            disposition: done,
            dkim_aligned: dmarc.dkim_aligned,
            spf_aligned: dmarc.spf_aligned,
            reasons: reason.map(|kind| Override { kind: kind.as_str().to_owned(), comment: None }).into_iter().collect(),
            header_from: clean(&dmarc.domain),
            // Of a letter without a sender it stays empty (§3.1.1.11).
            envelope_from: Some(if spf.identity == "mailfrom" { clean(&spf.domain) } else { String::new() }),
            signatures: signatures(dkim),
            spf: Some(SpfOutcome { domain: clean(&spf.domain), result: spf.result.to_string() }),
        };
        Some(Self { published, row })
    }
}

/// Those that hold first (§3.1.3).
fn signatures(dkim: &[Dkim]) -> Vec<SignatureResult> {
    let mut all: Vec<&Dkim> = dkim.iter().collect();
    all.sort_by_key(|one| one.result != DkimResult::Pass);
    let one = |one: &Dkim| SignatureResult {
        domain: clean(&one.domain),
        selector: clean(&one.selector),
        result: one.result.to_string(),
    };
    all.into_iter().take(SIGNATURES_MAX).map(one).collect()
}

fn clean(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(TEXT_CHARS_MAX).collect()
}
