//! Addresses as the configuration grants them.

use std::borrow::Cow;
use std::str::FromStr;

use posthouse_mail::{Address, Domain};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// An address, or `*@example.org` for every address of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressPattern {
    /// This one.
    One(Address),
    /// All of a domain.
    Domain(Domain),
}

impl AddressPattern {
    /// Whether the address is meant.
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        match self {
            Self::One(one) => one == address,
            Self::Domain(domain) => domain == address.domain(),
        }
    }
}

impl FromStr for AddressPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an address: write shop@example.org, or *@example.org for all of a domain");
        match text.strip_prefix("*@") {
            Some(domain) => domain.parse().map(Self::Domain).map_err(|_| wrong()),
            None => text.parse().map(Self::One).map_err(|_| wrong()),
        }
    }
}

impl<'de> Deserialize<'de> for AddressPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for AddressPattern {
    fn schema_name() -> Cow<'static, str> {
        "AddressPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "an address such as \"shop@example.org\", or \"*@example.org\"" })
    }
}
