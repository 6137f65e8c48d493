//! The hosts that a policy allows.

use std::fmt;
use std::str::FromStr;

use posthouse_mail::{Domain, DomainError};

/// A host, or with `*.` in front every name that has exactly one label more.
///
/// ```text
/// sts-policy-mx-value = ["*."] Domain        ; RFC 8461 §3.2
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    any_label: bool,
    domain: Domain,
}

impl Pattern {
    /// Whether a mail host is one of those meant (§4.1): a wildcard stands for one whole label, the left-most, and never for none.
    #[must_use]
    pub fn matches(&self, host: &Domain) -> bool {
        if self.any_label { host.parent().as_ref() == Some(&self.domain) } else { *host == self.domain }
    }
}

impl FromStr for Pattern {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let (any_label, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        // A dot at the end is written by some although the grammar has none; it means the same name.
        let domain: Domain = name.strip_suffix('.').unwrap_or(name).parse()?;
        if domain.literal().is_some() {
            return Err(DomainError::Label(name.to_owned()));
        }
        Ok(Self { any_label, domain })
    }
}

/// As a policy writes it.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.any_label { "*." } else { "" }, self.domain)
    }
}
