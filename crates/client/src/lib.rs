//! The mail client library: build a letter, send it, know what happened to each recipient.
//!
//! ```no_run
//! use posthouse_client::{Mailer, Message, blocking};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mailer = Mailer::builder("smtp+starttls://alice@mail.example.org")?.password("secret").build()?;
//! let message = Message::builder()
//!     .from("Alice <alice@example.org>")
//!     .to("bob@example.net")
//!     .bcc("archive@example.org")
//!     .subject("The report")
//!     .text("Dear Bob,\n\nhere it is.\n")
//!     .attach_file("report.pdf")
//!     .build()?;
//!
//! // In asynchronous code: `mailer.send(&message).await`.
//! let report = blocking::Mailer::from(mailer).send(&message)?;
//! for recipient in &report.recipients {
//!     println!("{recipient}"); // bob@example.net: accepted: 250 2.0.0 01K… stored
//! }
//! for failed in report.failed() {
//!     println!("{}", failed.advice());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What this library sees to:
//! * Certificates are verified, and a password travels only over verified TLS or to this very machine. Whatever is weaker has `danger_` in its name.
//! * A letter is never sent half as if it were whole, and what became of it is told for each recipient: accepted, refused, not sent, not tried, or unknown
//!   because the connection broke between the letter's last octet and the server's reply.
//! * Nothing that is given to it can add a header field, a recipient or a command.
//! * It repeats nothing that a server may have taken, and every wait has an end ([`Timeouts`]).
//!
//! [`Mailer`] and [`Message`] are for programs; [`Target`] and [`Connection`] are what they are made of, for those who choose addresses, connections and
//! retries themselves.

pub mod blocking;
mod catcher;
mod caught;
mod cause;
mod connection;
mod error;
mod folder;
mod local;
mod mailer;
mod message;
pub mod mx;
mod proxy;
mod race;
mod report;
mod target;
mod transport;
mod url;

pub use catcher::{Catcher, CatcherBuilder};
pub use caught::{Caught, NotCaught};
pub use cause::cause;
pub use connection::{Connection, Outgoing};
pub use error::{ClientError, Fault};
pub use folder::Folder;
pub use local::LocalServer;
pub use mailer::{DirectBuilder, Mailer, MailerBuilder, MailerError};
pub use message::{Body, Message, MessageBuilder, MessageError, SignError, dkim_key};
pub use posthouse_dns as dns;
pub use posthouse_mail as mail;
pub use posthouse_mail::mime::{Answer, Calendar, CalendarError, Event};
pub use posthouse_mailauth::dkim;
pub use posthouse_runtime::net::Stream;
pub use posthouse_runtime::tls::{CertificateFiles, ClientTls, Roots};
pub use posthouse_runtime::{block_on, stream};
pub use posthouse_sasl::Method as LoginMethod;
pub use posthouse_smtp::client::{
    Capabilities, Chunks, Credentials, Limits, Line, Protocol, RecipientResult, SessionError, Stage, Timeouts,
};
pub use proxy::Proxy;
pub use report::{RecipientReport, SendReport, Via};
pub use target::{Known, Security, Target, Transcript};
pub use transport::{Memory, Sending, Transport};
pub use url::{ServerUrl, UrlError};
