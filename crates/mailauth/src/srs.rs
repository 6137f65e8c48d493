//! SRS: the sender of a letter that is forwarded, written so that SPF passes at the next server and a bounce finds its way back through us.
//!
//! `alice@a.test` becomes `SRS0=hash=day=a.test=alice@ours.test`; what another forwarder wrote becomes `SRS1=hash=forwarder==…`, which leads back to it alone. The
//! hash is a keyed one and the day is in it, so nobody but us makes an address that leads through us, and each leads back for some weeks only. The
//! form is that of libsrs2, so that other programs with the same key read it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use posthouse_mail::{Address, Domain, LocalPart, UnixMillis};
use thiserror::Error;

/// The characters of a hash: one in two thousand million is right by chance, read in any case.
const HASH_CHARS: usize = 6;
/// How long an address leads back; bounces come within days.
const DAYS_MAX: u64 = 21;
/// Days are counted modulo two characters of this alphabet.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// What may stand behind the mark.
const SEPARATORS: [char; 3] = ['=', '+', '-'];
const DAYS_MODULO: u64 = 1024;
const DAY_MILLIS: u64 = 86_400_000;

/// Why an address of this form leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SrsError {
    /// We did not write it.
    #[error("the address was not made here")]
    Forged,
    /// It is too old.
    #[error("the address led back for {DAYS_MAX} days, and no longer")]
    Expired,
}

/// The sender to give for `sender`, at `domain`; `None` where that would be no address: RFC 5321 §4.5.3.1.1 allows 64 octets in front of the `@`.
#[must_use]
pub fn forward(key: &[u8], sender: &Address, domain: &Domain, now: UnixMillis) -> Option<Address> {
    let (local, host) = (sender.local().as_str(), sender.domain().as_str());
    let written = if let Some(rest) = after(local, "SRS0") {
        let hash = hash(key, &[host, rest]);
        format!("SRS1={hash}={host}={rest}")
    } else if let Some((first, rest)) = after(local, "SRS1").and_then(chain) {
        let hash = hash(key, &[first, rest]);
        format!("SRS1={hash}={first}={rest}")
    } else {
        let day = stamp(now);
        let hash = hash(key, &[&day, host, local]);
        format!("SRS0={hash}={day}={host}={local}")
    };
    LocalPart::new(&written).ok().map(|local| Address::new(local, domain.clone()))
}

/// Whether a local part has the form.
#[must_use]
pub fn is_srs(local: &str) -> bool {
    after(local, "SRS0").or_else(|| after(local, "SRS1")).is_some()
}

/// Whom an address leads back to, if one of these keys made it.
///
/// # Errors
/// [`SrsError`].
pub fn back(keys: &[Vec<u8>], local: &str, now: UnixMillis) -> Result<Address, SrsError> {
    let is_ours = |given: &str, parts: &[&str]| keys.iter().any(|key| hash(key, parts).eq_ignore_ascii_case(given));
    if let Some(rest) = after(local, "SRS0") {
        let mut parts = rest.get(1..).unwrap_or_default().splitn(4, '=');
        let (Some(given), Some(day), Some(host), Some(user)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(SrsError::Forged);
        };
        if !is_ours(given, &[day, host, user]) {
            return Err(SrsError::Forged);
        }
        let today = now.0 / DAY_MILLIS % DAYS_MODULO;
        let age = days(day).map(|day| (today + DAYS_MODULO - day) % DAYS_MODULO).ok_or(SrsError::Forged)?;
        if age > DAYS_MAX {
            return Err(SrsError::Expired);
        }
        return address(user, host);
    }
    let rest = after(local, "SRS1").and_then(|rest| rest.get(1..)).ok_or(SrsError::Forged)?;
    let (given, rest) = rest.split_once('=').ok_or(SrsError::Forged)?;
    let (host, user) = rest.split_once('=').ok_or(SrsError::Forged)?;
    if !is_ours(given, &[host, user]) {
        return Err(SrsError::Forged);
    }
    address(&format!("SRS0{user}"), host)
}

/// A local part may need quotes, which it has only where it is written.
fn address(user: &str, host: &str) -> Result<Address, SrsError> {
    let local = LocalPart::new(user).map_err(|_| SrsError::Forged)?;
    Ok(Address::new(local, host.parse().map_err(|_| SrsError::Forged)?))
}

/// What stands behind the mark, its separator included.
fn after<'a>(local: &'a str, mark: &str) -> Option<&'a str> {
    let (front, rest) = local.split_at_checked(mark.len())?;
    (front.eq_ignore_ascii_case(mark) && rest.starts_with(SEPARATORS)).then_some(rest)
}

/// The first forwarder of a chain, and what it wrote. What only looks like a chain leads nowhere, and is a local part like any other.
fn chain(rest: &str) -> Option<(&str, &str)> {
    let (first, rest) = rest.get(1..)?.split_once('=')?.1.split_once('=')?;
    (first.parse::<Domain>().is_ok() && rest.starts_with(SEPARATORS)).then_some((first, rest))
}

/// Over small letters: on its way an address may be written in others.
fn hash(key: &[u8], parts: &[&str]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, parts.concat().to_ascii_lowercase().as_bytes());
    BASE64_STANDARD.encode(tag.as_ref()).chars().take(HASH_CHARS).collect()
}

fn stamp(now: UnixMillis) -> String {
    let day = usize::try_from(now.0 / DAY_MILLIS % DAYS_MODULO).unwrap_or_default();
    [day >> 5, day & 31].iter().filter_map(|&digit| ALPHABET.get(digit)).map(|&octet| char::from(octet)).collect()
}

fn days(stamp: &str) -> Option<u64> {
    if stamp.len() != 2 {
        return None;
    }
    stamp.bytes().try_fold(0, |sum, octet| {
        let digit = ALPHABET.iter().position(|&known| known == octet.to_ascii_uppercase())?;
        Some(sum << 5 | u64::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests;
