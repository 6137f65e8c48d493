//! DKIM signatures (RFC 6376): put on a letter by the domain it is from.
//!
//! A letter is signed last, and whole: its body is read once for the signature and once more when it is sent. Whatever is changed behind that breaks it.

use std::io;

use posthouse_mail::UnixMillis;
use posthouse_mail::header::{Header, HeaderError, end_of_header};
use posthouse_mail::mime::Segment;
use posthouse_mailauth::dkim::{Algorithm, BodyDigest, KeyError, Signer, SigningKey};
use posthouse_runtime::clock;
use thiserror::Error;

use super::Message;

/// Why a letter cannot be signed.
///
/// ```
/// use posthouse_client::{SignError, dkim_key};
///
/// assert!(matches!(dkim_key("no key at all"), Err(SignError::Pem)));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SignError {
    /// A file of the letter cannot be read.
    #[error("the letter cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The letter's header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not a key in PEM form.
    #[error("this is not a private key in PEM form (PKCS #8, or PKCS #1 for RSA)")]
    Pem,
}

impl Message {
    /// The same letter with a signature of each key, the last one first; with an RSA and an Ed25519 key (RFC 8463) every receiver can check one of them.
    /// Waits for files that are read for it.
    ///
    /// ```
    /// use posthouse_client::dkim::{Algorithm, Signer, SigningKey};
    /// use posthouse_client::Message;
    ///
    /// let key = SigningKey::generate(Algorithm::Ed25519)?; // or `dkim_key(&std::fs::read_to_string("dkim.pem")?)`
    /// let signer = Signer { domain: "example.org".parse()?, selector: "mail".to_owned(), key: key.into() };
    /// let message = Message::builder().from("a@example.org").to("b@example.net").text("Hi.").build()?.signed(&[signer])?;
    /// let text = String::from_utf8(message.to_bytes()?.to_vec())?;
    /// assert!(text.starts_with("DKIM-Signature: v=1; a=ed25519-sha256;"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SignError`].
    pub fn signed(&self, signers: &[Signer]) -> Result<Self, SignError> {
        let (header, digest) = self.header_and_digest()?;
        let header = Header::parse(&header)?;
        let now = UnixMillis(clock::unix_millis()).0 / 1000;
        let mut fields = String::new();
        for signer in signers {
            fields.insert_str(0, &signer.sign(header, &digest, now)?);
        }
        let mut signed = self.clone();
        signed.size = self.size.saturating_add(u64::try_from(fields.len()).unwrap_or(u64::MAX));
        signed.segments = std::iter::once(Segment::Octets(fields.into())).chain(self.segments.iter().cloned()).collect();
        Ok(signed)
    }

    /// The fields, and the hash of what stands behind the empty line.
    fn header_and_digest(&self) -> io::Result<(Vec<u8>, [u8; 32])> {
        let mut body = self.body();
        let mut digest = BodyDigest::new();
        let mut head = Vec::new();
        let mut end = None;
        while let Some(chunk) = body.next_now()? {
            if end.is_some() {
                digest.update(&chunk);
                continue;
            }
            head.extend_from_slice(&chunk);
            if let Some((fields, behind)) = end_of_header(&head) {
                digest.update(head.get(behind..).unwrap_or_default());
                head.truncate(fields);
                end = Some(fields);
            }
        }
        Ok((head, digest.finish()))
    }
}

/// Reads a private key in PEM form, of either kind.
///
/// ```
/// assert!(posthouse_client::dkim_key("-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n").is_err());
/// ```
///
/// # Errors
/// [`SignError::Pem`] and [`SignError::Key`].
pub fn dkim_key(pem: &str) -> Result<SigningKey, SignError> {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let inside = pem
        .split_once("-----BEGIN ")
        .and_then(|(_, rest)| rest.split_once("-----"))
        .and_then(|(kind, rest)| kind.ends_with("PRIVATE KEY").then(|| rest.split_once("-----END ")).flatten());
    let (octets, _) = inside.ok_or(SignError::Pem)?;
    let octets: String = octets.split_whitespace().collect();
    let der = STANDARD.decode(octets).map_err(|_| SignError::Pem)?;
    let key = SigningKey::from_der(Algorithm::Ed25519, &der).or_else(|_| SigningKey::from_der(Algorithm::Rsa, &der));
    Ok(key?)
}

#[cfg(test)]
mod tests;
