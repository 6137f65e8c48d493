//! What an operator may set of lists in the DNS.

use std::net::Ipv4Addr;

use posthouse_config::{Network, Period};
use posthouse_dns::Name;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// `[intake.lists]`: lists of addresses in the DNS, asked about who connects to `mx` listeners. Trusted networks are not asked about.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lists {
    /// The score from which on recipients are refused (550), but for postmaster. The weights of the lists that have an address are added up, those that
    /// vouch for it subtracted.
    pub refuse_at: u32,
    /// How long all lists together may take. One that has not answered by then says nothing.
    pub timeout: Period,
    /// Networks that are not asked about.
    pub exempt: Vec<Network>,
    /// The lists.
    pub list: Vec<ListSettings>,
}

/// `[[intake.lists.list]]`: one list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ListSettings {
    /// The name under which the addresses stand, such as `zen.spamhaus.org`.
    #[serde(deserialize_with = "zone")]
    #[schemars(with = "ZoneText")]
    pub zone: Name,
    /// Whether it lists those whose mail is not wanted (`block`), or those that are known as good (`allow`).
    #[serde(default)]
    pub kind: ListKind,
    /// What it counts.
    #[serde(default = "one")]
    pub weight: u32,
    /// The answers that count, as networks within 127.0.0.0/8; a list says by them why an address is listed. Without any, every answer counts but 127.0.0.1
    /// and 127.255.255.0/24, by which lists say that they do not answer us.
    #[serde(default)]
    pub codes: Vec<Network>,
}

/// What a list lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ListKind {
    /// Those whose mail is not wanted.
    #[default]
    Block,
    /// Those that are known as good.
    Allow,
}

/// How a zone is written.
struct ZoneText;

impl Default for Lists {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        let exempt = loopback.iter().filter_map(|text| text.parse().ok()).collect();
        Self { refuse_at: 1, timeout: Period::seconds(10), exempt, list: Vec::new() }
    }
}

impl ListSettings {
    /// Whether an answer says that the address is listed. RFC 5782 §2.1 has them in 127.0.0.0/8: a domain that was sold answers with another.
    pub(super) fn counts(&self, code: Ipv4Addr) -> bool {
        if self.codes.is_empty() {
            return code.octets()[0] == 127 && code != Ipv4Addr::LOCALHOST && code.octets()[..3] != [127, 255, 255];
        }
        code.is_loopback() && self.codes.iter().any(|codes| codes.contains(code.into()))
    }
}

fn one() -> u32 {
    1
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

impl JsonSchema for ZoneText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Zone".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "the name of a list, such as \"zen.spamhaus.org\"" })
    }
}
