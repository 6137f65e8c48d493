//! ARC (RFC 8617): what servers on the way say they saw. Evidence and nothing more: no decision is made of it, and the experiment is on its way to
//! Historic.

use std::fmt;

use posthouse_dns::{DnsError, Name};
use posthouse_mail::header::{Field, Header};
use serde::Serialize;

use crate::crypto::{Algorithm, Hash, hash};
use crate::dkim::{BodyHash, Canon, Fields, Keys, Signature, key_for, key_name, key_of, octets, signature_algorithm, without_b};
use crate::lookup::Looked;
use crate::tags::{Tags, number};

/// §4.2.1
const SETS_MAX: usize = 50;
const RESULTS: &str = "ARC-Authentication-Results";
const MESSAGE: &str = "ARC-Message-Signature";
const SEAL: &str = "ARC-Seal";

/// The state of the chain (§4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ArcResult {
    /// There is none.
    None,
    /// It is whole, and the letter is as the last of it left it.
    Pass,
    /// It is broken.
    Fail,
    /// DNS trouble.
    Temperror,
}

/// The verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arc {
    /// What it is.
    pub result: ArcResult,
    /// Why, for people.
    pub reason: String,
    /// How many servers sealed it.
    pub sets: usize,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// What was read.
    pub records: Vec<Looked>,
}

/// A letter's chain while the letter comes.
pub struct ArcVerification {
    chain: Result<Option<Chain>, String>,
    sets: usize,
}

struct Chain {
    message: Signature,
    message_hash: Hash,
    body: BodyHash,
    /// From the last to the first.
    seals: Vec<Seal>,
}

struct Seal {
    algorithm: Algorithm,
    domain: Name,
    key: Name,
    signature: Vec<u8>,
    hash: Hash,
}

/// The three fields of one server.
struct Set<'a> {
    results: Field<'a>,
    message: Field<'a>,
    seal: Field<'a>,
}

impl ArcVerification {
    /// Reads the chain of a header.
    #[must_use]
    pub fn new(header: Header<'_>) -> Self {
        let sets = sets(header);
        let count = sets.as_ref().map_or(0, Vec::len);
        let chain = sets.and_then(|sets| if sets.is_empty() { Ok(None) } else { Chain::read(header, &sets).map(Some) });
        Self { chain, sets: count }
    }

    /// Takes the next octets of the body.
    pub fn body(&mut self, octets: &[u8]) {
        if let Ok(Some(chain)) = &mut self.chain {
            chain.body.update(octets);
        }
    }

    /// The names of the keys that are needed.
    #[must_use]
    pub fn key_names(&self) -> Vec<Name> {
        let Ok(Some(chain)) = &self.chain else { return Vec::new() };
        let mut names: Vec<Name> = chain.seals.iter().map(|seal| seal.key.clone()).chain([chain.message.key.clone()]).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The verdict.
    #[must_use]
    pub fn finish(self, keys: &Keys) -> Arc {
        let verdict = |result, reason: String| Arc { result, reason, sets: self.sets, domain: None, records: Vec::new() };
        match self.chain {
            Ok(None) => verdict(ArcResult::None, "there is no chain".to_owned()),
            Err(why) => verdict(ArcResult::Fail, why),
            Ok(Some(chain)) => {
                let domain = chain.seals.first().map(|seal| seal.domain.to_string());
                let mut records = Vec::new();
                let judged = chain.judge(keys, &mut records);
                let (result, reason) = match judged {
                    Ok(()) => (ArcResult::Pass, "every seal is right, and the letter is as the last one left it".to_owned()),
                    Err(broken) => broken,
                };
                Arc { domain, records, ..verdict(result, reason) }
            }
        }
    }
}

impl Chain {
    fn read(header: Header<'_>, sets: &[Set<'_>]) -> Result<Self, String> {
        let Some(last) = sets.last() else { return Err("there is no set".to_owned()) };
        let value = last.message.value();
        let message = Signature::arc(&Tags::parse(&value)?)?;
        let message_hash = Fields::new(header).hash(&message.names, message.header, last.message.raw());
        let body = BodyHash::new(message.body, message.length);
        let mut signed = Vec::new();
        let mut seals = Vec::new();
        for (number, set) in (1..).zip(sets) {
            let value = set.seal.value();
            let tags = Tags::parse(&value)?;
            seals.push(Seal::read(&tags, number, &signed, set)?);
            // §5.1.1: in this order, relaxed.
            for field in [set.results, set.message, set.seal] {
                Canon::Relaxed.field(field.raw(), true, &mut signed);
            }
        }
        seals.reverse();
        Ok(Self { message, message_hash, body, seals })
    }

    fn judge(self, keys: &Keys, records: &mut Vec<Looked>) -> Result<(), (ArcResult, String)> {
        let fail = |why: String| (ArcResult::Fail, why);
        let texts = found(keys, &self.message.key, records)?;
        let key = key_for(&self.message, &texts).map_err(|(_, why)| fail(why))?;
        let (body, length) = self.body.finish();
        if self.message.body_hash != body || self.message.length.is_some_and(|signed| signed != length) {
            return Err(fail("the body was changed after the last seal".to_owned()));
        }
        if !key.key.verifies(&self.message_hash, &self.message.signature) {
            return Err(fail("the header was changed after the last seal".to_owned()));
        }
        for seal in &self.seals {
            let texts = found(keys, &seal.key, records)?;
            let key = key_of(seal.algorithm, &texts, |_| true).map_err(|(_, why)| fail(why))?;
            if !key.key.verifies(&seal.hash, &seal.signature) {
                return Err(fail(format!("the seal of {} is wrong", seal.domain)));
            }
        }
        Ok(())
    }
}

impl Seal {
    fn read(tags: &Tags<'_>, instance: usize, before: &[u8], set: &Set<'_>) -> Result<Self, String> {
        let need = |name: &str| tags.find(name).ok_or_else(|| format!("a seal lacks the tag `{name}`"));
        // §5.1.1: `h` does not belong there. §5.2: what each server says of the chain before it.
        if tags.find("h").is_some() {
            return Err("a seal has the tag `h`".to_owned());
        }
        let expected = if instance == 1 { "none" } else { "pass" };
        if !need("cv")?.eq_ignore_ascii_case(expected) {
            return Err(format!("server {instance} found the chain broken"));
        }
        let (domain, key) = key_name(need("d")?, need("s")?)?;
        let mut signed = before.to_vec();
        Canon::Relaxed.field(set.results.raw(), true, &mut signed);
        Canon::Relaxed.field(set.message.raw(), true, &mut signed);
        Canon::Relaxed.field(&without_b(set.seal.raw()), false, &mut signed);
        let (algorithm, signature) = (signature_algorithm(need("a")?)?, octets("b", need("b")?)?);
        Ok(Self { algorithm, domain, key, signature, hash: hash(&signed) })
    }
}

/// The sets in order, or what is wrong with them (§5.2, step 3).
fn sets(header: Header<'_>) -> Result<Vec<Set<'_>>, String> {
    let [results, messages, seals] =
        [RESULTS, MESSAGE, SEAL].map(|name| header.named(name).take(SETS_MAX + 1).collect::<Vec<_>>());
    let count = seals.len();
    if results.len() != count || messages.len() != count || count > SETS_MAX {
        return Err("the chain is not whole".to_owned());
    }
    (1..=count)
        .map(|wanted| {
            let set = only(&results, wanted).zip(only(&messages, wanted)).zip(only(&seals, wanted));
            set.map(|((results, message), seal)| Set { results, message, seal })
                .ok_or_else(|| format!("set {wanted} of the chain is not whole"))
        })
        .collect()
}

/// The one field of an instance.
fn only<'a>(fields: &[Field<'a>], wanted: usize) -> Option<Field<'a>> {
    let mut found = fields.iter().filter(|field| instance(field) == Some(wanted));
    found.next().copied().filter(|_| found.next().is_none())
}

/// `i=`, which stands first in the results and anywhere in the others (§4.2.1).
fn instance(field: &Field<'_>) -> Option<usize> {
    let value = field.value();
    let text = value.split(';').find_map(|tag| {
        let (name, value) = tag.split_once('=')?;
        (name.trim() == "i").then(|| value.trim().to_owned())
    })?;
    number(&text).and_then(|number| usize::try_from(number).ok())
}

fn found(keys: &Keys, name: &Name, records: &mut Vec<Looked>) -> Result<Vec<Vec<u8>>, (ArcResult, String)> {
    let (texts, looked) = keys.find(name);
    for one in looked {
        if !records.contains(&one) {
            records.push(one);
        }
    }
    texts.map_err(|error| match error {
        DnsError::Temporary(why) => (ArcResult::Temperror, format!("{name}: {why}")),
        DnsError::NoData | DnsError::NoSuchDomain => (ArcResult::Fail, format!("there is no key at {name}")),
    })
}

/// As in `Authentication-Results`.
impl fmt::Display for ArcResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Temperror => "temperror",
        })
    }
}

#[cfg(test)]
mod tests;
