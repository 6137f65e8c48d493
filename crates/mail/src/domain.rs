//! Domain names and address literals as they stand to the right of the `@`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// The octets a domain name may have (RFC 5321 §4.5.3.1.2).
const DOMAIN_BYTES_MAX: usize = 255;
/// The octets one label may have (RFC 1035 §2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// A mail domain: a host name in A-label form and lower case, or an address literal such as `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
///
/// ```text
/// Domain          = sub-domain *("." sub-domain)                      ; RFC 5321 §4.1.2
/// address-literal = "[" ( IPv4-address-literal / IPv6-address-literal ) "]"   ; §4.1.3
/// ```
///
/// U-labels are accepted when parsing and turned into A-labels (RFC 5890), so that equality is DNS equality.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Box<str>);

/// Why a text is not a [`Domain`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DomainError {
    /// Nothing where a domain should stand.
    #[error("the domain is empty")]
    Empty,
    /// Longer than DNS and RFC 5321 §4.5.3.1.2 allow.
    #[error("the domain is longer than {DOMAIN_BYTES_MAX} octets")]
    TooLong,
    /// A label that is empty, longer than 63 octets, begins or ends with a hyphen, or holds another character.
    #[error("`{0}` is not a valid domain label")]
    Label(String),
    /// An address literal whose address cannot be read.
    #[error("`{0}` is not a valid address literal")]
    Literal(String),
}

impl Domain {
    /// The domain in A-label form and lower case, or the literal with its brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address inside an address literal; `None` for a name.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        let inside = self.0.strip_prefix('[')?.strip_suffix(']')?;
        parse_literal(inside)
    }

    /// The domain as people write it: U-labels where there are A-labels.
    #[must_use]
    pub fn to_unicode(&self) -> String {
        if self.0.starts_with('[') {
            return self.0.to_string();
        }
        idna::domain_to_unicode(&self.0).0
    }

    /// The domain above this one: `b.c` for `a.b.c`; `None` for a single label or a literal.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.0.starts_with('[') {
            return None;
        }
        let (_, above) = self.0.split_once('.')?;
        Some(Self(above.into()))
    }

    /// The literal for an address.
    #[must_use]
    pub fn from_ip(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self(format!("[{v4}]").into()),
            IpAddr::V6(v6) => Self(format!("[IPv6:{v6}]").into()),
        }
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        if text.len() > DOMAIN_BYTES_MAX {
            return Err(DomainError::TooLong);
        }
        if let Some(inside) = text.strip_prefix('[') {
            return inside
                .strip_suffix(']')
                .and_then(parse_literal)
                .map(Self::from_ip)
                .ok_or_else(|| DomainError::Literal(text.to_owned()));
        }
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            // UTS 46 with the strictness of registered names; a failure names the whole text because labels shift.
            idna::domain_to_ascii_strict(text).map_err(|_| DomainError::Label(text.to_owned()))?
        };
        if ascii.len() > DOMAIN_BYTES_MAX {
            return Err(DomainError::TooLong);
        }
        if let Some(bad) = ascii.split('.').find(|label| !is_label(label)) {
            return Err(DomainError::Label(bad.to_owned()));
        }
        Ok(Self(ascii.into()))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({})", self.0)
    }
}

/// `sub-domain = Let-dig [Ldh-str]` (RFC 5321 §4.1.2). The underscore is not in the grammar but is met in real host names.
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LABEL_BYTES_MAX
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn parse_literal(inside: &str) -> Option<IpAddr> {
    // The tag is case-insensitive like every SMTP keyword; `get` because a slice could split a character.
    if inside.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:")) {
        return inside.get(5..)?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    inside.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

#[cfg(test)]
mod tests;
