//! What an operator may set of ACME.

use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posthouse_config::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A certificate from an authority by ACME, renewed by itself.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Whether the authority's terms of service are agreed to. Without that it issues nothing.
    pub agree_to_terms: bool,
    /// The URL of the authority's directory.
    #[serde(default = "directory")]
    pub directory: String,
    /// A file with the certificate authorities that the directory's host is believed by. Not set: those that the system knows.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The mail address that the authority writes to when something is wrong.
    #[serde(default)]
    pub contact: Option<String>,
    /// The account that we have with the authority outside of ACME, where it wants one (external account binding, RFC 8555 §7.3.4).
    #[serde(default)]
    pub external_account: Option<ExternalAccount>,
    /// The names that the certificate is for: those of the MX records, of submission and POP3, and `mta-sts.` of each domain with a policy. Not set:
    /// `hostname`. `*.example.org` is for all with one label more; it is proven by `dns-01` alone.
    #[serde(default)]
    pub names: Vec<String>,
    /// How the names are proven to be ours.
    #[serde(default)]
    pub challenge: Challenge,
    /// Whether a renewed certificate has the key of the old one. With DANE, whose TLSA records name the key (`3 1 1`), it must, unless the new
    /// record is published before: `tls.publish-tlsa` does that, and then `false` gives each certificate a key of its own, whose record is known everywhere before.
    #[serde(default = "reuse_key")]
    pub reuse_key: bool,
}

/// What the authority gave us when we made an account with it.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExternalAccount {
    /// The identifier of the key.
    pub key_id: String,
    /// The key, in base64url as authorities give it.
    pub hmac_key: Secret,
}

impl ExternalAccount {
    /// The key's octets; `None` if they are not base64url.
    #[must_use]
    pub fn key(&self) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.hmac_key.expose().trim_end_matches('=')).ok().filter(|key| !key.is_empty())
    }
}

/// How a name is proven to be ours.
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Challenge {
    /// By a page at port 80: it needs a listener of kind `http`.
    #[default]
    #[serde(rename = "http-01")]
    Http01,
    /// By a handshake at port 443: it needs a listener of kind `https`.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// By a record in the DNS, which `[[dns-update]]` puts there: no listener is needed, and names may be wildcards (`*.example.org`).
    #[serde(rename = "dns-01")]
    Dns01,
}

fn directory() -> String {
    "https://acme-v02.api.letsencrypt.org/directory".to_owned()
}

fn reuse_key() -> bool {
    true
}

/// As ACME names it.
impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
            Self::Dns01 => "dns-01",
        })
    }
}
