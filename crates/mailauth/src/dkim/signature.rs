//! The field `DKIM-Signature` (RFC 6376 §3.5), and the field of ARC that is made like it (RFC 8617 §4.1.2).

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, STANDARD};
use posthouse_dns::Name;

use super::canon::Canon;
use crate::crypto::{Algorithm, RSA_BITS_MAX};
use crate::tags::{Tags, number, shown, without_space};

/// The fields that one signature may name.
const NAMES_MAX: usize = 1000;

/// Base64 as other programs write it: the padding may be missing.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// A signature whose form is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) algorithm: Algorithm,
    pub(crate) header: Canon,
    pub(crate) body: Canon,
    pub(crate) domain: Name,
    /// The domain of `i=`, which is `domain` or below it.
    pub(crate) identity_domain: Name,
    /// Where the key is.
    pub(crate) key: Name,
    /// In lower case.
    pub(crate) names: Vec<String>,
    pub(crate) body_hash: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) length: Option<u64>,
    pub(crate) time: Option<u64>,
    pub(crate) expires: Option<u64>,
}

impl Signature {
    /// Reads the tags of a `DKIM-Signature`. The error says what is wrong.
    pub(crate) fn dkim(tags: &Tags<'_>) -> Result<Self, String> {
        if tags.find("v") != Some("1") {
            return Err("its version is not 1".to_owned());
        }
        let signature = Self::read(tags, tags.find("i"))?;
        if let Some(queries) = tags.find("q")
            && !queries.split(':').any(|query| query.trim_matches(crate::tags::is_space) == "dns/txt")
        {
            return Err("its key is not in the DNS".to_owned());
        }
        Ok(signature)
    }

    /// Reads the tags of an `ARC-Message-Signature`, whose `i=` is a number.
    pub(crate) fn arc(tags: &Tags<'_>) -> Result<Self, String> {
        Self::read(tags, None)
    }

    fn read(tags: &Tags<'_>, identity: Option<&str>) -> Result<Self, String> {
        let need = |name: &str| tags.find(name).ok_or_else(|| format!("the tag `{name}` is missing"));
        let algorithm = algorithm(need("a")?)?;
        let (header, body) = canons(tags.find("c").unwrap_or("simple/simple"))?;
        let (domain, key) = key_name(need("d")?, need("s")?)?;
        let identity_domain = match identity.map(|identity| identity.rsplit_once('@').map_or(identity, |(_, domain)| domain)) {
            None => domain.clone(),
            Some(text) => text.parse().ok().filter(|name: &Name| name.is_within(&domain)).ok_or("`i=` is not within `d=`")?,
        };
        let names: Vec<String> = without_space(need("h")?).split(':').map(str::to_ascii_lowercase).collect();
        // RFC 6376 §5.4: From must be signed.
        if !names.iter().any(|name| name == "from") {
            return Err("it does not cover From".to_owned());
        }
        if names.len() > NAMES_MAX {
            return Err(format!("it names more than {NAMES_MAX} fields"));
        }
        let number_of = |name: &str| match tags.find(name) {
            None => Ok(None),
            Some(text) => number(text).map(Some).ok_or_else(|| format!("`{name}=` is not a number")),
        };
        let (time, expires) = (number_of("t")?, number_of("x")?);
        // §3.5: x= must be greater than t=.
        if time.zip(expires).is_some_and(|(time, expires)| expires <= time) {
            return Err("it ends before it begins".to_owned());
        }
        Ok(Self {
            algorithm,
            header,
            body,
            domain,
            identity_domain,
            key,
            names,
            body_hash: octets("bh", need("bh")?)?,
            signature: octets("b", need("b")?)?,
            length: number_of("l")?,
            time,
            expires,
        })
    }
}

/// `a=`
pub(crate) fn algorithm(text: &str) -> Result<Algorithm, String> {
    match text.to_ascii_lowercase().as_str() {
        "rsa-sha256" => Ok(Algorithm::Rsa),
        "ed25519-sha256" => Ok(Algorithm::Ed25519),
        // RFC 8301 §3.1
        "rsa-sha1" => Err("SHA-1 proves nothing any more".to_owned()),
        _ => Err(format!("the algorithm `{}` is not known", shown(text))),
    }
}

/// The signing domain, and where its key is.
pub(crate) fn key_name(domain: &str, selector: &str) -> Result<(Name, Name), String> {
    let domain: Name = domain.parse().map_err(|_| "`d=` is not a domain name".to_owned())?;
    let selector: Name = selector.parse().map_err(|_| "`s=` is not a selector".to_owned())?;
    let key = domain.below("_domainkey").and_then(|place| place.below(selector.as_str()));
    key.map(|key| (domain, key)).map_err(|_| "the name of its key is too long".to_owned())
}

/// Base64, in which white space means nothing.
pub(crate) fn octets(name: &str, text: &str) -> Result<Vec<u8>, String> {
    let bytes_max = usize::try_from(RSA_BITS_MAX / 8).unwrap_or(usize::MAX);
    let octets = LENIENT.decode(without_space(text)).map_err(|_| format!("`{name}=` is not base64"))?;
    if octets.is_empty() || octets.len() > bytes_max { Err(format!("`{name}=` has a wrong length")) } else { Ok(octets) }
}

/// The public key of a key record.
pub(crate) fn key_octets(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(without_space(text)).ok()
}

/// Base64 as we write it.
pub(crate) fn encode(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// `c=header/body`; the body is `simple` where only one is named.
fn canons(text: &str) -> Result<(Canon, Canon), String> {
    let (header, body) = text.split_once('/').unwrap_or((text, "simple"));
    let known = Canon::parse(header).zip(Canon::parse(body));
    known.ok_or_else(|| format!("the canonicalization `{}` is not known", shown(text)))
}
