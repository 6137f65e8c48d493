//! Reports on mail.
//!
//! [`Evaluations`] counts what was found of letters that say they are of a domain that wants to know, day by day, for the reports that are
//! sent to it (RFC 9990).
//!
//! [`Received`] reads and keeps what others report of our domains: on letters in our name (RFC 9990), on the TLS on the way to us (RFC 8460), on single
//! letters (RFC 5965, RFC 9991). [`Summary`] is what an operator wants to know of them. It also knows what we [`Sent`].
//!
//! All of it is in `reports.sqlite`. Trouble with that file never stops a letter.

mod error;
mod evaluations;
mod incoming;
mod received;
mod sent;
mod settings;
mod store;
mod summary;

pub use error::ReportsError;
pub use evaluations::{Evaluations, Found};
pub use incoming::{Incoming, LETTER_BYTES_MAX, Read, Unread, read};
pub use received::{Entry, Filed, Received};
pub use sent::Sent;
pub use settings::{DmarcSettings, Settings};
pub use store::Store;
pub use summary::{Complaint, Reporter, Source, Summary, Summing, TlsTrouble};
