//! What an operator may set of reports.

use schemars::JsonSchema;
use serde::Deserialize;

/// Reports on letters to the domains that they say they are of (DMARC, RFC 9990).
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DmarcSettings {
    /// Whether domains that ask for it (`rua` in their DMARC record) are told once a day which addresses sent letters in their name, and what
    /// SPF and DKIM said of them. No address of a person is in it.
    pub send: bool,
    /// Who the reports come from. Not set: `postmaster` of the domain of ours that `hostname` belongs to.
    pub from: Option<String>,
    /// Who reports, for people: your organization's name. Not set: `hostname`.
    pub organization: Option<String>,
}

impl Default for DmarcSettings {
    fn default() -> Self {
        Self { send: true, from: None, organization: None }
    }
}
