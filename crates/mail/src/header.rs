//! Header fields: reading a block of them, and writing the ones that a mail server adds.
//!
//! Reading borrows: a [`Header`] is the octets of the block and finds fields in them; the body is never touched. It judges form, not
//! meaning. What cannot be read as a field (a line without a colon) begins the body in old software and hides there in new, so it is an error here.

mod addresses;
mod trace;

use memchr::{memchr, memmem};
use thiserror::Error;

pub use addresses::{AddressListError, address_list};
pub use trace::{Received, delivered_to, return_path};

/// The octets that a header block may have, empty line included.
pub const HEADER_BYTES_MAX: usize = 1024 * 1024;
/// The fields that a header block may have.
pub const FIELDS_MAX: usize = 10_000;

/// A header block: the fields of a letter, without the empty line behind them.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    bytes: &'a [u8],
}

/// One field (RFC 5322 §2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    name: &'a str,
    raw: &'a [u8],
}

/// What is wrong with a header block: the sender's fault, for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// More than [`HEADER_BYTES_MAX`].
    #[error("the header has more than {HEADER_BYTES_MAX} octets")]
    TooLong,
    /// More than [`FIELDS_MAX`].
    #[error("the header has more than {FIELDS_MAX} fields")]
    TooManyFields,
    /// A line that neither begins a field nor goes on with one.
    #[error("line {line} of the header is not a field: it needs a name, a colon and a value")]
    NotAField {
        /// Its number, 1 for the first.
        line: usize,
    },
}

/// Where the header ends: the octets of the fields, and those with the empty line. `None` while the empty line has not come.
///
/// A letter without an empty line is all header (RFC 5322 §3.5: the body is optional).
#[must_use]
pub fn end_of_header(bytes: &[u8]) -> Option<(usize, usize)> {
    if bytes.starts_with(b"\r\n") {
        return Some((0, 2));
    }
    memmem::find(bytes, b"\r\n\r\n").map(|at| (at + 2, at + 4))
}

impl<'a> Header<'a> {
    /// Reads the fields' octets, without the empty line.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, HeaderError> {
        if bytes.len() > HEADER_BYTES_MAX {
            return Err(HeaderError::TooLong);
        }
        let mut fields = 0;
        for (line, number) in lines(bytes).zip(1..) {
            if is_continuation(line) && fields > 0 {
                continue;
            }
            if name_of(line).is_none() {
                return Err(HeaderError::NotAField { line: number });
            }
            fields += 1;
            if fields > FIELDS_MAX {
                return Err(HeaderError::TooManyFields);
            }
        }
        Ok(Self { bytes })
    }

    /// The fields in order.
    pub fn fields(self) -> impl Iterator<Item = Field<'a>> {
        Fields { rest: self.bytes }
    }

    /// The fields of a name, in order; case does not count.
    pub fn named(self, name: &str) -> impl Iterator<Item = Field<'a>> {
        self.fields().filter(move |field| field.is(name))
    }

    /// The first field of a name.
    #[must_use]
    pub fn first(self, name: &str) -> Option<Field<'a>> {
        self.named(name).next()
    }

    /// The hops so far: a letter with too many goes round (RFC 5321 §6.3).
    #[must_use]
    pub fn received_count(self) -> usize {
        self.named("Received").count()
    }

    /// The block without the fields of these names.
    #[must_use]
    pub fn without(self, names: &[&str]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(self.bytes.len());
        for field in self.fields().filter(|field| !names.iter().any(|name| field.is(name))) {
            kept.extend_from_slice(field.raw);
        }
        kept
    }

    /// The octets as they came.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Field<'a> {
    /// The name as it was written.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Whether it has this name.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// All its octets, name, folding and last CRLF included.
    #[must_use]
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The value unfolded (RFC 5322 §2.2.3) and trimmed; octets that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn value(&self) -> String {
        let colon = memchr(b':', self.raw).map_or(self.raw.len(), |at| at + 1);
        let value = String::from_utf8_lossy(self.raw.get(colon..).unwrap_or_default());
        value.replace("\r\n", "").trim().to_owned()
    }
}

struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let first = lines(self.rest).next()?;
        let continued: usize = lines(self.rest).skip(1).take_while(|line| is_continuation(line)).map(<[u8]>::len).sum();
        let (raw, rest) = self.rest.split_at_checked(first.len() + continued)?;
        self.rest = rest;
        // `parse` has seen a name in each; what it did not see is not shown.
        name_of(first).map(|name| Field { name, raw })
    }
}

/// The lines with their ends; the last may have none.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&b| b == b'\n')
}

fn is_continuation(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// `field-name = 1*ftext` (RFC 5322 §3.6.8); white space before the colon is the obsolete form of §4.5.
fn name_of(line: &[u8]) -> Option<&str> {
    let colon = memchr(b':', line)?;
    let name = line.get(..colon)?.trim_ascii_end();
    let right = !name.is_empty() && name.iter().all(|b| b.is_ascii_graphic());
    right.then(|| std::str::from_utf8(name).ok()).flatten()
}

#[cfg(test)]
mod tests;
