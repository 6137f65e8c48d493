//! The nonce of a SCRAM exchange.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

/// The characters a nonce may have, ours or the peer's.
pub(crate) const NONCE_BYTES_MAX: usize = 256;

/// `c-nonce = printable` / `s-nonce = printable` (RFC 5802 §7): %x21-2B / %x2D-7E, that is ASCII without space and comma.
///
/// Used for one exchange only: a repeated nonce lets a recorded exchange be replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nonce(String);

/// A text that is not a [`Nonce`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a nonce has 1 to {NONCE_BYTES_MAX} printable ASCII characters without comma")]
pub struct NonceError;

impl Nonce {
    /// A nonce of 18 random octets.
    #[must_use]
    pub fn from_random(random: [u8; 18]) -> Self {
        Self(STANDARD.encode(random))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Nonce {
    type Err = NonceError;

    fn from_str(text: &str) -> Result<Self, NonceError> {
        let right = !text.is_empty() && text.len() <= NONCE_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if right { Ok(Self(text.to_owned())) } else { Err(NonceError) }
    }
}
