//! Enhanced mail system status codes (RFC 3463).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// `status-code = class "." subject "." detail` (RFC 3463 §2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Status {
    /// The first number.
    pub class: Class,
    /// The second number, 0–999.
    pub subject: u16,
    /// The third number, 0–999.
    pub detail: u16,
}

/// The first number of a [`Status`], and whether a reply code is final.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// 2: it worked.
    Success,
    /// 4: it may work later.
    Temporary,
    /// 5: it will not work.
    Permanent,
}

/// Why a text is not a [`Status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an enhanced status code is `2`, `4` or `5`, and two numbers of up to three digits, with dots between them")]
pub struct StatusError;

impl Status {
    /// A status; the two numbers are capped at 999.
    #[must_use]
    pub const fn new(class: Class, subject: u16, detail: u16) -> Self {
        Self { class, subject: if subject > 999 { 999 } else { subject }, detail: if detail > 999 { 999 } else { detail } }
    }

    /// A permanent status, `5.subject.detail`.
    #[must_use]
    pub const fn permanent(subject: u16, detail: u16) -> Self {
        Self::new(Class::Permanent, subject, detail)
    }

    /// A temporary status, `4.subject.detail`.
    #[must_use]
    pub const fn temporary(subject: u16, detail: u16) -> Self {
        Self::new(Class::Temporary, subject, detail)
    }

    /// A success, `2.subject.detail`.
    #[must_use]
    pub const fn success(subject: u16, detail: u16) -> Self {
        Self::new(Class::Success, subject, detail)
    }
}

impl FromStr for Status {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let mut parts = text.split('.');
        let class = match parts.next() {
            Some("2") => Class::Success,
            Some("4") => Class::Temporary,
            Some("5") => Class::Permanent,
            _ => return Err(StatusError),
        };
        let mut number = || -> Result<u16, StatusError> {
            let digits = parts.next().ok_or(StatusError)?;
            if digits.is_empty() || digits.len() > 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(StatusError);
            }
            digits.parse().map_err(|_| StatusError)
        };
        let (subject, detail) = (number()?, number()?);
        if parts.next().is_some() { Err(StatusError) } else { Ok(Self { class, subject, detail }) }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.class {
            Class::Success => 2,
            Class::Temporary => 4,
            Class::Permanent => 5,
        };
        write!(f, "{class}.{}.{}", self.subject, self.detail)
    }
}

#[cfg(test)]
mod tests;
