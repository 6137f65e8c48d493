//! Whether a certificate is for a host (RFC 6125 §6, RFC 7672 §3.2.3).

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The names of a certificate that are looked at.
const NAMES_MAX: usize = 1000;

/// Whether the certificate is for one of these names.
///
/// # Errors
/// What it is for, for people.
pub(super) fn check<'a>(certificate: &[u8], names: impl Iterator<Item = &'a str> + Clone) -> Result<(), String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| format!("it cannot be read: {error}"))?;
    let shown = shown(&parsed);
    if names.clone().any(|name| shown.iter().any(|shown| covers(shown, name))) {
        return Ok(());
    }
    Err(format!("it is for {} and not for {}", shown.join(", "), names.collect::<Vec<_>>().join(", ")))
}

/// The names it is for. The common name counts only where there is no name of the right kind (RFC 6125 §6.4.4): mail servers still have such.
fn shown(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let general = extension.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let dns = |name: &GeneralName<'_>| if let GeneralName::DNSName(dns) = name { Some((*dns).to_owned()) } else { None };
    let names: Vec<String> = general.iter().filter_map(dns).take(NAMES_MAX).collect();
    if !names.is_empty() {
        return names;
    }
    certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok()).map(str::to_owned).take(NAMES_MAX).collect()
}

/// A wildcard is the whole first label, and stands for exactly one (RFC 6125 §6.4.3).
pub(super) fn covers(shown: &str, name: &str) -> bool {
    let (shown, name) = (shown.strip_suffix('.').unwrap_or(shown), name.strip_suffix('.').unwrap_or(name));
    match shown.strip_prefix("*.") {
        // Never for a whole top level.
        Some(above) => above.contains('.') && name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(above)),
        None => shown.eq_ignore_ascii_case(name),
    }
}
