//! Lines, commands, paths, parameters and replies (RFC 5321 §4.1 and §4.2).
//!
//! Each command with arguments is a type with `parse` for what stands behind the verb and [`std::fmt::Display`] for the whole command; what
//! is written is read back as the same value. Nothing is guessed or mended, with two marked exceptions that cannot change where a line or a letter
//! ends: spaces behind `FROM:` and `TO:`, and spaces at the end of a command. A failure here is the peer's fault and permanent.

mod bdat;
mod hello;
mod line;
mod mail;
mod parameter;
mod path;
mod rcpt;
mod reply;
mod timing;
pub mod xtext;

use thiserror::Error;

pub use bdat::Bdat;
pub use hello::HelloName;
pub use line::{LineError, LineScanner};
pub use mail::Mail;
pub use path::{ForwardPath, PathError, take_path};
pub use rcpt::Rcpt;
pub use reply::{ReplyError, ReplyParser};
pub use timing::{By, FutureRelease, Hold};

/// Why the arguments of a command cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// The arguments do not have the form of the command; the text says which form they should have.
    #[error("{0}")]
    Form(&'static str),
    /// The path is wrong.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A parameter that is not known here.
    #[error("the parameter {0} is not known here")]
    UnknownParameter(String),
    /// A parameter twice, or with a value it cannot have.
    #[error("the parameter {0} is given twice or has a wrong value")]
    Parameter(&'static str),
    /// UTF-8 without `SMTPUTF8` (RFC 6531 §3.4).
    #[error("UTF-8 in an address needs the parameter SMTPUTF8")]
    NeedsSmtpUtf8,
}

/// Parts a command line (without CRLF) into verb and arguments. Spaces at the end are dropped (RFC 5321 §4.1.1 lets a receiver tolerate them).
#[must_use]
pub fn split_command(line: &str) -> (&str, &str) {
    let line = line.trim_end_matches(' ');
    line.split_once(' ').unwrap_or((line, ""))
}

#[cfg(test)]
mod tests;
