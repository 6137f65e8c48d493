//! Mail addresses: a local part and a domain.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::domain::{Domain, DomainError};

/// The octets a local part may have (RFC 5321 §4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;

/// The part before the `@`, without quotes and escapes: the mailbox `"a b"@x` has the local part `a b`.
///
/// Compared octet for octet: only the domain's own server may fold its case (RFC 5321 §2.4).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalPart(Box<str>);

/// A mail address.
///
/// ```text
/// Mailbox       = Local-part "@" ( Domain / address-literal )   ; RFC 5321 §4.1.2
/// Local-part    = Dot-string / Quoted-string
/// ```
///
/// [`fmt::Display`] writes the wire form, quoting the local part where the grammar asks for it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: LocalPart,
    domain: Domain,
}

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no `@` outside quotes.
    #[error("an address needs an `@` between the mailbox and the domain")]
    NoAt,
    /// The local part is empty, as in `@example.org` or `""@example.org`.
    #[error("the part before the `@` is empty")]
    EmptyLocal,
    /// The local part is longer than RFC 5321 §4.5.3.1.1 allows.
    #[error("the part before the `@` is longer than {LOCAL_BYTES_MAX} octets")]
    LocalTooLong,
    /// A character that may not stand in a local part, or only in quotes.
    #[error("`{0}` may not stand before the `@`")]
    LocalChar(char),
    /// A quoted local part that is not closed, or has text behind the closing quote.
    #[error("the quotes before the `@` do not match")]
    Quotes,
    /// Two dots in a row, or one at either end, outside quotes.
    #[error("a dot may not begin, end or follow a dot before the `@`")]
    Dots,
    /// The domain is wrong.
    #[error(transparent)]
    Domain(#[from] DomainError),
}

impl LocalPart {
    /// Checks an unquoted local part: 1–64 octets, no control characters.
    ///
    /// # Errors
    /// [`AddressError::EmptyLocal`], [`AddressError::LocalTooLong`], [`AddressError::LocalChar`].
    pub fn new(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::EmptyLocal);
        }
        if text.len() > LOCAL_BYTES_MAX {
            return Err(AddressError::LocalTooLong);
        }
        // qtextSMTP and quoted-pairSMTP are %d32-126; RFC 6531 §3.3 adds UTF-8 non-ASCII. The line and paragraph
        // separators are left out with the controls: some programs take them for line ends.
        match text.chars().find(|&c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            Some(bad) => Err(AddressError::LocalChar(bad)),
            None => Ok(Self(text.into())),
        }
    }

    /// The local part without quotes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn needs_quotes(&self) -> bool {
        !(self.0.split('.').all(|atom| !atom.is_empty()) && self.0.chars().all(|c| c == '.' || is_atext(c)))
    }
}

impl Address {
    /// An address of checked parts.
    #[must_use]
    pub fn new(local: LocalPart, domain: Domain) -> Self {
        Self { local, domain }
    }

    /// The part before the `@`, without quotes.
    #[must_use]
    pub fn local(&self) -> &LocalPart {
        &self.local
    }

    /// The part behind the `@`.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether only a server with SMTPUTF8 can take this address (RFC 6531 §3.2): its local part is not ASCII.
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.0.is_ascii()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (local, rest) = if text.starts_with('"') { quoted_local(text)? } else { dotted_local(text)? };
        Ok(Self { local: LocalPart::new(&local)?, domain: rest.parse()? })
    }
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.needs_quotes() {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl fmt::Debug for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalPart({self})")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// `Dot-string = Atom *("." Atom)`: the local part and what stands behind the `@`.
fn dotted_local(text: &str) -> Result<(String, &str), AddressError> {
    let (local, domain) = text.split_once('@').ok_or(AddressError::NoAt)?;
    if local.is_empty() {
        return Err(AddressError::EmptyLocal);
    }
    if let Some(bad) = local.chars().find(|&c| c != '.' && !is_atext(c)) {
        return Err(AddressError::LocalChar(bad));
    }
    if local.split('.').any(str::is_empty) {
        return Err(AddressError::Dots);
    }
    Ok((local.to_owned(), domain))
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`: the text inside, unescaped, and what stands behind the `@`.
fn quoted_local(text: &str) -> Result<(String, &str), AddressError> {
    let mut inside = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let rest = text.get(at + 1..).and_then(|rest| rest.strip_prefix('@'));
                return rest.map(|domain| (inside, domain)).ok_or(AddressError::Quotes);
            }
            '\\' => match chars.next() {
                // quoted-pairSMTP = %d92 %d32-126
                Some((_, escaped @ ' '..='~')) => inside.push(escaped),
                Some((_, bad)) => return Err(AddressError::LocalChar(bad)),
                None => return Err(AddressError::Quotes),
            },
            _ => inside.push(c),
        }
    }
    Err(AddressError::Quotes)
}

/// `atext` of RFC 5322 §3.2.3, with the non-ASCII of RFC 6531 §3.3.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
}

#[cfg(test)]
mod tests;
