//! The configuration of the whole server: one root made of each crate's settings.
//!
//! It only says what was written; whether a certificate can be read or a port is free shows when the server starts.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use posthouse_runtime::{log, tls::CertificateFiles};

/// The configuration file `posthouse.toml`.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// The server's own name in the world: in its greeting, in `Received` lines, on its certificate.
    pub(crate) hostname: String,
    /// Where everything that must outlive the process is kept.
    pub(crate) data: PathBuf,
    /// Where connections are taken.
    #[serde(default)]
    pub(crate) listener: Vec<Listener>,
    /// Certificates.
    #[serde(default)]
    pub(crate) tls: Tls,
    /// The log on standard error.
    #[serde(default)]
    pub(crate) log: log::Settings,
}

/// `[[listener]]`: one address where connections are taken.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Listener {
    /// What is spoken there.
    pub(crate) kind: Kind,
    /// The address and port, such as `0.0.0.0:25` or `[::]:25`. IPv6 does not take IPv4 along.
    pub(crate) address: SocketAddr,
}

/// What a listener speaks.
#[derive(Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// SMTP from other servers (port 25).
    Mx,
    /// SMTP from our users, encrypted by STARTTLS (port 587).
    Submission,
    /// SMTP from our users, encrypted from the first octet (port 465).
    Submissions,
    /// LMTP from a server in front of this one.
    Lmtp,
    /// POP3, encrypted by STLS (port 110).
    Pop3,
    /// POP3, encrypted from the first octet (port 995).
    Pop3s,
}

/// `[tls]`: what is shown to clients.
#[derive(Deserialize, JsonSchema, Debug, Clone, Default)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Tls {
    /// Certificates; the client's SNI picks, the first is shown to all others. None: the server makes an authority of its own in
    /// `ca` under the data directory and issues one.
    pub(crate) certificate: Vec<CertificateFiles>,
}
