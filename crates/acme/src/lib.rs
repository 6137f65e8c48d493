//! Certificates from an authority by ACME (RFC 8555): ordered, proven, and renewed before they end.
//!
//! [`Keeper`] sees to one certificate for all names of the server: it orders it when there is none or the names are others, renews it when two thirds of
//! its time are over or the authority says so (RFC 9773), and tries again later and later when that fails. What is needed to prove that the names are
//! ours is in [`Proofs`], where the listeners look: a token by HTTP (RFC 8555 §8.3) or a certificate by TLS (RFC 8737);
//! or it is put into the DNS by [`Records`] (§8.4).
//!
//! The account and the certificate with its key are files of the owner alone. A certificate is replaced in one step, and a failure leaves the one
//! that is there.

mod error;
mod keeper;
mod order;
mod proofs;
mod records;
mod schedule;
mod settings;
mod store;
mod wire;

pub use error::AcmeError;
pub use keeper::{Keeper, Keys, NextKey, Show, Standing};
pub use proofs::Proofs;
pub use records::Records;
pub use schedule::is_late;
pub use settings::{Challenge, ExternalAccount, Settings};
pub use store::Store;
