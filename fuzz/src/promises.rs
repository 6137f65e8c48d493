//! What domains promise of their TLS: MTA-STS, TLS-RPT, DANE.

use std::fmt::Write as _;
use std::time::Duration;

use posthouse_dns::Zone;
use posthouse_mail::Domain;
use posthouse_mailauth::dane::{self, Dane};
use posthouse_mailauth::mta_sts::{self, Mode, Policy};
use posthouse_mailauth::tls_rpt;

use crate::ready;

/// The octets of a policy's `max_age`, as the standard has it: a year.
const MAX_AGE_MAX: Duration = Duration::from_secs(31_557_600);

/// A policy, as a web server might serve it: written again it means the same.
pub fn mta_sts_policy(data: &[u8]) {
    let Ok(policy) = Policy::parse(data) else { return };
    assert!(policy.max_age <= MAX_AGE_MAX);
    assert!(policy.mode == Mode::None || !policy.mx.is_empty());
    let again = Policy::parse(policy.to_string().as_bytes());
    assert_eq!(again.as_ref(), Ok(&policy));
    assert_eq!(again.map(|again| again.id()), Ok(policy.id()));
    assert!(mta_sts::Record::new(&policy.id()).is_ok(), "its name can stand in a record");
    for host in ["mx.a.test", "a.test", "x.mx.a.test"] {
        let host: Domain = host.parse().unwrap_or_else(|error| panic!("{error}"));
        let by_hand = policy.mode == Mode::None || policy.mx.iter().any(|pattern| pattern.matches(&host));
        assert_eq!(policy.allows(&host), by_hand);
    }
}

/// Texts at `_mta-sts` and `_smtp._tls`, one to a line.
pub fn tls_records(data: &[u8]) {
    let texts: Vec<Vec<u8>> = data.split(|&octet| octet == b'\n').map(<[u8]>::to_vec).collect();
    if let Ok(Some(record)) = mta_sts::Record::read(&texts) {
        assert_eq!(mta_sts::Record::read(&[record.to_string().into_bytes()]), Ok(Some(record)));
    }
    if let Ok(Some(record)) = tls_rpt::Record::read(&texts) {
        assert!((1..=8).contains(&record.destinations().len()));
        assert_eq!(tls_rpt::Record::read(&[record.to_string().into_bytes()]), Ok(Some(record)));
    }
}

/// A TLSA record (usage, selector, matching type, the length of its data in two octets, the data) and the certificates a host shows (each with its length in front).
/// Without a certificate nothing fits, and what fits a host's own certificate does so whatever is sent behind it.
pub fn tlsa(data: &[u8]) {
    let [usage, selector, matching, rest @ ..] = data else { return };
    let mut parts = parts(rest);
    if parts.is_empty() {
        return;
    }
    let record = parts.remove(0);
    let mut zone = format!("mx.a.test A 192.0.2.1\n_25._tcp.mx.a.test TLSA {usage} {selector} {matching} ");
    record.iter().for_each(|octet| {
        // Writing to a string cannot fail.
        let _ = write!(zone, "{octet:02x}");
    });
    let Ok(zone) = Zone::of(&zone) else { return };
    let zone = zone.authenticated();
    let host: Domain = "mx.a.test".parse().unwrap_or_else(|error| panic!("{error}"));
    let found = ready(dane::find(&zone, &host, 25)).dane;
    let Dane::Records(records) = found else {
        assert_eq!(found, Dane::Unusable, "a record that is vouched for counts or does not");
        return;
    };
    assert!(matches!(usage, 2 | 3) && *selector < 2 && *matching < 3);
    assert!(records.check(&[], &[&host], 0).is_err());
    for now in [0, 1_795_500_000, u64::MAX] {
        let whole = records.check(&parts, &[&host], now);
        if *usage == 3 {
            assert_eq!(whole.is_ok(), records.check(&parts[..parts.len().min(1)], &[], 0).is_ok(), "only the host's own counts");
        }
    }
}

/// Pieces with their length in two octets in front; the last may be cut off.
fn parts(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = octets.split_first_chunk::<2>() {
        let (part, behind) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        parts.push(part);
        octets = behind;
    }
    parts
}
