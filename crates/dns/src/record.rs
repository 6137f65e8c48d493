//! Any record at any name: what the checks of senders ask for, where a name need not be a host's.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use posthouse_mail::Domain;
use thiserror::Error;

/// The octets of a name as it is written, without the last dot (RFC 1035 §2.3.4: 255 on the wire).
const NAME_BYTES_MAX: usize = 253;
/// The octets of a label.
const LABEL_BYTES_MAX: usize = 63;

/// A name in the DNS, in lower case and without the last dot. Its labels may hold whatever the DNS can hold, other than dots and control
/// characters: `_dmarc.example.org`, also `a b.example.org`, which a macro of SPF can make.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<str>);

/// A text that is not a [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a name of the DNS: it has 1 to 253 octets in labels of 1 to 63")]
pub struct NameError;

/// A type of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail hosts.
    Mx,
    /// Texts.
    Txt,
    /// What a name stands for.
    Cname,
    /// Names of an address.
    Ptr,
    /// What a certificate must be (RFC 6698).
    Tlsa,
}

/// The data of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A or AAAA.
    Address(IpAddr),
    /// MX; without a host it says that there is no mail (RFC 7505).
    Mx {
        /// Lower is tried first.
        preference: u16,
        /// The host.
        host: Option<Name>,
    },
    /// TXT, its strings put together without anything between them.
    Text(Vec<u8>),
    /// CNAME.
    Alias(Name),
    /// PTR.
    Pointer(Name),
    /// TLSA.
    Tlsa(Tlsa),
}

/// A TLSA record (RFC 6698 §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlsa {
    /// Which certificate of the chain, and by what it is trusted.
    pub usage: u8,
    /// The whole certificate, or its key.
    pub selector: u8,
    /// As it is, or its hash.
    pub matching: u8,
    /// What it is compared with.
    pub data: Vec<u8>,
}

impl Name {
    /// The name in lower case, without the last dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many labels it has.
    #[must_use]
    pub fn label_count(&self) -> usize {
        self.0.split('.').count()
    }

    /// Its last `count` labels; all of it when it has no more.
    #[must_use]
    pub fn last_labels(&self, count: usize) -> Self {
        let skipped = self.label_count().saturating_sub(count.max(1));
        let rest = self.0.splitn(skipped + 1, '.').last().unwrap_or(&self.0);
        Self(rest.into())
    }

    /// `label` in front of this name.
    ///
    /// # Errors
    /// [`NameError`] when that is too long.
    pub fn below(&self, label: &str) -> Result<Self, NameError> {
        format!("{label}.{self}").parse()
    }

    /// Whether it is `above` or lies below it.
    #[must_use]
    pub fn is_within(&self, above: &Self) -> bool {
        self.0.strip_suffix(&*above.0).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// Where the names of an address stand (RFC 1035 §3.5, RFC 3596 §2.5).
    #[must_use]
    pub fn reverse(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                Self(format!("{d}.{c}.{b}.{a}.in-addr.arpa").into())
            }
            IpAddr::V6(v6) => {
                let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
                Self(nibbles.map(|nibble| format!("{nibble:x}.")).chain(["ip6.arpa".to_owned()]).collect::<String>().into())
            }
        }
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let right = |label: &str| (1..=LABEL_BYTES_MAX).contains(&label.len());
        if text.len() > NAME_BYTES_MAX || !text.split('.').all(right) || text.chars().any(char::is_control) {
            return Err(NameError);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

/// An address literal is no name.
impl TryFrom<&Domain> for Name {
    type Error = NameError;

    fn try_from(domain: &Domain) -> Result<Self, NameError> {
        if domain.literal().is_some() { Err(NameError) } else { domain.as_str().parse() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// As in a master file.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Cname => "CNAME",
            Self::Ptr => "PTR",
            Self::Tlsa => "TLSA",
        })
    }
}

impl Record {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Address(IpAddr::V4(_)) => Kind::A,
            Self::Address(IpAddr::V6(_)) => Kind::Aaaa,
            Self::Mx { .. } => Kind::Mx,
            Self::Text(_) => Kind::Txt,
            Self::Alias(_) => Kind::Cname,
            Self::Pointer(_) => Kind::Ptr,
            Self::Tlsa(_) => Kind::Tlsa,
        }
    }
}

/// The data as people read it; a text as it is, without quotes.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Mx { preference, host: Some(host) } => write!(f, "{preference} {host}"),
            Self::Mx { preference, host: None } => write!(f, "{preference} ."),
            Self::Text(text) => f.write_str(&String::from_utf8_lossy(text)),
            Self::Alias(name) | Self::Pointer(name) => write!(f, "{name}"),
            Self::Tlsa(Tlsa { usage, selector, matching, data }) => {
                write!(f, "{usage} {selector} {matching} ")?;
                data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
