//! What an operator can set of the protocols that read mail.

use posthouse_config::Period;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// POP3.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// How long a client may take to log in.
    pub login_timeout: Period,
    /// How long a client that is in may be silent. RFC 1939 §3 asks for ten minutes at least.
    pub idle_timeout: Period,
    /// How long writing one piece of a reply may take before the client counts as gone.
    pub write_timeout: Period,
    /// Connections open at a time, in all.
    pub connections_max: usize,
    /// Connections open at a time from one address (IPv6: one /64).
    pub connections_per_address_max: usize,
    /// Commands that are none, before the connection is closed.
    pub bad_commands_max: u32,
    /// Failed log-ins, before the connection is closed.
    pub failed_logins_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            login_timeout: Period(Duration::from_secs(60)),
            idle_timeout: Period(Duration::from_secs(600)),
            write_timeout: Period(Duration::from_secs(120)),
            connections_max: 10_000,
            connections_per_address_max: 50,
            bad_commands_max: 10,
            failed_logins_max: 3,
        }
    }
}
