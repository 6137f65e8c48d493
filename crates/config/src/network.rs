//! Networks as the configuration names them.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

/// A network such as `192.0.2.0/24` or `2001:db8::/32`; an address alone is a network of one.
///
/// An IPv4 address that comes mapped into IPv6 (`::ffff:192.0.2.1`) is looked at as what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// A text that is not a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Not an address, or not an address and a number of bits.
    #[error("`{0}` is not a network: write an address and the bits that count, such as 192.0.2.0/24")]
    Form(String),
    /// More bits than the address has.
    #[error("`{0}` has more bits than its address")]
    Bits(String),
    /// Bits that do not count are set: perhaps another network is meant.
    #[error("`{0}` has bits set behind the network's; write {1}")]
    HostBits(String, Network),
}

impl Network {
    /// Whether the address is in the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.bits) == self.address
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let form = || NetworkError::Form(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| form())?)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| form())?.to_canonical();
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        if bits > width {
            return Err(NetworkError::Bits(text.to_owned()));
        }
        let network = Self { address: masked(address, bits), bits };
        if network.address == address { Ok(network) } else { Err(NetworkError::HostBits(text.to_owned(), network)) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a network such as \"192.0.2.0/24\", or one address" })
    }
}

fn masked(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(32 - bits).unwrap_or(0)).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(128 - bits).unwrap_or(0)).into()),
    }
}

#[cfg(test)]
mod tests;
