//! The keys that an issuer publishes: a JWK set (RFC 7517).

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::settings::Algorithm;

/// The keys of one issuer that are kept; a set has two or three.
const KEYS_MAX: usize = 64;
/// The octets of an RSA exponent.
const EXPONENT_BYTES_MAX: usize = 8;

/// A key for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) id: Option<String>,
    /// The one algorithm that it is for, if it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point, uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

/// What is looked at of a key.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    /// The keys of a set that verify signatures. Others are passed over (RFC 7517 §5): a set may have keys for encryption, or of kinds to come.
    pub(crate) fn set(json: &[u8]) -> Result<Vec<Self>, String> {
        let set: Set = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let keys = set.keys.into_iter().take(KEYS_MAX).filter_map(|key| Self::of(serde_json::from_value(key).ok()?));
        Ok(keys.collect())
    }

    fn of(jwk: Jwk) -> Option<Self> {
        let is_for_signatures = jwk.purpose.is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !is_for_signatures {
            return None;
        }
        let algorithm = match jwk.alg.as_deref() {
            None => None,
            Some(name) => Some(Algorithm::named(name)?),
        };
        let octets = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { modulus: integer(octets(jwk.n)?), exponent: exponent(octets(jwk.e)?)? },
            ("EC", Some("P-256")) => Material::P256(point(&octets(jwk.x)?, &octets(jwk.y)?, 32)?),
            ("EC", Some("P-384")) => Material::P384(point(&octets(jwk.x)?, &octets(jwk.y)?, 48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(octets(jwk.x).filter(|x| x.len() == 32)?),
            _ => return None,
        };
        Some(Self { id: jwk.kid, algorithm, material })
    }

    /// Whether a signature by `algorithm` can be this key's. What the token says of its algorithm never makes one kind of key another.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        let fits_kind = match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => {
                matches!(self.material, Material::Rsa { .. })
            }
            Algorithm::Es256 => matches!(self.material, Material::P256(_)),
            Algorithm::Es384 => matches!(self.material, Material::P384(_)),
            Algorithm::EdDsa => matches!(self.material, Material::Ed25519(_)),
        };
        fits_kind && self.algorithm.is_none_or(|own| own == algorithm)
    }

    pub(crate) fn verifies(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        let by = |how: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(how, key).verify(signed, signature).is_ok()
        };
        match &self.material {
            Material::Rsa { modulus, exponent } => rsa(algorithm)
                .is_some_and(|how| PublicKeyComponents { n: modulus, e: exponent }.verify(how, signed, signature).is_ok()),
            Material::P256(point) => algorithm == Algorithm::Es256 && by(&ECDSA_P256_SHA256_FIXED, point),
            Material::P384(point) => algorithm == Algorithm::Es384 && by(&ECDSA_P384_SHA384_FIXED, point),
            Material::Ed25519(key) => algorithm == Algorithm::EdDsa && by(&ED25519, key),
        }
    }
}

/// Keys of 2048 to 8192 bits.
fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
    })
}

/// A number without the zeros that some write before it.
fn integer(octets: Vec<u8>) -> Vec<u8> {
    octets.into_iter().skip_while(|&octet| octet == 0).collect()
}

fn exponent(octets: Vec<u8>) -> Option<Vec<u8>> {
    let exponent = integer(octets);
    (1..=EXPONENT_BYTES_MAX).contains(&exponent.len()).then_some(exponent)
}

/// SEC 1 §2.3.3: `04`, then both coordinates at their full length (RFC 7518 §6.2.1.2).
fn point(x: &[u8], y: &[u8], octets: usize) -> Option<Vec<u8>> {
    (x.len() == octets && y.len() == octets).then(|| [&[4], x, y].concat())
}
