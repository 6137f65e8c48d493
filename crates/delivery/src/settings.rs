//! What an operator may set of delivery.

use std::time::Duration;

use posthouse_config::{Period, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The way out: where letters go that are not for us, and how.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The port of next hops found by MX records. 25, but for test worlds.
    pub port: u16,
    /// Send everything that is not for us to this server: `smtp+starttls://user@relay.example.org:587`, `smtps://…`, or
    /// `smtp://…` where the path is private.
    pub smarthost: Option<String>,
    /// The smarthost's password.
    pub smarthost_password: Option<Secret>,
    /// A file with the certificate authority of the smarthost, when it is not one that the system knows.
    pub smarthost_ca: Option<std::path::PathBuf>,
    /// Whether letters may travel to an MX host that offers no TLS.
    pub tls: TlsPolicy,
    /// Deliveries under way at a time, in all. 0 holds everything: letters are taken and stay queued.
    pub concurrency_max: usize,
    /// Letters under way to one destination (one mail host, whatever domains it serves) at a time. The number grows up to this while the
    /// destination answers, and shrinks when it asks for less or cannot be reached.
    pub concurrency_per_destination_max: usize,
    /// And at first, before anything is known of it.
    pub concurrency_per_destination_first: usize,
    /// Letters a minute to one destination; without it there is no such limit.
    pub letters_per_minute_per_destination: Option<u32>,
    /// Limits of single destinations.
    pub destination: Vec<DestinationSettings>,
    /// MX hosts tried in one attempt.
    pub hosts_max: usize,
    /// Addresses tried of each of these hosts.
    pub addresses_max: usize,
    /// How long a connection may take to stand.
    pub connect_timeout: Period,
    /// How long a connection without a letter is kept for the next one.
    pub idle_timeout: Period,
    /// Letters sent over one connection.
    pub letters_per_connection_max: u32,
    /// How long deliveries under way may take to finish when the server stops.
    pub stop_timeout: Period,
}

/// What holds for one destination in place of the general limits.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DestinationSettings {
    /// A domain, or the name of a mail host that serves many.
    pub name: String,
    /// Letters under way to it at a time.
    pub concurrency_max: Option<usize>,
    /// Letters a minute.
    pub letters_per_minute: Option<u32>,
}

impl DestinationSettings {
    pub(crate) fn is_for(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Whether TLS is asked of an MX host. Its certificate is not verified: MX records alone do not say which name to expect (RFC 7435).
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum TlsPolicy {
    /// When it is offered; else in clear.
    #[default]
    Opportunistic,
    /// Or the letter waits.
    Required,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 25,
            smarthost: None,
            smarthost_password: None,
            smarthost_ca: None,
            tls: TlsPolicy::default(),
            concurrency_max: 100,
            concurrency_per_destination_max: 20,
            concurrency_per_destination_first: 5,
            letters_per_minute_per_destination: None,
            destination: Vec::new(),
            hosts_max: 5,
            addresses_max: 6,
            connect_timeout: Period(Duration::from_secs(30)),
            idle_timeout: Period(Duration::from_secs(5)),
            letters_per_connection_max: 100,
            stop_timeout: Period(Duration::from_secs(10)),
        }
    }
}
