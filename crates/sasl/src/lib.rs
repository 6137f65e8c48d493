//! SASL mechanisms, client and server halves, without IO.
//!
//! PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), SCRAM-SHA-256 and -SHA-1 (RFC 5802, RFC 7677) and their -PLUS forms with the bindings
//! `tls-exporter` (RFC 9266) and, as a server, `tls-server-end-point` (RFC 5929), OAUTHBEARER (RFC 7628), XOAUTH2 and EXTERNAL (RFC 4422 appendix A); as a client also SCRAM-SHA-512 and CRAM-MD5 ([`Method`]). Messages are the octets inside the base64 that SMTP, POP3 and IMAP put around them; base64 of
//! the outer protocol, the `*` that aborts and the `=` of an empty initial response are the protocol's own business.
//!
//! It never does IO, reads a clock or draws randomness: a [`Nonce`] is made of the caller's random octets. It never looks anything up
//! either: [`ServerExchange`] stops with [`ServerStep::NeedPassword`], [`ServerStep::NeedKeys`], [`ServerStep::NeedToken`] or [`ServerStep::NeedIdentity`] and waits for the answer. Every
//! message is bounded by [`MESSAGE_BYTES_MAX`], one with a token by [`TOKEN_MESSAGE_BYTES_MAX`]. Secrets are wiped from memory when they are dropped and never printed by `Debug`.
//!
//! ```
//! use posthouse_sasl::{Bindings, Mechanism, Nonce, ServerExchange, ServerStep};
//!
//! let mut exchange = ServerExchange::start(Mechanism::Plain, Bindings::default(), Nonce::from_random([7; 18]));
//! let step = exchange.step(Some(b"\0alice@example.org\0secret"));
//! let ServerStep::NeedPassword { login, password } = step else { panic!("{step:?}") };
//! assert_eq!((login.as_str(), password.reveal()), ("alice@example.org", "secret"));
//! let right = true; // the directory's word
//! assert!(matches!(exchange.password_result(right), ServerStep::Done { login } if login == "alice@example.org"));
//! ```

mod bearer;
mod binding;
mod client;
mod hash;
mod keys;
mod mechanism;
mod method;
mod nonce;
mod prepare;
mod scram;
mod server;

pub use bearer::{TOKEN_MESSAGE_BYTES_MAX, TokenFault, TokenRefusal};
pub use binding::{Bindings, EndPoint};
pub use client::{ClientError, ClientExchange, ClientStep, Possession, choose};
pub use hash::ScramHash;
pub use keys::{
    FAKE_SALT_SEED_BYTES, ITERATIONS_MAX, ITERATIONS_MIN, KeysError, SALT_BYTES, SALT_BYTES_MAX, ScramKeys, login_salt,
};
pub use mechanism::{ChannelBinding, Mechanism, UnknownMechanism};
pub use method::Method;
pub use nonce::{Nonce, NonceError};
pub use prepare::{
    LOGIN_BYTES_MAX, PASSWORD_BYTES_MAX, Password, PrepareError, TOKEN_BYTES_MAX, prepare_login, prepare_password, prepare_token,
};
pub use server::{Refusal, ServerExchange, ServerStep};

/// The octets one message of a mechanism may have. The longest honest one is a SCRAM client-final of well under 1 KiB; PLAIN with every
/// field at its limit stays below it too.
pub const MESSAGE_BYTES_MAX: usize = 4096;
