//! Who the letter says wrote it (RFC 9989 §5.3.1).

use posthouse_dns::Name;
use posthouse_mail::Address;
use posthouse_mail::header::{AddressListError, Header, address_list};
use thiserror::Error;

/// Authors of different domains in one letter.
const DOMAINS_MAX: usize = 4;

/// The addresses that are kept, from the first on.
const ADDRESSES_MAX: usize = 4;

/// Who `From` names, of one domain at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Each once.
    domains: Vec<Name>,
    addresses: Vec<Address>,
}

/// Why there is no author.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// No `From`, or none with the address of a domain.
    #[error("the letter names no author")]
    None,
    /// More than one `From` (RFC 5322 §3.6).
    #[error("the letter has {0} From fields")]
    Fields(usize),
    /// Authors of too many domains.
    #[error("the letter has authors of {0} domains")]
    Domains(usize),
    /// `From` is not a list of addresses.
    #[error("the author cannot be read: {0}")]
    Unreadable(#[from] AddressListError),
}

impl Author {
    /// Reads the author from a header.
    ///
    /// # Errors
    /// [`AuthorError`].
    pub fn of(header: Header<'_>) -> Result<Self, AuthorError> {
        let mut fields = header.named("From");
        let field = fields.next().ok_or(AuthorError::None)?;
        let more = fields.count();
        if more > 0 {
            return Err(AuthorError::Fields(more + 1));
        }
        let mut domains: Vec<Name> = Vec::new();
        let mut addresses = Vec::new();
        for address in address_list(&field.value())? {
            if let Ok(name) = Name::try_from(address.domain())
                && !domains.contains(&name)
            {
                domains.push(name);
            }
            if addresses.len() < ADDRESSES_MAX {
                addresses.push(address);
            }
        }
        match domains.len() {
            0 => Err(AuthorError::None),
            1..=DOMAINS_MAX => Ok(Self { domains, addresses }),
            many => Err(AuthorError::Domains(many)),
        }
    }

    /// The domains.
    #[must_use]
    pub fn domains(&self) -> &[Name] {
        &self.domains
    }

    /// The first addresses, for the timeline.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }
}
