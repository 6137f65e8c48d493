//! `BDAT` (RFC 3030 §2).

use std::fmt;

use super::ArgumentError;

/// `bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CR LF`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bdat {
    /// The octets that follow the command.
    pub size: u64,
    /// Whether the letter ends with them.
    pub last: bool,
}

impl Bdat {
    /// Reads what stands behind the verb.
    ///
    /// # Errors
    /// [`ArgumentError::Form`]. How many octets follow is then not known: the connection cannot go on.
    pub fn parse(arguments: &str) -> Result<Self, ArgumentError> {
        const FORM: ArgumentError = ArgumentError::Form("the form is BDAT size [LAST]");
        let (size, marker) = arguments.split_once(' ').unwrap_or((arguments, ""));
        // `parse` alone would take a plus sign.
        if !size.bytes().all(|b| b.is_ascii_digit()) {
            return Err(FORM);
        }
        let size = size.parse().map_err(|_| FORM)?;
        match marker {
            "" => Ok(Self { size, last: false }),
            marker if marker.eq_ignore_ascii_case("LAST") => Ok(Self { size, last: true }),
            _ => Err(FORM),
        }
    }
}

impl fmt::Display for Bdat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BDAT {}{}", self.size, if self.last { " LAST" } else { "" })
    }
}
