//! What somebody logs in for.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A service that takes log-ins. An app password may be for some of them alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Sending: submission.
    Smtp,
    /// Reading: POP3.
    Pop3,
}

/// A text that names no [`Protocol`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no protocol `{0}`: smtp, pop3")]
pub struct ProtocolError(String);

impl Protocol {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Smtp, Self::Pop3];

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Pop3 => "pop3",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == text).ok_or_else(|| ProtocolError(text.to_owned()))
    }
}
