//! Line protocols to read mail: POP3 (IMAP and ManageSieve to come).
//!
//! A protocol is a session without IO and a pump that couples it with a stream and answers its questions from the directory and the
//! mailboxes. It never takes a letter in and never reads one that is not the account's own.

mod context;
pub mod pop3;
mod settings;

pub use context::Context;
pub use settings::Settings;
