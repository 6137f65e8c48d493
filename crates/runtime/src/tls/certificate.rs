//! What a certificate says, for people.

use std::fmt;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// One certificate of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateInfo {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The host names it is for.
    pub names: Vec<String>,
    /// From when it counts, in seconds since 1970.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
    /// The same for people.
    pub expires: String,
    /// Which key of its issuer signed it.
    #[serde(skip)]
    pub authority_key: Option<Vec<u8>>,
    /// Its number, in the octets of the certificate.
    #[serde(skip)]
    pub serial: Vec<u8>,
}

/// The certificates in a text in PEM form, in its order. What is none is left out.
#[must_use]
pub fn certificates_of(pem: &[u8]) -> Vec<CertificateInfo> {
    CertificateDer::pem_slice_iter(pem).filter_map(|certificate| CertificateInfo::of(&certificate.ok()?)).collect()
}

impl CertificateInfo {
    /// Reads one; none if it cannot be read.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let names = parsed.subject_alternative_name().ok().flatten();
        let general = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
        let dns = |name: &GeneralName<'_>| if let GeneralName::DNSName(dns) = name { Some((*dns).to_owned()) } else { None };
        let authority_key = parsed.iter_extensions().find_map(|extension| {
            let ParsedExtension::AuthorityKeyIdentifier(authority) = extension.parsed_extension() else { return None };
            Some(authority.key_identifier.as_ref()?.0.to_vec())
        });
        Some(Self {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            names: general.iter().filter_map(dns).collect(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            expires: parsed.validity().not_after.to_string(),
            authority_key,
            serial: parsed.raw_serial().to_vec(),
        })
    }
}

impl fmt::Display for CertificateInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.subject)?;
        if !self.names.is_empty() {
            write!(f, " for {}", self.names.join(" "))?;
        }
        write!(f, ", signed by {}, until {}", self.issuer, self.expires)
    }
}
