//! DKIM (RFC 6376, 8301, 8463): does a domain answer for this letter?
//!
//! [`Verification`] takes the header, then the body as it comes (one pass, no copy), then the keys, and says of each signature what it is worth.
//! [`Signer`] makes them. Neither changes a letter. What is verified is octet for octet what is delivered.

mod canon;
mod header;
mod key;
mod sign;
mod signature;
mod verify;

use std::fmt;

use serde::Serialize;

pub use crate::crypto::{Algorithm, KeyError, SigningKey};
use crate::lookup::Looked;
pub(crate) use canon::{BodyHash, Canon};
pub(crate) use header::{Fields, without_b};
pub use key::is_published;
pub(crate) use key::{key_for, key_of};
pub use sign::{BodyDigest, Signer, key_record};
pub(crate) use signature::{Signature, algorithm as signature_algorithm, key_name, octets};
pub use verify::{Keys, Verification};

/// What a signature is worth (RFC 8601 §2.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DkimResult {
    /// The domain answers for the letter as it is.
    Pass,
    /// It did not sign this letter, or the letter was changed.
    Fail,
    /// The signature is right and proves too little: its key is too short, or it leaves out a part of the body.
    Policy,
    /// It was not looked at.
    Neutral,
    /// DNS trouble: try again later.
    Temperror,
    /// The signature or its key record is wrong.
    Permerror,
}

/// The verdict on one signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dkim {
    /// What it is.
    pub result: DkimResult,
    /// Why, for people.
    pub reason: String,
    /// `d=`: who answers.
    pub domain: String,
    /// `s=`: which key.
    pub selector: String,
    /// `i=`, if it is there: on whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// `a=`.
    pub algorithm: String,
    /// The beginning of `b=`, which tells signatures apart (RFC 6008).
    pub signature: String,
    /// The key's length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_bits: Option<u32>,
    /// Whether the key record says that the domain is only trying it out (`t=y`).
    pub testing: bool,
    /// Whether it fails because the body is not the one that was signed.
    #[serde(skip)]
    pub body_changed: bool,
    /// What was read.
    pub records: Vec<Looked>,
}

/// As in `Authentication-Results`.
impl fmt::Display for DkimResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::Neutral => "neutral",
            Self::Temperror => "temperror",
            Self::Permerror => "permerror",
        })
    }
}
