//! What an operator may set of name resolution.

use std::net::SocketAddr;
use std::time::Duration;

use posthouse_config::Period;
use schemars::JsonSchema;
use serde::Deserialize;

/// Name resolution.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The resolvers to ask, such as `["127.0.0.1:53"]`. Empty: those of the system (`/etc/resolv.conf`).
    pub servers: Vec<SocketAddr>,
    /// How long one server may take.
    pub timeout: Period,
    /// Names that are remembered, answers and absences together.
    pub cache_entries: u32,
    /// Take a resolver's word that an answer is authenticated by DNSSEC (the AD bit). Only sound when nobody can stand between us and
    /// it. Not set: its word is taken when every resolver is on a loopback address.
    pub trust_ad: Option<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { servers: Vec::new(), timeout: Period(Duration::from_secs(5)), cache_entries: 4096, trust_ad: None }
    }
}
