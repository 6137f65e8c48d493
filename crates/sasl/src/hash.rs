//! The hash functions of SCRAM.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::keys::{KeysError, check_cost};
use crate::prepare::Password;

/// What a SCRAM mechanism hashes with. Servers of ours keep keys for SHA-1 and SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScramHash {
    /// RFC 5802. Broken as a hash, not as HMAC; still better than to show the password.
    Sha1,
    /// RFC 7677.
    Sha256,
    /// As others offer it; there is no RFC.
    Sha512,
}

impl ScramHash {
    /// The octets of a digest.
    #[must_use]
    pub const fn octets(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The iterations of new keys: well above the least of 2015, and still below a tenth of a second on a client of today. More for SHA-1, of which each is quicker; Cyrus SASL, whom
    /// it is for, computes no more than this.
    #[must_use]
    pub const fn iterations(self) -> u32 {
        match self {
            Self::Sha1 => 65_536,
            Self::Sha256 | Self::Sha512 => 50_000,
        }
    }

    /// The mechanism that uses it, unbound.
    pub(crate) const fn mechanism(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha512 => "SCRAM-SHA-512",
        }
    }

    pub(crate) fn of_mechanism(name: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256, Self::Sha512].into_iter().find(|hash| hash.mechanism() == name)
    }

    pub(crate) fn digest(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(octets).to_vec(),
            Self::Sha256 => Sha256::digest(octets).to_vec(),
            Self::Sha512 => Sha512::digest(octets).to_vec(),
        }
    }

    pub(crate) fn hmac(self, key: &[u8], text: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Sha1 => mac(Hmac::<Sha1>::new_from_slice(key), text),
            Self::Sha256 => mac(Hmac::<Sha256>::new_from_slice(key), text),
            Self::Sha512 => mac(Hmac::<Sha512>::new_from_slice(key), text),
        })
    }

    /// `SaltedPassword := Hi(Normalize(password), salt, i)` (RFC 5802 §3).
    pub(crate) fn salted_password(
        self,
        password: &Password,
        salt: &[u8],
        iterations: u32,
    ) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        check_cost(salt, iterations)?;
        let password = password.reveal().as_bytes();
        Ok(Zeroizing::new(match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, iterations).to_vec(),
            Self::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec(),
            Self::Sha512 => pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, iterations).to_vec(),
        }))
    }
}

/// HMAC takes keys of any length, so that there is no error to tell.
fn mac<M: Mac + KeyInit, E>(keyed: Result<M, E>, text: &[u8]) -> Vec<u8> {
    let Ok(mut keyed) = keyed else { return Vec::new() };
    keyed.update(text);
    keyed.finalize().into_bytes().to_vec()
}
