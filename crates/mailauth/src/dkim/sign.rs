//! Signing (RFC 6376 §5).

use std::sync::Arc;

use posthouse_mail::Domain;
use posthouse_mail::header::Header;

use super::canon::{BodyHash, Canon};
use super::header::Fields;
use super::signature::encode;
use crate::crypto::{Algorithm, Hash, KeyError, SigningKey};

/// Fields that are signed once more than they are there, so that none can be added (§8.15).
const OVERSIGNED: &[&str] = &[
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];
/// Fields that are signed once more than they are there if they are there at all: who hands a letter on may have some of its own to add, and none beside ours
/// (RFC 9477 §3.1.4).
const SEALED: &[&str] = &["CFBL-Address", "CFBL-Feedback-ID"];
/// Fields that are signed where they are (§5.4.1, RFC 8058 §4).
const SIGNED: &[&str] = &[
    "Resent-From",
    "Resent-To",
    "Resent-Date",
    "Resent-Message-ID",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Content-ID",
    "Content-Description",
    "Auto-Submitted",
];
/// The columns of a line.
const COLUMNS: usize = 76;

/// A domain's key with its selector.
#[derive(Debug)]
pub struct Signer {
    /// `d=`
    pub domain: Domain,
    /// `s=`
    pub selector: String,
    /// The key.
    pub key: Arc<SigningKey>,
}

/// The hash of a body that will be signed, whatever the number of keys.
pub struct BodyDigest(BodyHash);

impl BodyDigest {
    /// No octets yet.
    #[must_use]
    pub fn new() -> Self {
        Self(BodyHash::new(Canon::Relaxed, None))
    }

    /// Takes the next octets.
    pub fn update(&mut self, octets: &[u8]) {
        self.0.update(octets);
    }

    /// The hash.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        self.0.finish().0
    }
}

impl Default for BodyDigest {
    fn default() -> Self {
        Self::new()
    }
}

impl Signer {
    /// The field `DKIM-Signature` for a letter, folded, with its last CRLF: relaxed in both halves, the whole body. `now` is in seconds since
    /// 1970.
    ///
    /// # Errors
    /// [`KeyError::Signing`].
    pub fn sign(&self, header: Header<'_>, body: &[u8; 32], now: u64) -> Result<String, KeyError> {
        let fields = Fields::new(header);
        let names = names(&fields);
        let mut field = format!(
            "DKIM-Signature: v=1; a={}-sha256; c=relaxed/relaxed; t={now};\r\n\td={}; s={};\r\n\t",
            self.key.algorithm(),
            self.domain,
            self.selector
        );
        folded(&mut field, "h=", names.iter().map(String::as_str), ":");
        field.push_str(";\r\n\tbh=");
        field.push_str(&encode(body));
        field.push_str(";\r\n\t");
        let lower: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let hash: Hash = fields.hash(&lower, Canon::Relaxed, format!("{field}b=\r\n").as_bytes());
        let signature = encode(&self.key.sign(&hash)?);
        let pieces: Vec<&str> = signature.as_bytes().chunks(16).filter_map(|piece| std::str::from_utf8(piece).ok()).collect();
        folded(&mut field, "b=", pieces.into_iter(), "");
        field.push_str("\r\n");
        Ok(field)
    }
}

/// The record that publishes a key, at `<selector>._domainkey.<domain>`.
///
/// # Errors
/// [`KeyError::Unreadable`].
pub fn key_record(key: &SigningKey) -> Result<String, KeyError> {
    let kind = match key.algorithm() {
        Algorithm::Rsa => "rsa",
        Algorithm::Ed25519 => "ed25519",
    };
    Ok(format!("v=DKIM1; k={kind}; p={}", encode(&key.public_octets()?)))
}

fn names(fields: &Fields<'_>) -> Vec<String> {
    let repeat = |name: &&str, more: usize| vec![(*name).to_owned(); fields.count(name) + more];
    let over = OVERSIGNED.iter().flat_map(|name| repeat(name, 1));
    let sealed = SEALED.iter().filter(|name| fields.count(name) > 0).flat_map(|name| repeat(name, 1));
    over.chain(sealed).chain(SIGNED.iter().flat_map(|name| repeat(name, 0))).collect()
}

/// Words in lines that are not too long. Where a line breaks white space comes in, which means nothing in `h=` and `b=`.
fn folded<'a>(field: &mut String, tag: &str, words: impl Iterator<Item = &'a str>, separator: &str) {
    field.push_str(tag);
    let mut column = 8 + tag.len();
    for (number, word) in words.enumerate() {
        if number > 0 {
            field.push_str(separator);
        }
        if column + word.len() + separator.len() > COLUMNS {
            field.push_str("\r\n\t ");
            column = 9;
        }
        field.push_str(word);
        column += word.len() + separator.len();
    }
}
