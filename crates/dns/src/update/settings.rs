//! Which zones this server may change, and where.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use posthouse_config::{Period, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use super::tsig::{Algorithm, Key};
use crate::record::Name;

/// `[[dns-update]]`: a name server that lets us change records of some zones (RFC 2136), with the key that says who we are (TSIG, RFC 8945). It is used for
/// the keys that sign letters (DKIM), for certificates by `dns-01`, and for the TLSA records of our own (`tls.publish-tlsa`).
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct UpdateSettings {
    /// The zones, as the server knows them: `["example.org"]`. A name is changed in the longest that it lies in.
    pub zones: Vec<String>,
    /// The zones' primary name server, with its port: "192.0.2.53:53". It is asked over TCP.
    pub server: SocketAddr,
    /// The name of the key, as the server knows it.
    pub key_name: String,
    /// The key in base64, as `tsig-keygen` prints it behind `secret`.
    pub secret: Secret,
    /// What the key is used with.
    #[serde(default)]
    pub algorithm: Algorithm,
    /// How long resolvers keep what is published.
    #[serde(default = "ttl")]
    pub ttl: Period,
    /// How long the other name servers of the zones take to have a change. An authority is asked to look for a proof after that.
    #[serde(default = "settle")]
    pub settle: Period,
}

fn ttl() -> Period {
    Period(Duration::from_hours(1))
}

fn settle() -> Period {
    Period(Duration::from_secs(30))
}

impl UpdateSettings {
    /// What is wrong with them: at which key, and what.
    pub(super) fn read(&self) -> Result<(Vec<Name>, Key), (&'static str, String)> {
        if self.zones.is_empty() {
            return Err(("zones", "no zone is named".to_owned()));
        }
        let zone = |text: &String| text.parse::<Name>().map_err(|error| ("zones", format!("`{text}`: {error}")));
        let zones = self.zones.iter().map(zone).collect::<Result<_, _>>()?;
        let name = self.key_name.parse().map_err(|error| ("key-name", format!("{error}")))?;
        let secret = BASE64_STANDARD.decode(self.secret.expose()).ok().filter(|octets| !octets.is_empty());
        let secret = secret.ok_or(("secret", "the key is not base64".to_owned()))?;
        Ok((zones, Key { name, algorithm: self.algorithm, secret: secret.into() }))
    }
}
