//! Paths: what stands between the angle brackets of MAIL and RCPT.

use std::fmt;

use posthouse_mail::{Address, AddressError, Domain, ReversePath};
use thiserror::Error;

/// `Forward-path`, and the one mailbox that needs no domain.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ForwardPath {
    /// `<Postmaster>` in any case (RFC 5321 §4.1.1.3 and §4.5.1).
    Postmaster,
    /// A mailbox.
    Mailbox(Address),
}

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// No `<` in front, or no `>` that closes it.
    #[error("an address stands between < and >")]
    Brackets,
    /// Something other than a space behind the `>`.
    #[error("a space belongs behind the >")]
    Behind,
    /// A source route that cannot be read.
    #[error("the source route is wrong")]
    Route,
    /// `<>` where a mailbox is needed.
    #[error("the address is empty")]
    Empty,
    /// The mailbox is wrong.
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// Parts `<path> rest` into what stands inside the brackets and the rest, which is empty or begins with a space.
///
/// # Errors
/// [`PathError::Brackets`] and [`PathError::Behind`].
pub fn take_path(text: &str) -> Result<(&str, &str), PathError> {
    let inside = text.strip_prefix('<').ok_or(PathError::Brackets)?;
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => {
                let (path, rest) = inside.split_at(at);
                let rest = rest.strip_prefix('>').unwrap_or_default();
                return if rest.is_empty() || rest.starts_with(' ') { Ok((path, rest)) } else { Err(PathError::Behind) };
            }
            _ => {}
        }
    }
    Err(PathError::Brackets)
}

/// Reads the inside of a reverse-path; empty is `<>`.
pub(super) fn reverse_path(inside: &str) -> Result<ReversePath, PathError> {
    if inside.is_empty() {
        return Ok(ReversePath::NULL);
    }
    Ok(ReversePath(Some(strip_route(inside)?.parse()?)))
}

impl ForwardPath {
    /// Reads the inside of the brackets.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn parse(inside: &str) -> Result<Self, PathError> {
        if inside.is_empty() {
            return Err(PathError::Empty);
        }
        if inside.eq_ignore_ascii_case("postmaster") {
            return Ok(Self::Postmaster);
        }
        Ok(Self::Mailbox(strip_route(inside)?.parse()?))
    }

    /// The mailbox, unless this is `<Postmaster>`.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(address) => Some(address),
        }
    }
}

/// Without the brackets.
impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("Postmaster"),
            Self::Mailbox(address) => address.fmt(f),
        }
    }
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`, `A-d-l = At-domain *( "," At-domain )`.
///
/// Source routes are read and thrown away (RFC 5321 §4.1.1.3, Appendix C): the mailbox alone says where the letter goes.
fn strip_route(inside: &str) -> Result<&str, PathError> {
    let mut rest = inside;
    while let Some(hop) = rest.strip_prefix('@') {
        // The colons of an IPv6 literal do not end the route.
        let from = if hop.starts_with('[') { hop.find(']').ok_or(PathError::Route)? } else { 0 };
        let end = hop.get(from..).and_then(|tail| tail.find([',', ':'])).ok_or(PathError::Route)? + from;
        let (domain, tail) = hop.split_at(end);
        domain.parse::<Domain>().map_err(|_| PathError::Route)?;
        match tail.strip_prefix(':') {
            Some(mailbox) if mailbox.starts_with('@') => return Err(PathError::Route),
            Some(mailbox) => return Ok(mailbox),
            None => rest = tail.strip_prefix(',').filter(|next| next.starts_with('@')).ok_or(PathError::Route)?,
        }
    }
    Ok(rest)
}
