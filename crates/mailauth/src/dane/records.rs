//! TLSA records that count between mail servers, and whether what a host shows fits one.

use std::fmt;

use posthouse_dns::{Name, Record, Tlsa};
use posthouse_mail::Domain;
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo, X509Certificate};

use super::{chain, name};
use crate::crypto;

/// DANE-TA: an authority of the domain's own choice.
const TRUST_ANCHOR: u8 = 2;
/// DANE-EE: the host's own certificate.
const END_ENTITY: u8 = 3;
/// The records of a host that are looked at: each may cost a signature.
const RECORDS_MAX: usize = 50;
/// The certificates of a chain that are looked at; webpki and OpenSSL have the like.
pub(super) const CERTIFICATES_MAX: usize = 20;

/// The records of one host, of which its certificates must fit one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    base: Name,
    owner: Name,
    usable: Vec<Tlsa>,
}

/// Why a record does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnusableTlsa {
    /// Usage 0 and 1 lean on public authorities, of which mail servers know no common set (RFC 7672 §3.1.3); others are not known.
    Usage,
    /// Neither the certificate nor its key.
    Selector,
    /// Neither the octets themselves nor a hash that is known.
    Matching,
    /// The data is no certificate, no key, or no hash of that length.
    Data,
}

impl Records {
    /// The records as a master file writes them: what a report says of the policy (RFC 8460 §4.4).
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.usable.iter().map(|record| Record::Tlsa(record.clone()).to_string()).collect()
    }

    /// The records that count; none where there is none.
    pub(super) fn new(base: Name, owner: Name, records: &[Tlsa]) -> Option<Self> {
        let usable = records.iter().filter(|record| unusable(record).is_none()).take(RECORDS_MAX).cloned();
        let usable = agile(usable.collect());
        (!usable.is_empty()).then_some(Self { base, owner, usable })
    }

    /// The name below which they stand (RFC 7672 §2.2.3): what the host is called in the handshake.
    #[must_use]
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// The records that count.
    #[must_use]
    pub fn usable(&self) -> &[Tlsa] {
        &self.usable
    }

    /// Whether the certificates a host shows (in DER form, its own first) fit a record at this time (seconds since 1970). `names` are what the host
    /// may be called besides the base name: only an authority's word is about a name.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn check(&self, certificates: &[&[u8]], names: &[&Domain], now: u64) -> Result<String, String> {
        let first = certificates.first().ok_or("the host shows no certificate")?;
        let fits = |record: &&Tlsa, certificate: &[u8]| matches(record, certificate);
        let (anchors, own): (Vec<&Tlsa>, Vec<&Tlsa>) = self.usable.iter().partition(|record| record.usage == TRUST_ANCHOR);
        // RFC 7671 §5.1: neither its name nor its time nor who signed it matters.
        if let Some(record) = own.iter().find(|record| fits(record, first)) {
            return Ok(self.words(record));
        }
        let mut why = "its certificate fits none of the TLSA records".to_owned();
        for record in anchors {
            match self.anchored(record, certificates, names, now) {
                Ok(()) => return Ok(self.words(record)),
                Err(Some(wrong)) => why = wrong,
                Err(None) => {}
            }
        }
        Err(format!("{why} at {}", self.owner))
    }

    /// Whether an authority vouches for the first certificate; without a word when it is not met with at all.
    fn anchored(&self, record: &Tlsa, certificates: &[&[u8]], names: &[&Domain], now: u64) -> Result<(), Option<String>> {
        chain::verify(record, certificates, now)?;
        let first = certificates.first().copied().unwrap_or_default();
        let accepted = names.iter().map(|name| name.as_str()).chain([self.base.as_str()]);
        // RFC 7671 §5.2.3, RFC 7672 §3.2.3.
        name::check(first, accepted).map_err(Some)
    }

    fn words(&self, record: &Tlsa) -> String {
        let Tlsa { usage, selector, matching, .. } = record;
        format!("it fits TLSA {usage} {selector} {matching} at {}", self.owner)
    }
}

/// As the timeline shows it: `TLSA 3 1 1 at _25._tcp.mx.example.org`.
impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} TLSA records at {}", self.usable.len(), self.owner)
    }
}

/// The record of a host's own key (`3 1 1`, RFC 7671 §5.1): it stays when the certificate is renewed with the same key.
#[must_use]
pub fn record_of_host(spki: &[u8]) -> Tlsa {
    Tlsa { usage: END_ENTITY, selector: 1, matching: 1, data: crypto::sha256(spki).to_vec() }
}

/// The record of the key of an authority of our own (`2 1 1`), whose certificate is sent along.
#[must_use]
pub fn record_of_authority(spki: &[u8]) -> Tlsa {
    Tlsa { usage: TRUST_ANCHOR, ..record_of_host(spki) }
}

/// Why a record does not count; nothing when it does.
#[must_use]
pub(crate) fn unusable(record: &Tlsa) -> Option<UnusableTlsa> {
    if ![TRUST_ANCHOR, END_ENTITY].contains(&record.usage) {
        return Some(UnusableTlsa::Usage);
    }
    let fits = match (record.selector, record.matching) {
        (0, 0) => X509Certificate::from_der(&record.data).is_ok_and(|(rest, _)| rest.is_empty()),
        (1, 0) => SubjectPublicKeyInfo::from_der(&record.data).is_ok_and(|(rest, _)| rest.is_empty()),
        (0 | 1, 1) => record.data.len() == 32,
        (0 | 1, 2) => record.data.len() == 64,
        (0 | 1, _) => return Some(UnusableTlsa::Matching),
        (_, _) => return Some(UnusableTlsa::Selector),
    };
    (!fits).then_some(UnusableTlsa::Data)
}

/// Of the hashes of one usage and selector only the strongest counts (RFC 7671 §9): SHA-512 before SHA-256.
fn agile(records: Vec<Tlsa>) -> Vec<Tlsa> {
    let has_stronger = |record: &Tlsa| {
        record.matching == 1
            && records.iter().any(|other| (other.usage, other.selector) == (record.usage, record.selector) && other.matching == 2)
    };
    records.iter().filter(|record| !has_stronger(record)).cloned().collect()
}

/// Whether a certificate is the one that a record means.
pub(super) fn matches(record: &Tlsa, certificate: &[u8]) -> bool {
    let selected = if record.selector == 0 {
        certificate
    } else {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
        parsed.tbs_certificate.subject_pki.raw
    };
    match record.matching {
        0 => record.data == selected,
        1 => record.data == crypto::sha256(selected),
        2 => record.data == crypto::sha512(selected),
        _ => false,
    }
}

impl fmt::Display for UnusableTlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usage => "its usage does not count between mail servers",
            Self::Selector => "its selector is not known",
            Self::Matching => "its matching type is not known",
            Self::Data => "its data is not what it should be",
        })
    }
}
