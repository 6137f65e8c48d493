//! Letters of our own, signed (DKIM) like those of our users: a receiver that knows bounces and reports of ours from forged ones keeps them.

use posthouse_directory::{DirectoryError, StoredKey};
use posthouse_mail::header::{Header, end_of_header};
use posthouse_mail::{Domain, UnixMillis};
use posthouse_mailauth::dkim::{Algorithm, BodyDigest, Signer, SigningKey};

use crate::context::Context;

/// The domain of ours that our host's name is in: it answers for what the host itself writes (RFC 9989 §4.4: the same organization).
pub(crate) async fn domain_of_host(context: &Context) -> Result<Option<Domain>, DirectoryError> {
    let ours = context.directory.domains().await?;
    let mut above = Some(context.hostname.clone());
    while let Some(name) = above {
        if ours.contains(&name) {
            return Ok(Some(name));
        }
        above = name.parent();
    }
    Ok(None)
}

/// The letter with a signature by each key of the domain. A key that cannot be used is left out.
pub(crate) fn signed(domain: &Domain, keys: &[StoredKey], message: Vec<u8>, now: UnixMillis) -> Vec<u8> {
    let Some((fields_end, body_start)) = end_of_header(&message).filter(|_| !keys.is_empty()) else { return message };
    let (head, body) = (message.get(..fields_end).unwrap_or_default(), message.get(body_start..).unwrap_or_default());
    let mut digest = BodyDigest::new();
    digest.update(body);
    let hash = digest.finish();
    let mut fields = Vec::new();
    for StoredKey { selector, octets } in keys {
        let key = [Algorithm::Rsa, Algorithm::Ed25519].into_iter().find_map(|kind| SigningKey::from_der(kind, octets).ok());
        let field = Header::parse(head).ok().zip(key).and_then(|(header, key)| {
            let signer = Signer { domain: domain.clone(), selector: selector.clone(), key: key.into() };
            signer.sign(header, &hash, now.0 / 1000).ok()
        });
        match field {
            Some(field) => fields.extend_from_slice(field.as_bytes()),
            None => tracing::error!(%domain, selector, "a DKIM key cannot be used, letters of our own go without its signature"),
        }
    }
    fields.extend_from_slice(&message);
    fields
}
