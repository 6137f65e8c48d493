//! The channel binding `tls-server-end-point` (RFC 5929 §4.1).

use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_parser::oid_registry::{
    OID_HASH_SHA1, OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512, OID_PKCS1_MD5WITHRSAENC,
    OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512, Oid,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// The digest of a certificate with the hash function of the signature on it, SHA-256 in the place of MD5 and SHA-1. `None` where the signature has no hash
/// function of its own (Ed25519): the binding is then not defined.
pub(super) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let signature = &parsed.signature_algorithm;
    if signature.algorithm != OID_PKCS1_RSASSAPSS {
        return digest(&signature.algorithm, certificate);
    }
    let parameters = SignatureAlgorithm::try_from(signature).ok()?;
    if let SignatureAlgorithm::RSASSA_PSS(parameters) = parameters {
        digest(parameters.hash_algorithm_oid(), certificate)
    } else {
        None
    }
}

fn digest(algorithm: &Oid<'_>, certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let sha256 = [
        OID_PKCS1_MD5WITHRSAENC,
        OID_PKCS1_SHA1WITHRSA,
        OID_PKCS1_SHA256WITHRSA,
        OID_SIG_ECDSA_WITH_SHA256,
        OID_HASH_SHA1,
        OID_NIST_HASH_SHA256,
    ];
    let sha384 = [OID_PKCS1_SHA384WITHRSA, OID_SIG_ECDSA_WITH_SHA384, OID_NIST_HASH_SHA384];
    let sha512 = [OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA512, OID_NIST_HASH_SHA512];
    if sha256.contains(algorithm) {
        Some(Sha256::digest(certificate).to_vec())
    } else if sha384.contains(algorithm) {
        Some(Sha384::digest(certificate).to_vec())
    } else {
        sha512.contains(algorithm).then(|| Sha512::digest(certificate).to_vec())
    }
}
