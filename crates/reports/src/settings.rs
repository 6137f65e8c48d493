//! What an operator may set of reports.

use std::time::Duration;

use posthouse_config::Period;
use schemars::JsonSchema;
use serde::Deserialize;

/// The reports that came in, and what we know of those that were sent.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// How long they are kept. There are at most 50,000 of each.
    pub keep: Period,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep: Period(Duration::from_hours(400 * 24)) }
    }
}

/// Reports on letters to the domains that they say they are of (DMARC, RFC 9990).
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DmarcSettings {
    /// Whether domains that ask for it (`rua` in their DMARC record) are told once a day which addresses sent letters in their name, and what
    /// SPF and DKIM said of them. No address of a person is in it.
    pub send: bool,
    /// Whether domains that ask for it (`ruf`) are told at once of each letter that failed, with its header. It tells who writes to whom, and what about: ask those whose
    /// mail it is, and the law, first.
    pub failures: bool,
    /// Whether codes stand in such a report for the local parts of all addresses but the domain's own (RFC 6590).
    pub failures_redact: bool,
    /// How many such reports one host is sent in an hour.
    pub failures_per_hour: u32,
    /// How many in a day.
    pub failures_per_day: u32,
    /// Who the reports come from. Not set: `postmaster` of the domain of ours that `hostname` belongs to.
    pub from: Option<String>,
    /// Who reports, for people: your organization's name. Not set: `hostname`.
    pub organization: Option<String>,
}

impl Default for DmarcSettings {
    fn default() -> Self {
        Self {
            send: true,
            failures: false,
            failures_redact: true,
            failures_per_hour: 10,
            failures_per_day: 50,
            from: None,
            organization: None,
        }
    }
}
