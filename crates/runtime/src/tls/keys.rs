//! The public keys behind our own certificates: what is published of them (DANE) is a hash of these octets.

use std::path::Path;

use rcgen::{KeyPair, PublicKeyData as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{CertificateInfo, TlsError};

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its SubjectPublicKeyInfo in DER form (RFC 5280 §4.1.2.7).
    pub spki: Vec<u8>,
    /// The host names that its certificate is for; none for a key by itself.
    pub names: Vec<String>,
}

impl PublicKey {
    /// That of the first certificate in a PEM file.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificate.
    pub fn of_certificate(path: &Path) -> Result<Self, TlsError> {
        let origin = path.display().to_string();
        let pem = std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
        let first = CertificateDer::from_pem_slice(&pem).map_err(|error| TlsError::file(&origin, error))?;
        let (_, parsed) = X509Certificate::from_der(&first).map_err(|error| TlsError::file(&origin, error))?;
        let names = CertificateInfo::of(&first).map(|info| info.names).unwrap_or_default();
        Ok(Self { spki: parsed.tbs_certificate.subject_pki.raw.to_vec(), names })
    }

    /// That of a private key in a PEM file: of a certificate to come.
    ///
    /// # Errors
    /// The file cannot be read, or holds no key of a kind that certificates of ours have.
    pub fn of_private_key(path: &Path) -> Result<Self, TlsError> {
        let origin = path.display().to_string();
        let pem = std::fs::read_to_string(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
        let key = KeyPair::from_pem(&pem).map_err(|error| TlsError::file(&origin, error))?;
        Ok(Self { spki: key.subject_public_key_info(), names: Vec::new() })
    }

    /// Whether its certificate is for this host.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let covers = |name: &String| match name.strip_prefix("*.") {
            Some(above) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(above)),
            None => name.eq_ignore_ascii_case(host),
        };
        self.names.iter().any(covers)
    }
}
