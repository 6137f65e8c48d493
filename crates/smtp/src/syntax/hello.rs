//! The name a client gives itself.

use std::fmt;

use super::ArgumentError;

/// The octets of a domain (RFC 5321 §4.5.3.1.2).
const NAME_BYTES_MAX: usize = 255;

/// The argument of EHLO, HELO and LHLO: `( Domain / address-literal )`.
///
/// Only the characters are checked. A deviation: programs on desktops send labels with underscores, digits only, or odd literals, and RFC 5321
/// §4.1.4 forbids to refuse mail for a name that does not verify; the name is recorded, never trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HelloName(String);

impl HelloName {
    /// Reads what stands behind the verb.
    ///
    /// # Errors
    /// [`ArgumentError::Form`] for an empty or too long name, or one with other characters than letters, digits and `.-_:[]`.
    pub fn parse(arguments: &str) -> Result<Self, ArgumentError> {
        let name = arguments.trim_matches(' ');
        let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
        if fits && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b)) {
            Ok(Self(name.to_owned()))
        } else {
            Err(ArgumentError::Form("your host name or [address] belongs behind the command"))
        }
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HelloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
