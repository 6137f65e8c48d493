//! What an operator may set of delivery.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use posthouse_config::{Period, Secret};
use posthouse_queue::Sources;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{policy, source};

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
    pub smarthost_ca: Option<PathBuf>,
    /// What is asked of the connection to every mail host, whatever its domain promises.
    pub tls: TlsFloor,
    /// A file with the certificate authorities that are trusted for mail hosts, in place of those the system knows.
    pub tls_ca: Option<PathBuf>,
    /// Deliveries to other hosts under way at a time, in all. 0 holds everything, letters for mailboxes here as well: they are taken and
    /// stay queued.
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
    /// Addresses of this host that letters to other hosts leave by, one of each family; without any the system chooses.
    pub source_addresses: Vec<IpAddr>,
    /// Other addresses for the letters of some senders, or to some destinations; of several that fit the first counts.
    pub source: Vec<SourceSettings>,
    /// Whether a letter from outside that an alias sends on leaves with a sender of ours, so that SPF passes at the next server and bounces come back (SRS). Letters
    /// of trusted networks, of accounts and of our own domains keep their sender in any case.
    pub rewrite_senders: bool,
    /// MX hosts tried in one attempt. Hosts that the domain's MTA-STS policy does not name are passed over and do not count.
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
    /// What is asked of the connection to its mail hosts.
    pub tls: Option<TlsDemand>,
    /// With `verify`: the hosts that its letters may be given to, where its MX records are not signed: `mx.example.org`, or
    /// `*.example.org` for those one label below.
    #[serde(default)]
    pub tls_hosts: Vec<String>,
    /// With `pin`: the SHA-256 hashes, in hexadecimal digits, of the public keys (SubjectPublicKeyInfo) of which the host must show one.
    #[serde(default)]
    pub tls_pins: Vec<String>,
}

/// Addresses of this host that some letters leave by. To the hosts they go to they are a caller of their own: they have their own line there, and their
/// own limits.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceSettings {
    /// What the summary of the queue and the timeline call them: letters, digits, `-`, `.` and `_`.
    pub name: String,
    /// The addresses, one of each family. Hosts of a family that is not among them are not tried.
    pub addresses: Vec<IpAddr>,
    /// The name that belongs to them, for EHLO; without it the server's own.
    pub hostname: Option<String>,
    /// Domains of reverse-paths whose letters leave by them; without any all.
    #[serde(default)]
    pub senders: Vec<String>,
    /// Domains whose letters leave by them; without any all.
    #[serde(default)]
    pub destinations: Vec<String>,
    /// Letters under way by them to one destination at a time, in place of the general limit.
    pub concurrency_per_destination_max: Option<usize>,
    /// Letters a minute by them to one destination, in place of the general limit.
    pub letters_per_minute_per_destination: Option<u32>,
}

impl DestinationSettings {
    pub(crate) fn is_for(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// What is asked of the connection to every mail host. What a domain promises (MTA-STS) is asked besides.
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum TlsFloor {
    /// TLS when it is offered and works; else the letter goes in clear.
    #[default]
    Opportunistic,
    /// TLS, or the letter waits. Whose certificate it is does not matter.
    Require,
    /// TLS with a verified certificate for a host that belongs to the domain beyond doubt, or the letter waits. Few domains can be written to.
    Verify,
}

/// What is asked of the connection to the mail hosts of one destination.
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum TlsDemand {
    /// No TLS at all.
    None,
    /// TLS when it is offered and works, whatever the destination promises.
    Opportunistic,
    /// TLS, or the letter waits; more where the destination promises more.
    Require,
    /// TLS with a verified certificate for a host that belongs to the destination: see `tls-hosts`.
    Verify,
    /// TLS with one of the keys of `tls-pins`, and nothing else counts.
    Pin,
}

/// Settings that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("delivery.{key}: {what}")]
pub struct SettingsMistake {
    /// The key, such as `destination.0.tls-pins`.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
}

impl Settings {
    /// What only shows when values are looked at together.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), SettingsMistake> {
        for (place, own) in self.destination.iter().enumerate() {
            policy::demand(own).map_err(|(key, what)| SettingsMistake { key: format!("destination.{place}.{key}"), what })?;
        }
        source::check(self)
    }

    /// Which letters leave by which addresses: for the queue, where they wait by them.
    ///
    /// # Errors
    /// The first mistake.
    pub fn sources(&self) -> Result<Sources, SettingsMistake> {
        source::rules(self)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 25,
            smarthost: None,
            smarthost_password: None,
            smarthost_ca: None,
            tls: TlsFloor::default(),
            tls_ca: None,
            concurrency_max: 100,
            concurrency_per_destination_max: 20,
            concurrency_per_destination_first: 5,
            letters_per_minute_per_destination: None,
            destination: Vec::new(),
            source_addresses: Vec::new(),
            source: Vec::new(),
            rewrite_senders: true,
            hosts_max: 5,
            addresses_max: 6,
            connect_timeout: Period(Duration::from_secs(30)),
            idle_timeout: Period(Duration::from_secs(5)),
            letters_per_connection_max: 100,
            stop_timeout: Period(Duration::from_secs(10)),
        }
    }
}
