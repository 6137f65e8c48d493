//! Verifying (RFC 6376 §6).

use std::pin::Pin;
use std::task::Poll;

use posthouse_dns::{DnsError, Name, Resolve};
use posthouse_mail::header::{Field, Header};

use super::canon::BodyHash;
use super::header::Fields;
use super::signature::Signature;
use super::{Dkim, DkimResult, key_for};
use crate::crypto::Hash;
use crate::lookup::{Looked, Lookups};
use crate::tags::{Tags, loosely, shown, without_space};

/// The signatures that are looked at. Each costs a question to the DNS and the check of a signature; few letters have more than three.
const SIGNATURES_MAX: usize = 10;
/// The characters of a tag that are told: no name is longer.
const SHOWN_CHARS_MAX: usize = 320;
/// How far the clock of a signer may be ahead of ours.
const SKEW_SECONDS: u64 = 3600;

/// A letter's signatures while the letter comes.
pub struct Verification {
    candidates: Vec<Candidate>,
    bodies: Vec<BodyHash>,
    /// Signatures beyond the limit.
    unseen: usize,
    now: u64,
}

struct Candidate {
    /// What is reported whatever comes out.
    shown: Dkim,
    signature: Result<Signature, String>,
    /// Of the header; meaningless for a signature that cannot be read.
    hash: Hash,
}

/// Key records, found or not.
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<(Name, Texts, Vec<Looked>)>);

/// The texts at the name of a key.
pub(crate) type Texts = Result<Vec<Vec<u8>>, DnsError>;

impl Verification {
    /// Reads the signatures of a header. `now` is in seconds since 1970.
    #[must_use]
    pub fn new(header: Header<'_>, now: u64) -> Self {
        let mut verification = Self { candidates: Vec::new(), bodies: Vec::new(), unseen: 0, now };
        let mut fields = None;
        for field in header.named("DKIM-Signature") {
            if verification.candidates.len() >= SIGNATURES_MAX {
                verification.unseen += 1;
                continue;
            }
            let fields = fields.get_or_insert_with(|| Fields::new(header));
            verification.add(fields, field);
        }
        verification
    }

    fn add(&mut self, fields: &Fields<'_>, field: Field<'_>) {
        let value = field.value();
        let shown = shown_of(&value);
        let signature = Tags::parse(&value).and_then(|tags| Signature::dkim(&tags));
        let mut hash = Hash::default();
        if let Ok(signature) = &signature {
            hash = fields.hash(&signature.names, signature.header, field.raw());
            if !self.bodies.iter().any(|body| body.kind() == (signature.body, signature.length)) {
                self.bodies.push(BodyHash::new(signature.body, signature.length));
            }
        }
        self.candidates.push(Candidate { shown, signature, hash });
    }

    /// Takes the next octets of the body.
    pub fn body(&mut self, octets: &[u8]) {
        self.bodies.iter_mut().for_each(|body| body.update(octets));
    }

    /// The names of the keys that are needed, each once.
    #[must_use]
    pub fn key_names(&self) -> Vec<Name> {
        let mut names: Vec<Name> =
            self.candidates.iter().filter_map(|one| one.signature.as_ref().ok()).map(|signature| signature.key.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The verdicts, in the order of the fields.
    #[must_use]
    pub fn finish(self, keys: &Keys) -> Vec<Dkim> {
        let bodies: Vec<_> = self.bodies.into_iter().map(|body| (body.kind(), body.finish())).collect();
        let mut verdicts: Vec<Dkim> = Vec::with_capacity(self.candidates.len());
        for Candidate { mut shown, signature, hash } in self.candidates {
            let judged = signature.map_err(|why| (DkimResult::Permerror, why)).and_then(|signature| {
                let kind = (signature.body, signature.length);
                let body = bodies.iter().find(|(other, _)| *other == kind).map(|(_, body)| *body);
                let (body, length) = body.unwrap_or_default();
                judge(&signature, &hash, &body, length, keys, self.now, &mut shown)
            });
            (shown.result, shown.reason) = match judged {
                Ok(()) => (DkimResult::Pass, "the signature is right".to_owned()),
                Err((result, reason)) => (result, reason),
            };
            verdicts.push(shown);
        }
        if self.unseen > 0 {
            let mut rest = shown_of("");
            rest.result = DkimResult::Neutral;
            rest.reason = format!("{} more signatures were not looked at", self.unseen);
            verdicts.push(rest);
        }
        verdicts
    }
}

/// Whether a signature holds; why not.
fn judge(
    signature: &Signature,
    hash: &Hash,
    body: &Hash,
    body_length: u64,
    keys: &Keys,
    now: u64,
    shown: &mut Dkim,
) -> Result<(), (DkimResult, String)> {
    let fail = |why: String| Err((DkimResult::Fail, why));
    if signature.expires.is_some_and(|expires| expires < now) {
        return fail("the signature has expired".to_owned());
    }
    if signature.time.is_some_and(|time| time > now.saturating_add(SKEW_SECONDS)) {
        return fail("the signature is of the future".to_owned());
    }
    let (texts, looked) = keys.find(&signature.key);
    shown.records = looked;
    let texts = texts.map_err(|error| match error {
        DnsError::Temporary(why) => (DkimResult::Temperror, format!("{}: {why}", signature.key)),
        DnsError::NoData | DnsError::NoSuchDomain => (DkimResult::Permerror, format!("there is no key at {}", signature.key)),
    })?;
    let key = key_for(signature, &texts)?;
    shown.key_bits = Some(key.key.bits());
    shown.testing = key.testing;
    if signature.length.is_some_and(|length| length > body_length) {
        return fail("the body is shorter than what was signed".to_owned());
    }
    if signature.body_hash != body {
        shown.body_changed = true;
        return fail("the body was changed".to_owned());
    }
    if !key.key.verifies(hash, &signature.signature) {
        return fail("the signature is not of this header, or not by this key".to_owned());
    }
    // What stands behind the signed part can be anybody's (RFC 6376 §8.2).
    if let Some(length) = signature.length.filter(|&length| length < body_length) {
        return Err((DkimResult::Policy, format!("only the first {length} octets of the body are signed, of {body_length}")));
    }
    Ok(())
}

impl Keys {
    /// Asks for all names at the same time.
    pub async fn fetch(resolver: &dyn Resolve, names: Vec<Name>) -> Self {
        let mut waiting: Vec<Pin<Box<dyn Future<Output = _> + Send + '_>>> = Vec::new();
        for name in names {
            waiting.push(Box::pin(async move {
                let mut lookups = Lookups::new(resolver);
                let texts = lookups.texts(&name).await;
                (name, texts, lookups.into_looked())
            }));
        }
        let mut found = Vec::new();
        std::future::poll_fn(|context| {
            waiting.retain_mut(|one| match one.as_mut().poll(context) {
                Poll::Ready(answer) => {
                    found.push(answer);
                    false
                }
                Poll::Pending => true,
            });
            if waiting.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        Self(found)
    }

    pub(crate) fn find(&self, name: &Name) -> (Texts, Vec<Looked>) {
        let found = self.0.iter().find(|(other, _, _)| other == name);
        // Not asked for, or not answered before the caller's deadline.
        let open = || (Err(DnsError::Temporary("the key was not found in time".to_owned())), Vec::new());
        found.map_or_else(open, |(_, texts, looked)| (texts.clone(), looked.clone()))
    }
}

/// What is told of a signature, also of one that cannot be read.
fn shown_of(value: &str) -> Dkim {
    let text = |name: &str| loosely(value, name).map(|text| text.chars().take(SHOWN_CHARS_MAX).collect::<String>());
    Dkim {
        result: DkimResult::Neutral,
        reason: String::new(),
        domain: text("d").map(|domain| domain.to_ascii_lowercase()).unwrap_or_default(),
        selector: text("s").unwrap_or_default(),
        identity: text("i"),
        algorithm: text("a").unwrap_or_default(),
        // RFC 6008 §3: eight characters at least.
        signature: shown(&without_space(&text("b").unwrap_or_default())).chars().take(8).collect(),
        key_bits: None,
        testing: false,
        body_changed: false,
        records: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
