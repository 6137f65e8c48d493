//! Tokens of OpenID Connect issuers: what a client shows with OAUTHBEARER (RFC 7628) or XOAUTH2.
//!
//! [`Issuers`] is what the directory asks. A token in the form of a JWT (RFC 7519) is checked with the keys that its issuer publishes; one that says
//! nothing, or whose issuer is to be asked each time, by introspection (RFC 7662). Issuers are those that the operator names: nothing in a
//! token leads to another one, nor to a key; `jku`, `x5u` and `jwk` are not looked at.
//!
//! The checks are those of RFC 8725: an algorithm that is allowed here and fits the key, and never a shared secret or none; the issuer, the audience, the
//! times; then the scope, and the claim that names the account. Keys are kept while an issuer cannot be reached, and asked for again when a token
//! has one that is not known.
//!
//! It never makes a token, follows no redirect, and knows no account. What fails at the issuer is temporary; everything else is the token's fault.

mod claims;
mod error;
mod introspection;
mod issuers;
mod jwt;
mod keys;
mod settings;
mod source;

pub use issuers::{Issuers, check_with};
pub use settings::{Algorithm, Introspection, Settings};
