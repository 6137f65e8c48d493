//! POP3 (RFC 1939, with RFC 2449 CAPA, RFC 2595 STLS, RFC 5034 AUTH, RFC 3206 and RFC 2449 response codes).
//!
//! [`Session`] is the protocol without IO: bytes and time come in, [`Output`]s go out, and what it cannot know it asks ([`Question`]).
//! Nothing is deleted before QUIT (RFC 1939 §6); a connection that ends in another way leaves the mailbox as it was.

mod authorization;
mod body;
mod command;
mod serve;
mod session;
mod transaction;

pub use serve::serve;
pub use session::{Answer, Closing, Entry, Limits, OpenError, Output, Profile, Question, Session};
