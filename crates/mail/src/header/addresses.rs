//! The addresses of `From`, `Sender`, `To`: `address-list` of RFC 5322 §3.4.
//!
//! Strict where software differs, for whoever reads it differently can be fooled (CVE-2025-13033, CVE-2023-27043): display names and comments are
//! passed over, never searched for addresses; what remains must be an address. No recursion: comments nest to a fixed depth.

use thiserror::Error;

use crate::{Address, AddressError};

/// The addresses a list may have.
const ADDRESSES_MAX: usize = 1000;
/// How deep comments may nest.
const COMMENT_DEPTH_MAX: usize = 8;

/// Why a value is not a list of addresses.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum AddressListError {
    /// A quoted string, comment or angle bracket that does not close, or closes what was not opened.
    #[error("quotes, brackets or parentheses do not match")]
    Unbalanced,
    /// Comments inside comments, beyond reason.
    #[error("comments nest deeper than {COMMENT_DEPTH_MAX}")]
    TooDeep,
    /// More than a letter needs.
    #[error("there are more than {ADDRESSES_MAX} addresses")]
    TooMany,
    /// Something that stands where an address should.
    #[error("`{text}` is not an address: {cause}")]
    Address {
        /// The text.
        text: String,
        /// What is wrong with it.
        cause: AddressError,
    },
}

/// Reads a value into its addresses; groups give their members. An empty list is an empty vector.
///
/// # Errors
/// [`AddressListError`].
pub fn address_list(value: &str) -> Result<Vec<Address>, AddressListError> {
    let mut reader = Reader::default();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '(' => {
                skip_comment(&mut chars)?;
                // A comment parts words: `evil(x)@a.test` must not be put together to something that nobody wrote.
                reader.target().push(' ');
            }
            '"' => quoted(&mut chars, reader.target())?,
            '<' => reader.open()?,
            '>' => reader.close()?,
            ',' if reader.angle.is_none() => reader.end()?,
            // `display-name ":"` begins a group; what was read so far is its name.
            ':' if reader.angle.is_none() => reader.bare.clear(),
            ';' if reader.angle.is_none() => reader.end()?,
            ')' => return Err(AddressListError::Unbalanced),
            _ => reader.target().push(c),
        }
    }
    reader.end()?;
    Ok(reader.found)
}

#[derive(Default)]
struct Reader {
    /// What stands outside angle brackets: a display name, or an address alone.
    bare: String,
    /// What stands inside the open bracket.
    angle: Option<String>,
    /// A bracket was closed in this member: the bare text is its display name.
    closed: bool,
    found: Vec<Address>,
}

impl Reader {
    fn target(&mut self) -> &mut String {
        self.angle.as_mut().unwrap_or(&mut self.bare)
    }

    fn open(&mut self) -> Result<(), AddressListError> {
        if self.angle.is_some() || self.closed {
            return Err(AddressListError::Unbalanced);
        }
        self.angle = Some(String::new());
        Ok(())
    }

    fn close(&mut self) -> Result<(), AddressListError> {
        let inside = self.angle.take().ok_or(AddressListError::Unbalanced)?;
        self.closed = true;
        self.bare.clear();
        self.add(&inside)
    }

    /// The end of a member.
    fn end(&mut self) -> Result<(), AddressListError> {
        if self.angle.is_some() {
            return Err(AddressListError::Unbalanced);
        }
        let bare = std::mem::take(&mut self.bare);
        let bare = bare.trim();
        if std::mem::take(&mut self.closed) {
            // Text behind the bracket belongs to nothing: `<a@x> b@y` is two addresses to some and one to others.
            return if bare.is_empty() { Ok(()) } else { self.add(bare) };
        }
        if bare.is_empty() { Ok(()) } else { self.add(bare) }
    }

    fn add(&mut self, text: &str) -> Result<(), AddressListError> {
        if self.found.len() >= ADDRESSES_MAX {
            return Err(AddressListError::TooMany);
        }
        let text = text.trim();
        let address = text.parse().map_err(|cause| AddressListError::Address { text: text.to_owned(), cause })?;
        self.found.push(address);
        Ok(())
    }
}

/// Copies a quoted string, quotes and escapes included: the address reads them itself.
fn quoted(chars: &mut std::str::Chars<'_>, target: &mut String) -> Result<(), AddressListError> {
    target.push('"');
    while let Some(c) = chars.next() {
        target.push(c);
        match c {
            '"' => return Ok(()),
            '\\' => target.push(chars.next().ok_or(AddressListError::Unbalanced)?),
            _ => {}
        }
    }
    Err(AddressListError::Unbalanced)
}

fn skip_comment(chars: &mut std::str::Chars<'_>) -> Result<(), AddressListError> {
    let mut depth = 1;
    while let Some(c) = chars.next() {
        match c {
            '(' if depth == COMMENT_DEPTH_MAX => return Err(AddressListError::TooDeep),
            '(' => depth += 1,
            ')' if depth == 1 => return Ok(()),
            ')' => depth -= 1,
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    Err(AddressListError::Unbalanced)
}

#[cfg(test)]
mod tests;
