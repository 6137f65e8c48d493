//! What an operator may set of the names that servers give themselves.

use schemars::JsonSchema;
use serde::Deserialize;

/// The names that other servers give themselves in EHLO and HELO, on `mx` listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hellos {
    /// Our own name, or our address in brackets: no other host has it, but a machine behind the same address translation may say it.
    pub own_name: HelloPolicy,
    /// What is no full name of a host, and no address in brackets either: `localhost`, `friend`, `192.0.2.1`. Many honest hosts are set up so.
    pub malformed: HelloPolicy,
}

/// What follows from a name that cannot be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HelloPolicy {
    /// Nothing.
    Off,
    /// It stands among the verdicts on the letter, in its timeline.
    Mark,
    /// The greeting is refused (550), and no letter is taken.
    Refuse,
}

impl Default for Hellos {
    fn default() -> Self {
        Self { own_name: HelloPolicy::Mark, malformed: HelloPolicy::Mark }
    }
}
