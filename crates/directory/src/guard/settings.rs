//! What an operator may set against guessing.

use schemars::JsonSchema;
use serde::Deserialize;

use posthouse_config::{Network, Period};

/// `[logins]`: wrong passwords, and what slows down those who guess.
///
/// After so many wrong passwords there is one more try for each part of a day: with 24 a day, one for each hour. Somebody who has logged in to
/// an account from an address before is not slowed down there by what others do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Wrong passwords in a day from one address (IPv6: one /64). 0 is any number, here and below.
    pub wrong_per_address: u32,
    /// From one network: an IPv4 /24, an IPv6 /48.
    pub wrong_per_network: u32,
    /// For one account, whoever tries, from addresses that have not logged in to it before.
    pub wrong_per_account: u32,
    /// How long an address from which somebody has logged in to an account is known there.
    pub known_for: Period,
    /// Certificates of clients that have no mail address in them, or another's: whose they are. They are asked for and verified with `tls.client-ca`.
    pub certificate: Vec<CertificateLogin>,
    /// Whether clients that know no better may log in by SCRAM-SHA-1, and keys for it are kept. With `false` those that are there are thrown away.
    #[serde(rename = "scram-sha-1")]
    pub scram_sha1: bool,
    /// Hosts that log in for many people, such as web mail: what goes wrong there counts for the accounts, not for the host.
    pub gateways: Vec<Network>,
}

/// Whose a certificate is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CertificateLogin {
    /// Its SHA-256 digest in hexadecimal, with colons or without (`openssl x509 -noout -fingerprint -sha256`).
    pub fingerprint: String,
    /// The address of the account.
    pub account: String,
}

impl CertificateLogin {
    /// The digest as it is compared; `None` if it is none.
    #[must_use]
    pub fn digest(&self) -> Option<String> {
        let digest: String = self.fingerprint.chars().filter(|&c| c != ':').map(|c| c.to_ascii_lowercase()).collect();
        (digest.len() == 64 && digest.bytes().all(|octet| octet.is_ascii_hexdigit())).then_some(digest)
    }
}

impl Default for Settings {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        Self {
            wrong_per_address: 20,
            wrong_per_network: 100,
            wrong_per_account: 50,
            known_for: Period::days(90),
            certificate: Vec::new(),
            // Without it such clients show the password instead, by PLAIN or LOGIN.
            scram_sha1: true,
            gateways: loopback.iter().filter_map(|text| text.parse().ok()).collect(),
        }
    }
}
