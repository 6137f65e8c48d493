//! What an operator may set of DNS.

use std::net::SocketAddr;
use std::time::Duration;

use posthouse_config::Period;
use schemars::JsonSchema;
use serde::Deserialize;

/// Who answers DNS questions.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The name servers to ask, with their ports: `["127.0.0.1:53"]`. They must resolve for us, not only know zones of their own.
    /// None: those of `/etc/resolv.conf`. A validating resolver on this machine is best.
    pub servers: Vec<SocketAddr>,
    /// How long one answer may take in all, every server and repetition included. After that the letter waits.
    pub timeout: Period,
    /// Whether the servers are believed when they say that DNSSEC vouches for an answer (the AD bit). Right only where nobody can
    /// tamper with the way to them. Not set: yes if every server is on this machine (a loopback address), else no.
    pub trust_ad: Option<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { servers: Vec::new(), timeout: Period(Duration::from_secs(10)), trust_ad: None }
    }
}
