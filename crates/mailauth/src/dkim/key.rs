//! The key record (RFC 6376 §3.6.1).

use super::DkimResult;
use super::signature::{Signature, key_octets};
use crate::crypto::{Algorithm, RSA_BITS_MAX, RSA_BITS_MIN, SigningKey, VerifyingKey};
use crate::tags::{Tags, shown};

/// A key that may verify the signature.
pub(crate) struct Key {
    pub(crate) key: VerifyingKey,
    /// `t=y`.
    pub(crate) testing: bool,
}

/// Why there is none.
pub(crate) type NoKey = (DkimResult, String);

/// The key for a signature among the texts at its name. With several texts, which the standard leaves open, the first that is right.
pub(crate) fn key_for(signature: &Signature, texts: &[Vec<u8>]) -> Result<Key, NoKey> {
    key_of(signature.algorithm, texts, |strict| !strict || signature.identity_domain == signature.domain)
}

/// Whether these texts at its name publish the key, so that what it signs is believed.
///
/// # Errors
/// What is wrong with them, for people.
pub fn is_published(key: &SigningKey, texts: &[Vec<u8>]) -> Result<(), String> {
    // Everybody who reads it with several takes another one.
    if texts.len() > 1 {
        return Err(format!("there are {} texts at the name, where one belongs", texts.len()));
    }
    let found = key_of(key.algorithm(), texts, |_| true).map_err(|(_, why)| why)?;
    let is_ours = key.public_octets().is_ok_and(|octets| match found.key {
        VerifyingKey::Rsa { der, .. } => der == octets,
        VerifyingKey::Ed25519(published) => published == *octets,
    });
    if is_ours { Ok(()) } else { Err("the record there has another key".to_owned()) }
}

/// As [`key_for`]; `fits` says whether the signature is one that a record with `t=s` is for.
pub(crate) fn key_of(algorithm: Algorithm, texts: &[Vec<u8>], fits: impl Fn(bool) -> bool) -> Result<Key, NoKey> {
    let mut first = None;
    for text in texts {
        match read(algorithm, text, &fits) {
            Ok(key) => return Ok(key),
            Err(why) => first = first.or(Some(why)),
        }
    }
    Err(first.unwrap_or_else(|| (DkimResult::Permerror, "there is no key".to_owned())))
}

fn read(algorithm: Algorithm, text: &[u8], fits: &impl Fn(bool) -> bool) -> Result<Key, NoKey> {
    let wrong = |why: &str| (DkimResult::Permerror, why.to_owned());
    let text = std::str::from_utf8(text).map_err(|_| wrong("the key record is not text"))?;
    let tags = Tags::parse(text).map_err(|what| (DkimResult::Permerror, format!("the key record is wrong: {what}")))?;
    // §3.6.1: the version stands first, if at all.
    if tags.find("v").is_some_and(|version| version != "DKIM1" || tags.first() != Some("v")) {
        return Err(wrong("the key record has another version"));
    }
    let has = |name: &str, default: &str, wanted: &[&str]| {
        let value = tags.find(name).unwrap_or(default);
        value.split(':').any(|word| wanted.iter().any(|wanted| word.trim().eq_ignore_ascii_case(wanted)))
    };
    let kind = tags.find("k").unwrap_or("rsa");
    if !kind.eq_ignore_ascii_case(&algorithm.to_string()) {
        return Err((DkimResult::Permerror, format!("the key is one of `{}`", shown(kind))));
    }
    if !has("h", "sha256", &["sha256"]) {
        return Err(wrong("the key is not for SHA-256"));
    }
    if !has("s", "*", &["*", "email"]) {
        return Err(wrong("the key is not for mail"));
    }
    if !fits(has("t", "", &["s"])) {
        return Err(wrong("the key is not for subdomains"));
    }
    let public = tags.find("p").ok_or_else(|| wrong("the key record has no key"))?;
    if public.is_empty() {
        return Err(wrong("the key was revoked"));
    }
    let octets = key_octets(public).ok_or_else(|| wrong("the key is not base64"))?;
    let key = VerifyingKey::read(algorithm, &octets).map_err(|_| wrong("the key cannot be read"))?;
    if algorithm == Algorithm::Rsa && key.bits() < RSA_BITS_MIN {
        return Err((DkimResult::Policy, format!("the key has {} bits, fewer than {RSA_BITS_MIN}", key.bits())));
    }
    if key.bits() > RSA_BITS_MAX {
        return Err((DkimResult::Policy, format!("the key has more than {RSA_BITS_MAX} bits")));
    }
    Ok(Key { key, testing: has("t", "", &["y"]) })
}
