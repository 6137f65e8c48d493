//! What an operator may set of filters that speak the milter protocol.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use posthouse_config::Period;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

use crate::context::ListenerKind;

/// `[[intake.milter]]`: a filter that speaks the milter protocol (rspamd, ClamAV, OpenDKIM), asked before the 250. Several are asked in this order, each
/// about what the one before has made of the letter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MilterSettings {
    /// What it is called in the timeline and the log.
    pub name: String,
    /// Where it listens: `inet:127.0.0.1:8891` or `unix:/run/opendkim/opendkim.sock`.
    pub address: MilterAddress,
    /// The listeners whose letters it sees.
    #[serde(default = "every_listener")]
    pub listeners: Vec<ListenerKind>,
    /// How long it may take to connect, and for each answer.
    #[serde(default = "answer_timeout")]
    pub timeout: Period,
    /// How long it may take, in all, over a letter that has come.
    #[serde(default = "letter_timeout")]
    pub letter_timeout: Period,
    /// What becomes of letters while it cannot be asked: `defer` puts them off (451), `accept` takes them without it, `reject` refuses them (554). One
    /// that is lost in the middle of changing a letter puts it off in any case.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// What becomes of letters while a filter cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// They are put off.
    #[default]
    Defer,
    /// They are taken without it.
    Accept,
    /// They are refused.
    Reject,
}

/// Where a filter listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MilterAddress {
    /// A TCP port.
    Inet(SocketAddr),
    /// A socket file.
    Unix(PathBuf),
}

/// A text that is not a [`MilterAddress`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not where a filter listens: write inet:127.0.0.1:8891 or unix:/run/opendkim/opendkim.sock")]
pub struct MilterAddressError(String);

pub(super) fn every_listener() -> Vec<ListenerKind> {
    vec![ListenerKind::Mx, ListenerKind::Submission, ListenerKind::Submissions, ListenerKind::Lmtp]
}

fn answer_timeout() -> Period {
    Period::seconds(30)
}

fn letter_timeout() -> Period {
    Period::minutes(2)
}

impl FromStr for MilterAddress {
    type Err = MilterAddressError;

    fn from_str(text: &str) -> Result<Self, MilterAddressError> {
        let wrong = || MilterAddressError(text.to_owned());
        match text.split_once(':') {
            Some(("inet", address)) => address.parse().map(Self::Inet).map_err(|_| wrong()),
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for MilterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => write!(f, "inet:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for MilterAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for MilterAddress {
    fn schema_name() -> Cow<'static, str> {
        "MilterAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "where a filter listens: \"inet:127.0.0.1:8891\" or \"unix:/run/opendkim/opendkim.sock\"" })
    }
}
