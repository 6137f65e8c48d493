//! The only module that names the cryptographic library: SHA-256, RSA and Ed25519 as DKIM uses them (RFC 6376, 8301, 8463).

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKey as RsaPublicKey};
use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_SHA256, UnparsedPublicKey,
};
use serde::Serialize;
use thiserror::Error;

/// RFC 8301 §3.2: shorter keys prove nothing.
pub(crate) const RSA_BITS_MIN: u32 = 1024;
/// Longer ones cost more than they prove.
pub(crate) const RSA_BITS_MAX: u32 = 8192;
/// RFC 8463 §4.2.
const ED25519_KEY_BYTES: usize = 32;

/// A SHA-256 hash.
pub(crate) type Hash = [u8; 32];

/// SHA-256 over octets that come in pieces.
#[derive(Clone)]
pub(crate) struct Sha256(digest::Context);

/// The hash of these octets.
pub(crate) fn sha256(octets: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(octets);
    hash.finish()
}

/// The same with SHA-512.
pub(crate) fn sha512(octets: &[u8]) -> [u8; 64] {
    let mut hash = [0; 64];
    // The digest of SHA-512 has as many octets as the hash.
    hash.iter_mut().zip(digest::digest(&digest::SHA512, octets).as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

/// An algorithm of signatures, always over SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5.
    Rsa,
    /// PureEdDSA over the hash (RFC 8463 §3).
    Ed25519,
}

/// A key that signs.
pub struct SigningKey(Pair);

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// A public key that was read.
pub(crate) enum VerifyingKey {
    Rsa { der: Vec<u8>, bits: u32 },
    Ed25519([u8; ED25519_KEY_BYTES]),
}

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The octets are no key of that kind.
    #[error("it is not a key of its kind")]
    Unreadable,
    /// The system gives no key.
    #[error("a key could not be made")]
    Making,
    /// The key could not be used.
    #[error("the key cannot sign")]
    Signing,
}

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    pub(crate) fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    pub(crate) fn finish(self) -> Hash {
        let mut hash = Hash::default();
        // The digest of SHA-256 has as many octets as the hash.
        hash.iter_mut().zip(self.0.finish().as_ref()).for_each(|(to, from)| *to = *from);
        hash
    }
}

impl VerifyingKey {
    /// Reads `p=` of a key record: a SubjectPublicKeyInfo or RSAPublicKey, or the 32 octets of Ed25519.
    pub(crate) fn read(algorithm: Algorithm, octets: &[u8]) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::Rsa => {
                let key = RsaPublicKey::from_der(octets).map_err(|_| KeyError::Unreadable)?;
                let modulus = key.modulus();
                let modulus = modulus.big_endian_without_leading_zero();
                let unused = modulus.first().map_or(0, |octet| octet.leading_zeros());
                let bits = u32::try_from(modulus.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(unused);
                Ok(Self::Rsa { der: octets.to_vec(), bits })
            }
            Algorithm::Ed25519 => octets.try_into().map(Self::Ed25519).map_err(|_| KeyError::Unreadable),
        }
    }

    pub(crate) fn bits(&self) -> u32 {
        match self {
            Self::Rsa { bits, .. } => *bits,
            Self::Ed25519(_) => 256,
        }
    }

    /// Whether `signature` is this key's over what has this hash. To Ed25519 the hash itself is the message (RFC 8463 §3).
    pub(crate) fn verifies(&self, hash: &Hash, signature: &[u8]) -> bool {
        match self {
            Self::Rsa { der, .. } => digest::Digest::import_less_safe(hash, &digest::SHA256).is_ok_and(|digest| {
                let key = UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, der);
                key.verify_digest(&digest, signature).is_ok()
            }),
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(hash, signature).is_ok(),
        }
    }
}

impl SigningKey {
    /// A new key; RSA with 2048 bits.
    ///
    /// # Errors
    /// [`KeyError::Making`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Rsa => Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Making)?)),
            Algorithm::Ed25519 => Pair::Ed25519(Box::new(Ed25519KeyPair::generate().map_err(|_| KeyError::Making)?)),
        };
        Ok(Self(pair))
    }

    /// Reads a key from PKCS #8 in DER; RSA also from PKCS #1.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`].
    pub fn from_der(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Rsa => {
                RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).map(|pair| Pair::Rsa(Box::new(pair)))
            }
            Algorithm::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(|pair| Pair::Ed25519(Box::new(pair))),
        };
        pair.map(Self).map_err(|_| KeyError::Unreadable)
    }

    /// The key as PKCS #8 in DER. A secret.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`].
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, KeyError> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Unreadable)?;
                Ok(der.as_ref().to_vec())
            }
            // Version 1, which other programs read.
            Pair::Ed25519(pair) => Ok(pair.to_pkcs8v1().map_err(|_| KeyError::Unreadable)?.as_ref().to_vec()),
        }
    }

    /// Its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Pair::Rsa(_) => Algorithm::Rsa,
            Pair::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The public half as a key record has it in `p=`, before base64: SubjectPublicKeyInfo, or the 32 octets of Ed25519.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`].
    pub fn public_octets(&self) -> Result<Vec<u8>, KeyError> {
        match &self.0 {
            Pair::Rsa(pair) => Ok(pair.public_key().as_der().map_err(|_| KeyError::Unreadable)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.public_key().as_ref().to_vec()),
        }
    }

    /// Signs what has this hash.
    pub(crate) fn sign(&self, hash: &Hash) -> Result<Vec<u8>, KeyError> {
        match &self.0 {
            Pair::Rsa(pair) => {
                let digest = digest::Digest::import_less_safe(hash, &digest::SHA256).map_err(|_| KeyError::Signing)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&RSA_PKCS1_SHA256, &digest, &mut signature).map_err(|_| KeyError::Signing)?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => Ok(pair.try_sign(hash).map_err(|_| KeyError::Signing)?.as_ref().to_vec()),
        }
    }
}

/// Nothing of the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm())
    }
}

/// As in `k=` and in front of `-sha256`.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        })
    }
}

pub(crate) fn hash(octets: &[u8]) -> Hash {
    let mut sha = Sha256::new();
    sha.update(octets);
    sha.finish()
}
