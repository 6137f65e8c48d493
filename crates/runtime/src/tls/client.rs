//! TLS as a client: whom to trust.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::server::read_one;
use super::{CertificateFiles, HANDSHAKE_MAX, TlsError, TlsInfo, provider};
use crate::clock;

/// The authorities that are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Those of this system.
    Platform,
    /// Those in a PEM file, and no others.
    PemFile(PathBuf),
    /// Those in a text in PEM form, and no others.
    Pem(String),
}

/// How a client takes its part of a handshake. Clones share their resumable sessions.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    verified: bool,
}

impl ClientTls {
    /// The server must show a certificate for its name, signed by one of the roots.
    ///
    /// # Errors
    /// The roots cannot be read, or there are none.
    pub fn verified(roots: &Roots) -> Result<Self, TlsError> {
        let verifier: Arc<dyn ServerCertVerifier> = match roots {
            Roots::Platform => Arc::new(rustls_platform_verifier::Verifier::new(provider()).map_err(TlsError::setup)?),
            Roots::PemFile(path) => {
                let pem = std::fs::read(path).map_err(|source| TlsError::Read { path: path.clone(), source })?;
                by_roots(&pem, &path.display().to_string())?
            }
            Roots::Pem(pem) => by_roots(pem.as_bytes(), "the trusted roots")?,
        };
        Self::new(verifier, true)
    }

    /// Any certificate will do: the connection is encrypted, to whom is not known. For opportunistic TLS between servers
    /// (RFC 7435), where the alternative is the clear; never with credentials.
    ///
    /// # Errors
    /// [`TlsError::Setup`].
    pub fn danger_unverified() -> Result<Self, TlsError> {
        Self::new(Arc::new(AnyCertificate), false)
    }

    fn new(verifier: Arc<dyn ServerCertVerifier>, verified: bool) -> Result<Self, TlsError> {
        // Both constructors of the library's that avoid its `dangerous()` insist on its own kinds of verifiers; which one it is
        // is what the two functions above are about.
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::setup)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config), verified })
    }

    /// Whether the server's certificate is verified.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// The same, showing a certificate to servers that ask for one.
    ///
    /// # Errors
    /// As [`ServerTls::from_files`](super::ServerTls::from_files).
    pub fn with_certificate(mut self, files: &CertificateFiles) -> Result<Self, TlsError> {
        let certified = Arc::unwrap_or_clone(read_one(files)?);
        let mut config = (*self.config).clone();
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
        self.config = Arc::new(config);
        Ok(self)
    }

    /// The same, naming protocols by ALPN.
    #[cfg(test)]
    pub(crate) fn with_alpn(mut self, protocols: &[&str]) -> Self {
        let mut config = (*self.config).clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self.config = Arc::new(config);
        self
    }

    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        plain: S,
        name: &str,
    ) -> Result<(TlsStream<S>, TlsInfo), TlsError> {
        let server = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        let server_name = matches!(server, ServerName::DnsName(_)).then(|| name.to_owned());
        let handshake = TlsConnector::from(Arc::clone(&self.config)).connect(server, plain);
        let stream = clock::timeout(HANDSHAKE_MAX, handshake)
            .await
            .map_err(|_| TlsError::Timeout)?
            .map_err(|error| TlsError::handshake(&error, Some(name)))?;
        let info = TlsInfo::of(stream.get_ref().1, server_name, self.verified);
        Ok((stream, info))
    }
}

fn by_roots(pem: &[u8], origin: &str) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TlsError::file(origin, error))?;
        store.add(certificate).map_err(|error| TlsError::file(origin, error))?;
    }
    if store.is_empty() {
        return Err(TlsError::file(origin, "there is no certificate in PEM form in it"));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
        .build()
        .map_err(|error| TlsError::file(origin, error))
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").field("verified", &self.verified).finish_non_exhaustive()
    }
}

/// Takes every certificate, but insists that the server holds its key.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
