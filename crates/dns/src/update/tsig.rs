//! TSIG (RFC 8945): a message is signed with a secret that two share, and so is the answer. Pure: time comes in.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::wire::{self, put_name};
use crate::record::Name;

/// How far clocks may be apart, in seconds (RFC 8945 §10 recommends it).
pub(super) const FUDGE_SECONDS: u16 = 300;
/// TSIG, and the class ANY.
const TYPE: u16 = 250;
const ANY: u16 = 255;
/// How an answer says what is wrong with the signature (RFC 8945 §3).
pub(super) const BAD_SIGNATURE: u16 = 16;
pub(super) const BAD_KEY: u16 = 17;
pub(super) const BAD_TIME: u16 = 18;

/// What a key of TSIG is used with.
#[derive(Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// What every server knows.
    #[default]
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// The same with SHA-384.
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    /// The same with SHA-512.
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

/// A secret with its name.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) name: Name,
    pub(super) algorithm: Algorithm,
    pub(super) secret: Zeroizing<Vec<u8>>,
}

/// The record of a signature, as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) time: u64,
    pub(super) error: u16,
    fudge: u16,
    mac: Vec<u8>,
    original_id: u16,
    other: Vec<u8>,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        })
    }
}

impl Key {
    /// Puts the signature behind a message; gives its MAC, which the answer's depends on. `now` in seconds since 1970.
    pub(super) fn sign(&self, message: &mut Vec<u8>, now: u64) -> Vec<u8> {
        self.sign_after(&[], message, now)
    }

    /// As [`Self::sign`], with octets in front that are signed and not sent.
    pub(super) fn sign_after(&self, before: &[u8], message: &mut Vec<u8>, now: u64) -> Vec<u8> {
        let original_id = wire::number_at(message, 0).unwrap_or_default();
        let variables = self.variables(now, FUDGE_SECONDS, 0, &[]);
        let mac = self.mac(&[before, message, &variables]);
        let mut rest = Vec::new();
        self.put_manner(&mut rest, now, FUDGE_SECONDS);
        put_short(&mut rest, &mac);
        rest.extend(original_id.to_be_bytes());
        // No error, no other data.
        rest.extend([0; 4]);
        put_name(message, &self.name);
        message.extend([TYPE, ANY].map(u16::to_be_bytes).concat());
        message.extend([0; 4]);
        put_short(message, &rest);
        wire::count_one_more(message);
        mac
    }

    /// Whether an answer is signed with this key, and for the message with that MAC. `unsigned` is the answer without its signature.
    pub(super) fn verifies(&self, unsigned: &[u8], signature: &Signature, request_mac: &[u8]) -> bool {
        let mut before = Vec::new();
        put_short(&mut before, request_mac);
        // §4.3.1: as it was before forwarders gave it another id.
        before.extend(signature.original_id.to_be_bytes());
        let rest = unsigned.get(2..).unwrap_or_default();
        let variables = self.variables(signature.time, signature.fudge, signature.error, &signature.other);
        self.is_mac(&[&before, rest, &variables], &signature.mac)
    }

    /// What is signed besides the message (§4.3.3).
    fn variables(&self, time: u64, fudge: u16, error: u16, other: &[u8]) -> Vec<u8> {
        let mut octets = Vec::new();
        put_name(&mut octets, &self.name);
        octets.extend(ANY.to_be_bytes());
        octets.extend([0; 4]);
        self.put_manner(&mut octets, time, fudge);
        octets.extend(error.to_be_bytes());
        put_short(&mut octets, other);
        octets
    }

    /// The algorithm, the time, and how far it may be off.
    fn put_manner(&self, octets: &mut Vec<u8>, time: u64, fudge: u16) {
        let name = self.algorithm.to_string();
        octets.push(u8::try_from(name.len()).unwrap_or_default());
        octets.extend(name.bytes());
        octets.push(0);
        // 48 bits.
        octets.extend(time.to_be_bytes().into_iter().skip(2));
        octets.extend(fudge.to_be_bytes());
    }

    fn mac(&self, pieces: &[&[u8]]) -> Vec<u8> {
        match self.algorithm {
            Algorithm::HmacSha256 => self.hash::<Hmac<Sha256>>(pieces).finalize().into_bytes().to_vec(),
            Algorithm::HmacSha384 => self.hash::<Hmac<Sha384>>(pieces).finalize().into_bytes().to_vec(),
            Algorithm::HmacSha512 => self.hash::<Hmac<Sha512>>(pieces).finalize().into_bytes().to_vec(),
        }
    }

    /// In the same time for every wrong one. One that was cut short is none (§5.2.2.1 allows to say so).
    fn is_mac(&self, pieces: &[&[u8]], mac: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::HmacSha256 => self.hash::<Hmac<Sha256>>(pieces).verify_slice(mac).is_ok(),
            Algorithm::HmacSha384 => self.hash::<Hmac<Sha384>>(pieces).verify_slice(mac).is_ok(),
            Algorithm::HmacSha512 => self.hash::<Hmac<Sha512>>(pieces).verify_slice(mac).is_ok(),
        }
    }

    fn hash<M: Mac + KeyInit>(&self, pieces: &[&[u8]]) -> M {
        // A key of HMAC may have any length (RFC 2104 §2); one that it does not take verifies nothing.
        let mut mac = M::new_from_slice(&self.secret).unwrap_or_else(|_| M::new(&hmac::digest::Key::<M>::default()));
        pieces.iter().for_each(|piece| mac.update(piece));
        mac
    }
}

impl Signature {
    /// Reads the data of a record.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let after = wire::skip_name(data, 0)?;
        let high = u64::from(wire::number_at(data, after)?);
        let low = u64::from(wire::number_at(data, after + 2)?) << 16 | u64::from(wire::number_at(data, after + 4)?);
        let fudge = wire::number_at(data, after + 6)?;
        let (mac, after) = short_at(data, after + 8)?;
        let (original_id, error) = (wire::number_at(data, after)?, wire::number_at(data, after + 2)?);
        let (other, after) = short_at(data, after + 4)?;
        let signature = Self { time: high << 32 | low, error, fudge, mac, original_id, other };
        (after == data.len()).then_some(signature)
    }

    /// The clock of who answered, when it told (§5.2.3).
    pub(super) fn their_time(&self) -> Option<u64> {
        let octets: [u8; 6] = self.other.as_slice().try_into().ok()?;
        Some(octets.iter().fold(0, |time, octet| time << 8 | u64::from(*octet)))
    }
}

/// Octets with their number in front.
fn put_short(octets: &mut Vec<u8>, data: &[u8]) {
    octets.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    octets.extend(data);
}

fn short_at(octets: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    let end = at + 2 + usize::from(wire::number_at(octets, at)?);
    Some((octets.get(at + 2..end)?.to_vec(), end))
}

/// Nothing of the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
