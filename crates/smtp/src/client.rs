//! The client half of SMTP and LMTP, without IO.
//!
//! A [`ClientSession`] is told what time it is, what came in and what the driver did; [`ClientSession::poll`] says what to do next. It greets,
//! secures, logs in, and then carries letters one after the other, each with one result per recipient.
//!
//! ```text
//! loop {
//!     match session.poll(now) {
//!         Send(bytes)   write them; meanwhile give everything that comes in to receive()
//!         StartTls      do the handshake, then tls_started()
//!         Ready         begin a letter with letter(), or quit()
//!         Body          give the next octets of the letter with body()
//!         Done(results) the letter's results
//!         Wait(until)   read, until then at most; receive(), or closed() at the end of the stream
//!         Closed(why)   drop the connection; None after QUIT
//!     }
//! }
//! ```
//!
//! It never opens a socket, reads a clock or draws randomness, never repairs a letter's line ends, never sends the end of a letter
//! whose octets it has not all checked, and never sends a command that could hold a line break. What a failure means is said by
//! [`SessionError`]; what happened to a letter by [`RecipientResult`].

mod capabilities;
mod command;
mod error;
mod expected;
mod fit;
mod letter;
mod login;
mod outbox;
mod result;
mod session;
mod settings;
mod transcript;

pub use capabilities::{Capabilities, Limits};
pub use error::{SessionError, Stage};
pub use result::RecipientResult;
pub use session::{ClientSession, Output};
pub use settings::{Chunks, Credentials, Protocol, Secured, Settings, StartTls, Timeouts};
pub use transcript::Line;

#[cfg(test)]
mod tests;
