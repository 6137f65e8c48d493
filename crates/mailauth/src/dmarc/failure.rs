//! A letter that failed, on its way into a report of its own (RFC 9991): whether its author's domain asks for one, and what may be said in it.

use std::net::IpAddr;

use posthouse_mail::header::Header;
use posthouse_mail::{Domain, LetterId, UnixMillis};

use super::{DmarcResult, Policy, Published};
use crate::dkim::{Dkim, DkimResult};
use crate::results::authentication_results;
use crate::spf::SpfResult;
use crate::{Looked, Verdicts};

/// The octets of a header that are kept: whole fields, from the top.
const HEADER_BYTES_MAX: usize = 32 * 1024;
/// The SPF records that are repeated.
const SPF_RECORDS_MAX: usize = 4;

/// A letter that failed, and whose author's domain asks for a report on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its id here.
    pub letter: LetterId,
    /// When it came.
    pub at: UnixMillis,
    /// Who sent it.
    pub source: IpAddr,
    /// Its sender, empty for none.
    pub mail_from: String,
    /// The author's domain.
    pub domain: String,
    /// What that asks for, and where the record stands.
    pub published: Published,
    /// What failed.
    pub kind: FailureKind,
    /// Whether no signature of the author's domain holds.
    pub is_dkim_unaligned: bool,
    /// Whether SPF did not pass for the author's domain.
    pub is_spf_unaligned: bool,
    /// What was done with it.
    pub done: Policy,
    /// The field `Authentication-Results`, with its line end.
    pub results: String,
    /// The signature of the author's that failed: its domain, its identity and its selector.
    pub signature: Option<(String, Option<String>, String)>,
    /// The SPF records of the author's that did not let it pass: whose, and the text.
    pub spf: Vec<(String, String)>,
    /// The letter's header, or its beginning.
    pub header: Vec<u8>,
}

/// What is told to have failed (RFC 6591 §3.2.1, RFC 9991 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// DMARC, or with `fo=1` one of the two that it rests on.
    Dmarc,
    /// A signature, whoever made it.
    Signature,
    /// The same: the body is not the one that was signed.
    BodyHash,
    /// SPF, whatever domain it was about.
    Spf,
}

/// How the letter came.
#[derive(Debug, Clone, Copy)]
pub struct Came<'a> {
    /// Its id here.
    pub letter: LetterId,
    /// When.
    pub at: UnixMillis,
    /// From where.
    pub source: IpAddr,
    /// What that called itself.
    pub helo: &'a str,
    /// Its sender, empty for none.
    pub mail_from: &'a str,
    /// Our name.
    pub hostname: &'a Domain,
    /// What was done with it.
    pub done: Policy,
}

impl Failure {
    /// What is to be reported of a letter; `None` when nobody asked, when nothing failed, or of one without a sender: it is a report or a bounce itself.
    #[must_use]
    pub fn of(verdicts: &Verdicts, came: Came<'_>, header: Vec<u8>) -> Option<Self> {
        let Verdicts { spf, dkim, dmarc, .. } = verdicts;
        let published = dmarc.published.clone().filter(|published| published.wants_failures)?;
        if came.mail_from.is_empty() {
            return None;
        }
        let kind = kind(&published, verdicts)?;
        let signature = failed_signature(kind, &dmarc.domain, dkim);
        let is_ours = |name: &str| kind == FailureKind::Spf || is_related(name, &dmarc.domain);
        let records = if dmarc.spf_aligned || !is_ours(&spf.domain) { &[] } else { spf.records.as_slice() };
        Some(Self {
            letter: came.letter,
            at: came.at,
            source: came.source.to_canonical(),
            mail_from: came.mail_from.to_owned(),
            domain: dmarc.domain.clone(),
            published,
            kind,
            is_dkim_unaligned: !dmarc.dkim_aligned,
            is_spf_unaligned: !dmarc.spf_aligned,
            done: came.done,
            results: authentication_results(came.hostname, verdicts, came.mail_from, came.helo, came.source),
            signature,
            spf: records.iter().filter_map(spf_record).take(SPF_RECORDS_MAX).collect(),
            header,
        })
    }
}

/// Keeps the fields of a header from the top that have room.
pub(crate) fn beginning(header: Header<'_>) -> Vec<u8> {
    let mut kept = Vec::new();
    for field in header.fields() {
        if kept.len() + field.raw().len() > HEADER_BYTES_MAX {
            break;
        }
        kept.extend_from_slice(field.raw());
    }
    kept
}

/// RFC 9989 §4.7, `fo`: `0` asks about letters for which nothing spoke, `1` about those for which not all did, `d` and `s` about each signature and each SPF check
/// that failed, whosesoever. What could not be checked has not failed.
fn kind(published: &Published, verdicts: &Verdicts) -> Option<FailureKind> {
    let Verdicts { spf, dkim, dmarc, .. } = verdicts;
    if !matches!(dmarc.result, DmarcResult::Pass | DmarcResult::Fail) {
        return None;
    }
    let options = published.failure_options.as_deref().unwrap_or("0");
    let asks = |option: &str| options.split(':').any(|one| one == option);
    let says_nothing = !["0", "1", "d", "s"].into_iter().any(asks);
    if dmarc.result == DmarcResult::Fail && (asks("0") || asks("1") || says_nothing) {
        return Some(FailureKind::Dmarc);
    }
    let dkim_failed = !dmarc.dkim_aligned && dkim.iter().all(|one| one.result != DkimResult::Temperror);
    let spf_failed = !dmarc.spf_aligned && spf.result != SpfResult::Temperror;
    if asks("1") && (dkim_failed || spf_failed) {
        return Some(FailureKind::Dmarc);
    }
    if asks("d")
        && let Some(failed) = dkim.iter().find(|one| has_failed(one))
    {
        return Some(if failed.body_changed { FailureKind::BodyHash } else { FailureKind::Signature });
    }
    (asks("s") && matches!(spf.result, SpfResult::Fail | SpfResult::Softfail)).then_some(FailureKind::Spf)
}

fn has_failed(one: &Dkim) -> bool {
    matches!(one.result, DkimResult::Fail | DkimResult::Policy | DkimResult::Permerror)
}

/// RFC 9991 §4: that of the author's; for a report on signatures whichever failed.
fn failed_signature(kind: FailureKind, author: &str, dkim: &[Dkim]) -> Option<(String, Option<String>, String)> {
    let told = |one: &&Dkim| match kind {
        FailureKind::Dmarc => is_related(&one.domain, author),
        FailureKind::Signature | FailureKind::BodyHash => true,
        FailureKind::Spf => false,
    };
    let failed = dkim.iter().filter(|one| has_failed(one)).find(told)?;
    Some((failed.domain.clone(), failed.identity.clone(), failed.selector.clone()))
}

/// The same name, or one above the other.
fn is_related(one: &str, other: &str) -> bool {
    let is_below = |low: &str, high: &str| low.strip_suffix(high).is_some_and(|front| front.is_empty() || front.ends_with('.'));
    let (one, other) = (one.to_ascii_lowercase(), other.to_ascii_lowercase());
    !one.is_empty() && !other.is_empty() && (is_below(&one, &other) || is_below(&other, &one))
}

fn spf_record(looked: &Looked) -> Option<(String, String)> {
    let text = looked.records.iter().find(|text| text.to_ascii_lowercase().starts_with("v=spf1"))?;
    (looked.kind == "TXT").then(|| (looked.name.clone(), text.clone()))
}

impl FailureKind {
    /// As `Auth-Failure` names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dmarc => "dmarc",
            Self::Signature => "signature",
            Self::BodyHash => "bodyhash",
            Self::Spf => "spf",
        }
    }
}

#[cfg(test)]
mod tests;
