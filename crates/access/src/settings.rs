//! What the operator can set.

use schemars::JsonSchema;
use serde::Deserialize;

use posthouse_config::Period;
use posthouse_runtime::gate::Limits;

/// `[pop3]`: reading mail over POP3.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Connections at once, over all listeners.
    pub connections_max: usize,
    /// Connections at once from one address; IPv6 addresses with the same first 64 bits count as one.
    pub connections_per_address_max: usize,
    /// Connections at once from one network (IPv4: a /24, IPv6: a /48); never less than for one address.
    pub connections_per_network_max: usize,
    /// How long a client that is logged in may send nothing. Less than the ten minutes of RFC 1939 is taken as ten minutes.
    pub idle: Period,
    /// How long a client may take until it is logged in.
    pub login_time: Period,
    /// Wrong passwords until the connection is closed.
    pub wrong_passwords_max: u32,
    /// Commands that cannot be understood until the connection is closed.
    pub bad_commands_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections_max: 1_000,
            connections_per_address_max: 50,
            connections_per_network_max: 500,
            idle: Period::minutes(10),
            login_time: Period::minutes(3),
            wrong_passwords_max: 3,
            bad_commands_max: 10,
        }
    }
}

impl Settings {
    /// How many connections may be open.
    #[must_use]
    pub fn gate(&self) -> Limits {
        Limits {
            in_all: self.connections_max,
            per_address: self.connections_per_address_max,
            per_network: self.connections_per_network_max,
        }
    }
}
