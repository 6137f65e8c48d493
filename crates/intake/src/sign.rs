//! Signing what our users send (DKIM): with every key of the author's domain, over the header and body as they are stored.
//!
//! The author is one of the sender's own addresses, which was checked before (EchoSpoofing: a relay that signs whatever it is given lends its
//! name to everybody). A key that cannot be used is logged and left out; the letter goes without its signature.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use posthouse_directory::{REPORTS, StoredKey};
use posthouse_mail::Domain;
use posthouse_mail::header::{Header, address_list};
use posthouse_mailauth::dkim::{Algorithm, BodyDigest, Signer, SigningKey};
use posthouse_runtime::clock;
use posthouse_smtp::server::Verdict;

use crate::check;
use crate::visit::Visit;

/// The keys kept ready; reading one costs about as much as signing with it.
const KEYS_MAX: usize = 1000;

/// Where complaints go (RFC 9477).
const COMPLAINTS: &str = "CFBL-Address";

/// A letter that will be signed when it has come.
pub(crate) struct Signing {
    domain: Domain,
    keys: Vec<StoredKey>,
    /// The fields as they are stored, without `Received`.
    header: Vec<u8>,
    body: BodyDigest,
}

impl Signing {
    /// Begins with the completed header of a submitted letter. `None` when the domain of its author has no keys: then nothing is hashed.
    pub(crate) async fn begin(visit: &Visit<'_>, header: &[u8]) -> Result<Option<Self>, Verdict> {
        let author = Header::parse(header).ok().and_then(|header| header.first("From")).map(|field| field.value());
        let addresses = author.and_then(|author| address_list(&author).ok()).unwrap_or_default();
        let Some(domain) = addresses.first().map(|address| address.domain().clone()) else { return Ok(None) };
        let keys = visit.context.directory.keys(&domain).await.map_err(|error| check::no_directory(&error))?;
        if keys.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { domain, keys, header: header.to_vec(), body: BodyDigest::new() }))
    }

    /// Asks for complaints at the address of the domain where reports are read, unless the letter does so itself: the field, which is signed too (RFC 9477
    /// §3.1.1: the domain of the author, of the address and of the signature are one).
    pub(crate) fn ask_for_complaints(&mut self) -> String {
        if Header::parse(&self.header).is_ok_and(|header| header.first(COMPLAINTS).is_some()) {
            return String::new();
        }
        let field = format!("{COMPLAINTS}: {}@{}; report=arf\r\n", REPORTS, self.domain);
        self.header.extend_from_slice(field.as_bytes());
        field
    }

    /// Takes the next octets of the body.
    pub(crate) fn body(&mut self, octets: &[u8]) {
        self.body.update(octets);
    }

    /// The letter has come: the fields for its top, one for each key of the domain.
    pub(crate) fn finish(self) -> String {
        let (body, now) = (self.body.finish(), clock::unix_millis() / 1000);
        let mut fields = String::new();
        for StoredKey { selector, octets } in self.keys {
            let signed = Header::parse(&self.header).map_err(|error| error.to_string()).and_then(|header| {
                let key = ready(&octets).ok_or("it cannot be read")?;
                let signer = Signer { domain: self.domain.clone(), selector: selector.clone(), key };
                signer.sign(header, &body, now).map_err(|error| error.to_string())
            });
            match signed {
                Ok(field) => fields.push_str(&field),
                Err(why) => {
                    tracing::error!(domain = %self.domain, selector, why, "a DKIM key cannot be used, letters go without its signature");
                }
            }
        }
        fields
    }
}

/// The key, read once for all letters.
fn ready(octets: &[u8]) -> Option<Arc<SigningKey>> {
    static READY: LazyLock<Mutex<HashMap<Vec<u8>, Arc<SigningKey>>>> = LazyLock::new(Mutex::default);
    // Nothing in here can panic half-way.
    let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(key) = ready.get(octets) {
        return Some(Arc::clone(key));
    }
    let key =
        [Algorithm::Rsa, Algorithm::Ed25519].into_iter().find_map(|algorithm| SigningKey::from_der(algorithm, octets).ok())?;
    let key = Arc::new(key);
    if ready.len() >= KEYS_MAX {
        ready.clear();
    }
    ready.insert(octets.to_vec(), Arc::clone(&key));
    Some(key)
}
