//! The dialogue as people want to read it, without its secrets.
//!
//! It is a highlight reel: commands and replies, the letter only by its size, a login by its mechanism alone.

use std::fmt;

use posthouse_mail::Reply;

/// One line of a dialogue.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Line {
    /// We said; what is secret is replaced by `***`.
    Client(String),
    /// The server said.
    Server(Reply),
    /// Something happened that is not a line: TLS, the letter's octets.
    Note(String),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(text) => write!(f, "C: {text}"),
            Self::Server(reply) => {
                let mut wire = Vec::new();
                reply.write_to(&mut wire);
                let text = String::from_utf8_lossy(&wire).trim_end().replace("\r\n", "\nS: ");
                write!(f, "S: {text}")
            }
            Self::Note(text) => write!(f, "   ({text})"),
        }
    }
}
