//! The way from a host's certificate to an authority that a TLSA record names (RFC 7671 §5.2).

use std::time::Duration;

use posthouse_dns::Tlsa;
use rustls_pki_types::{CertificateDer, Der, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::prelude::{FromDer as _, SubjectPublicKeyInfo, X509Certificate, X509Version};

use super::records::{CERTIFICATES_MAX, matches};

/// Whether the authority of a record vouches for the first certificate.
///
/// # Errors
/// What is wrong with the way there; nothing when the authority is not met with at all.
pub(super) fn verify(record: &Tlsa, certificates: &[&[u8]], now: u64) -> Result<(), Option<String>> {
    let (first, above) = certificates.split_first().ok_or(None)?;
    let above = above.get(..CERTIFICATES_MAX).unwrap_or(above);
    // RFC 7671 §5.2.2: the authority's certificate is sent along, unless the record has it, or its key, whole.
    let mut authorities: Vec<&[u8]> = above.iter().copied().filter(|certificate| matches(record, certificate)).collect();
    if (record.selector, record.matching) == (0, 0) {
        authorities.push(&record.data);
    }
    let mut anchors = Vec::new();
    let mut why = None;
    let ders: Vec<CertificateDer<'_>> = authorities.iter().map(|&authority| CertificateDer::from(authority)).collect();
    for (authority, der) in authorities.iter().zip(&ders) {
        match is_authority(authority, now).and_then(|()| anchor_from_trusted_cert(der).map_err(|error| error.to_string())) {
            Ok(anchor) => anchors.push(anchor),
            Err(wrong) => why = Some(wrong),
        }
    }
    if (record.selector, record.matching) == (1, 0) {
        anchors.extend(std::iter::once(first).chain(above).filter_map(|signed| bare(&record.data, signed)));
    }
    if anchors.is_empty() {
        return Err(why);
    }
    let first = CertificateDer::from(*first);
    let first = EndEntityCert::try_from(&first).map_err(|error| Some(error.to_string()))?;
    let above: Vec<CertificateDer<'_>> = above.iter().map(|&certificate| CertificateDer::from(certificate)).collect();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let usage = KeyUsage::server_auth();
    let path = first.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, &above, time, usage, None, None);
    path.map(drop).map_err(|error| Some(format!("the authority of a TLSA record does not vouch for it: {error}")))
}

/// What webpki does not ask of an anchor, and others do: that it may sign certificates, and that its time has come and is not over.
fn is_authority(certificate: &[u8], now: u64) -> Result<(), String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if now < validity.not_before.timestamp() || validity.not_after.timestamp() < now {
        return Err("the time of the authority's certificate is over, or has not come".to_owned());
    }
    // The first version has no extensions that could say so.
    if parsed.version() == X509Version::V3 && !parsed.is_ca() {
        return Err("the certificate that fits a TLSA record is not an authority's".to_owned());
    }
    Ok(())
}

/// An authority of which only the key is known: whoever signed this certificate is to have it.
fn bare<'a>(key: &'a [u8], signed: &'a [u8]) -> Option<TrustAnchor<'a>> {
    let (_, signed) = X509Certificate::from_der(signed).ok()?;
    SubjectPublicKeyInfo::from_der(key).ok()?;
    Some(TrustAnchor {
        subject: Der::from(content(signed.tbs_certificate.issuer.as_raw())?),
        subject_public_key_info: Der::from(content(key)?),
        name_constraints: None,
    })
}

/// What a value in DER form holds, without its tag and length (X.690 §8.1.3), as webpki wants its anchors.
fn content(value: &[u8]) -> Option<&[u8]> {
    let (&length, rest) = value.get(1..)?.split_first()?;
    let octets = usize::from(length & 0x7f);
    if length & 0x80 == 0 { rest.get(..octets) } else { rest.get(octets..) }
}
