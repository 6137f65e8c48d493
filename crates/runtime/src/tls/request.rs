//! What an authority needs to issue a certificate: a request (RFC 2986) signed by the key that the certificate will be for; and the certificate that
//! proves to it that a name is ours (RFC 8737).

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use super::TlsError;

/// A fresh key (ECDSA P-256) in PEM form, for a certificate to come.
///
/// # Errors
/// The system gives no randomness.
pub fn fresh_key() -> Result<String, TlsError> {
    KeyPair::generate().map(|key| key.serialize_pem()).map_err(|error| TlsError::Setup(format!("no key: {error}")))
}

/// A request for a certificate.
pub struct CertificateRequest {
    /// The request in DER form.
    pub der: Vec<u8>,
    /// The key in PEM form.
    pub key: String,
}

impl CertificateRequest {
    /// A request for these names: for the key in `kept` (a text in PEM form, whatever else is in it), else for a fresh one (ECDSA P-256).
    ///
    /// # Errors
    /// A name that cannot stand in a certificate; the kept key cannot be used.
    pub fn new(names: &[String], kept: Option<&str>) -> Result<Self, TlsError> {
        let failed = |error: rcgen::Error| TlsError::Setup(format!("no request for {}: {error}", names.join(", ")));
        let key = match kept {
            Some(pem) => {
                let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| TlsError::file("the kept key", error))?;
                KeyPair::try_from(&der).map_err(failed)?
            }
            None => KeyPair::generate().map_err(failed)?,
        };
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(failed)?;
        Ok(Self { der: request.der().to_vec(), key: key.serialize_pem() })
    }
}

/// The certificate that proves a name (RFC 8737 §3): it signs itself, and its critical extension holds the hash of the key authorization. The
/// chain and the key in PEM form.
pub(super) fn challenge(name: &str, digest: &[u8; 32]) -> Result<(String, String), TlsError> {
    let failed = |error: rcgen::Error| TlsError::Setup(format!("no proof for {name}: {error}"));
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(failed)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    Ok((params.self_signed(&key).map_err(failed)?.pem(), key.serialize_pem()))
}
