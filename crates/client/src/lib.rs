//! The mail client library: build a letter, send it, know what happened to each recipient.

mod connection;
mod error;
mod target;
mod url;

pub use connection::Connection;
pub use error::{ClientError, Fault};
pub use posthouse_mail as mail;
pub use posthouse_smtp::client::{
    Capabilities, Credentials, Limits, Line, Protocol, RecipientResult, SessionError, Stage, Timeouts,
};
pub use target::{Security, Target, Transcript};
pub use url::{ServerUrl, UrlError};
