//! What an operator wants to know of the reports: who sends in our name and fails, what is wrong with TLS on the way to us, who complains.

use std::collections::BTreeMap;
use std::net::IpAddr;

use posthouse_mailauth::feedback::Feedback;
use serde::Serialize;

use crate::incoming::Incoming;
use crate::received::Entry;

/// Lines of each kind that are shown: those of the most letters.
const LINES_MAX: usize = 1_000;
/// The sources that are told apart while counting; more count together under none.
const SOURCES_MAX: usize = 200_000;

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// The reports that were read.
    pub reports: u64,
    /// Letters in our name, as DMARC reports have them.
    pub letters: u64,
    /// Those of them that passed.
    pub passed: u64,
    /// Who sends in our name, those whose letters fail first.
    pub sources: Vec<Source>,
    /// Who reports.
    pub reporters: Vec<Reporter>,
    /// By the day that is reported: letters, and those that passed.
    pub days: BTreeMap<String, (u64, u64)>,
    /// Connections to us with TLS as it should be.
    pub tls_sessions: u64,
    /// The others, by what was wrong.
    pub tls_troubles: Vec<TlsTrouble>,
    /// Complaints and failures of single letters, the latest first.
    pub complaints: Vec<Complaint>,
}

/// An address that sends in our name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The address.
    pub address: IpAddr,
    /// The author's domain in its letters.
    pub domain: String,
    /// Its letters.
    pub letters: u64,
    /// Those that passed DMARC.
    pub passed: u64,
    /// Those with a signature of ours that holds.
    pub dkim: u64,
    /// Those that SPF passes for a domain of ours.
    pub spf: u64,
    /// Those that were refused or set aside.
    pub stopped: u64,
}

/// Somebody who reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reporter {
    /// As it calls itself.
    pub name: String,
    /// Its reports.
    pub reports: u64,
    /// The letters in them.
    pub letters: u64,
    /// Whether each of them came from an author that is who it says.
    pub verified: bool,
}

/// What was wrong with TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TlsTrouble {
    /// The kind, as RFC 8460 §4.3 names it.
    pub kind: String,
    /// The policy that asked for more: `sts`, `tlsa`, `no-policy-found`.
    pub policy: String,
    /// The host of ours.
    pub host: String,
    /// How often.
    pub sessions: u64,
    /// What to do.
    pub advice: &'static str,
}

/// What somebody says of one letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Complaint {
    /// The report's number.
    pub id: i64,
    /// When it came, in milliseconds since 1970.
    pub received: u64,
    /// What it says.
    pub feedback: Feedback,
}

/// Takes in one report after the other.
#[derive(Default)]
pub struct Summing {
    summary: Summary,
    sources: BTreeMap<(IpAddr, String), Source>,
    reporters: BTreeMap<String, Reporter>,
    troubles: BTreeMap<(String, String, String), u64>,
}

impl Summing {
    /// Takes one in.
    pub fn add(&mut self, entry: &Entry, report: Incoming) {
        self.summary.reports += 1;
        let mut letters: u64 = 0;
        match report {
            Incoming::Dmarc(report) => {
                let day = day(report.begins);
                for (row, count) in report.rows {
                    let passed = if row.dkim_aligned || row.spf_aligned { count } else { 0 };
                    letters = letters.saturating_add(count);
                    self.summary.passed = self.summary.passed.saturating_add(passed);
                    let (of_day, passed_of_day) = self.summary.days.entry(day.clone()).or_default();
                    *of_day = of_day.saturating_add(count);
                    *passed_of_day = passed_of_day.saturating_add(passed);
                    let key = (row.source, row.header_from.clone());
                    if self.sources.len() >= SOURCES_MAX && !self.sources.contains_key(&key) {
                        continue;
                    }
                    let (address, domain) = key.clone();
                    let (letters, passed_before, dkim, spf, stopped) = (0, 0, 0, 0, 0);
                    let source = self.sources.entry(key).or_insert(Source {
                        address,
                        domain,
                        letters,
                        passed: passed_before,
                        dkim,
                        spf,
                        stopped,
                    });
                    let add = |sum: &mut u64, is: bool| *sum = sum.saturating_add(if is { count } else { 0 });
                    add(&mut source.letters, true);
                    add(&mut source.passed, passed > 0);
                    add(&mut source.dkim, row.dkim_aligned);
                    add(&mut source.spf, row.spf_aligned);
                    add(&mut source.stopped, row.disposition != posthouse_mailauth::dmarc::Policy::None);
                }
                self.summary.letters = self.summary.letters.saturating_add(letters);
            }
            Incoming::Tls(report) => {
                for result in report.policies {
                    let good = result.summary.total_successful_session_count;
                    self.summary.tls_sessions = self.summary.tls_sessions.saturating_add(good);
                    for detail in result.failure_details {
                        let host = detail.failure.receiving_mx_hostname.unwrap_or_default();
                        let key = (detail.failure.result_type, result.policy.policy_type.to_string(), host);
                        let sessions = self.troubles.entry(key).or_default();
                        *sessions = sessions.saturating_add(detail.failed_session_count);
                    }
                }
            }
            Incoming::Feedback(feedback) => {
                if self.summary.complaints.len() < LINES_MAX {
                    self.summary.complaints.push(Complaint { id: entry.id, received: entry.received, feedback });
                }
            }
        }
        let name = if entry.reporter.is_empty() { entry.sender.clone() } else { entry.reporter.clone() };
        let anew = Reporter { name: name.clone(), reports: 0, letters: 0, verified: true };
        let reporter = self.reporters.entry(name).or_insert(anew);
        reporter.reports += 1;
        reporter.letters = reporter.letters.saturating_add(letters);
        reporter.verified &= entry.verified;
    }

    /// The sum.
    #[must_use]
    pub fn finish(self) -> Summary {
        let Self { mut summary, sources, reporters, troubles } = self;
        summary.sources = sources.into_values().collect();
        summary.sources.sort_by_key(|source| std::cmp::Reverse((source.letters - source.passed, source.letters)));
        summary.sources.truncate(LINES_MAX);
        summary.reporters = reporters.into_values().collect();
        summary.reporters.sort_by_key(|reporter| std::cmp::Reverse((reporter.letters, reporter.reports)));
        summary.reporters.truncate(LINES_MAX);
        let trouble = |((kind, policy, host), sessions): ((String, String, String), u64)| {
            let advice = advice(&kind);
            TlsTrouble { kind, policy, host, sessions, advice }
        };
        summary.tls_troubles = troubles.into_iter().map(trouble).collect();
        summary.tls_troubles.sort_by_key(|trouble| std::cmp::Reverse(trouble.sessions));
        summary.tls_troubles.truncate(LINES_MAX);
        summary
    }
}

/// The day, as people write it.
fn day(seconds: u64) -> String {
    posthouse_mail::UnixMillis(seconds.saturating_mul(1000)).to_rfc3339_seconds().chars().take(10).collect()
}

/// What to do about a kind of trouble (RFC 8460 §4.3).
fn advice(kind: &str) -> &'static str {
    match kind {
        "starttls-not-supported" => {
            "the host offered no STARTTLS, or somebody on the way took it out: `posthouse probe` the host from outside"
        }
        "certificate-host-mismatch" => "the certificate lacks the host's name: order one that has every name in the MX records",
        "certificate-expired" => "the certificate was over: see `posthouse status`, and why it was not renewed",
        "certificate-not-trusted" => "the certificate is of an authority that others do not know, or its chain is not whole",
        "validation-failure" => "TLS failed for another reason: look at the report itself (`posthouse reports show`)",
        "tlsa-invalid" => "no TLSA record fits the certificate: publish what `posthouse domain dns` prints, then check",
        "dnssec-invalid" => "the signatures of the zone do not hold: mail waits until they do",
        "dane-required" => "the sender insists on DANE and found none: publish TLSA records, or ask the sender",
        "sts-policy-fetch-error" => "the MTA-STS policy could not be fetched: `posthouse domain check`",
        "sts-policy-invalid" => "what is served as MTA-STS policy is none: `posthouse domain check`",
        "sts-webpki-invalid" => "the certificate of the host mta-sts. does not hold: `posthouse domain check`",
        _ => "a kind that this version does not know: look at the report itself (`posthouse reports show`)",
    }
}

#[cfg(test)]
mod tests;
