//! Line protocols to read mail: POP3 (IMAP and ManageSieve to come).
//!
//! [`Pop3`] holds what its sessions share; [`serve_pop3`] takes one connection from its greeting to its end. The protocol itself is a session
//! without IO, octets and time in, octets and questions out, and a pump that answers the questions from the directory and the mailbox.
//!
//! It never lets a password travel outside TLS, never removes a message before the client has taken its leave in order, and never holds more of a
//! letter than a chunk. A failure ends one connection and nothing else.

mod pop3;
mod settings;

pub use pop3::{Parts, Pop3, serve_pop3};
pub use settings::Settings;
