//! What an operator may set of our questions to web servers.

use std::path::PathBuf;
use std::time::Duration;

use posthouse_config::Period;
use schemars::JsonSchema;
use serde::Deserialize;

/// Our questions to web servers: for policies of other domains, reports to them, and certificates.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// A file with the certificate authorities that web servers are believed by. Not set: those that the system knows.
    pub ca: Option<PathBuf>,
    /// Whether addresses of this machine and of private networks may be asked. Only for test worlds, or where the servers to ask are
    /// inside: otherwise whoever writes a name into the DNS can have us knock at doors that are closed to them.
    pub private_addresses: bool,
    /// How long one question may take in all.
    pub timeout: Period,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ca: None, private_addresses: false, timeout: Period(Duration::from_secs(30)) }
    }
}
