//! Certificates that clients show: asked for where log-ins are taken, and never needed.
//!
//! In the handshake a client proves only that it has the key of what it shows: one whose certificate is of another authority, or over, is served like one
//! that shows none. Whether its certificate is believed is found out behind the handshake, also when a session is resumed, and only then is it in
//! [`TlsInfo::client`](super::TlsInfo::client).

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{TlsError, provider};
use crate::clock;

/// The mail addresses of a certificate that are looked at.
const EMAILS_MAX: usize = 16;

/// The authorities that certificates of clients are believed by. Clones share them.
#[derive(Clone)]
pub struct ClientRoots(Arc<dyn ClientCertVerifier>);

/// The certificate that a client has shown: of an authority that is believed, for clients, and in its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The mail addresses among its alternative names (`rfc822Name`). Its subject says nothing.
    pub emails: Vec<String>,
    /// The SHA-256 digest of the whole of it, in lower-case hexadecimal.
    pub fingerprint: String,
}

/// Asks for a certificate and takes whatever comes.
#[derive(Debug)]
struct Asking(Arc<dyn ClientCertVerifier>);

impl ClientRoots {
    /// Reads the authorities from a file in PEM form.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificate of an authority.
    pub fn from_pem_file(path: &Path) -> Result<Self, TlsError> {
        let read = |error| TlsError::file(&path.display().to_string(), error);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
            roots.add(certificate.map_err(read)?).map_err(|error| TlsError::file(&path.display().to_string(), error))?;
        }
        // RFC 5280 §4.2.1.12: of a certificate for certain purposes one must be to authenticate clients.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        Ok(Self(verifier.map_err(|error| TlsError::file(&path.display().to_string(), error))?))
    }

    pub(super) fn asking(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::new(Asking(Arc::clone(&self.0)))
    }

    /// What the client has shown, if it is believed now.
    pub(super) fn judge(&self, shown: &[CertificateDer<'_>]) -> Option<ClientCertificate> {
        let (own, between) = shown.split_first()?;
        let now = UnixTime::since_unix_epoch(Duration::from_millis(clock::unix_millis()));
        if let Err(error) = self.0.verify_client_cert(own, between, now) {
            tracing::debug!(%error, "a client's certificate is not believed");
            return None;
        }
        let (_, certificate) = X509Certificate::from_der(own).ok()?;
        let names = certificate.subject_alternative_name().ok()?.map(|names| names.value.general_names.as_slice());
        let emails = names
            .unwrap_or_default()
            .iter()
            .filter_map(|name| if let GeneralName::RFC822Name(email) = name { Some((*email).to_owned()) } else { None });
        let fingerprint = Sha256::digest(own).iter().map(|octet| format!("{octet:02x}")).collect();
        Some(ClientCertificate { emails: emails.take(EMAILS_MAX).collect(), fingerprint })
    }
}

impl fmt::Debug for ClientRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRoots").finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// A client with several certificates sees by these which is meant.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
