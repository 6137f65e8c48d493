//! What an operator may set of the authentication of senders.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use posthouse_config::{Network, Period};
use posthouse_dns::Name;
use posthouse_mailauth::dmarc::{Dmarc, Policy};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Who really sent it: SPF, DKIM, DMARC and ARC of letters on `mx` listeners.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Senders {
    /// What follows from the verdicts: `off` asks for none; `mark` writes them into the letter (`Authentication-Results`); `quarantine` also marks
    /// as junk (`X-Posthouse-Quarantine`) what the author's domain wants quarantined or rejected; `enforce` does as the author's domain asks. The last
    /// two put off a letter (451) whose author could not be checked because of DNS trouble, unless its domain asks for nothing.
    pub policy: SenderPolicy,
    /// Exceptions by the domain of the author, domains below it included: `"partner.example" = "mark"`.
    pub domains: BTreeMap<AuthorDomain, SenderPolicy>,
    /// Networks whose letters are not checked, beside the trusted ones: servers that hand letters on for others.
    pub exempt: Vec<Network>,
    /// How long the DNS may take to answer all questions about one letter. After that what was not answered counts as trouble.
    pub timeout: Period,
}

/// What follows from the verdicts on a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SenderPolicy {
    /// Nothing is asked.
    Off,
    /// The verdicts are written into the letter.
    Mark,
    /// Suspicious letters are marked as junk.
    Quarantine,
    /// The author's domain decides.
    Enforce,
}

/// What becomes of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SenderAction {
    /// It is taken.
    Taken,
    /// It is taken, and marked as junk.
    Quarantined,
    /// 550.
    Refused,
    /// 451.
    PutOff,
}

/// A domain of authors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuthorDomain(Name);

impl SenderPolicy {
    /// The decision on a letter.
    #[must_use]
    pub fn action(self, dmarc: &Dmarc) -> SenderAction {
        match (self, dmarc.disposition) {
            (Self::Off | Self::Mark, _) => SenderAction::Taken,
            (Self::Quarantine | Self::Enforce, _) if dmarc.is_open() => SenderAction::PutOff,
            (Self::Enforce, Policy::Reject) => SenderAction::Refused,
            (Self::Quarantine, Policy::Reject) | (Self::Quarantine | Self::Enforce, Policy::Quarantine) => {
                SenderAction::Quarantined
            }
            (Self::Quarantine | Self::Enforce, Policy::None) => SenderAction::Taken,
        }
    }
}

/// As the timeline has it.
impl fmt::Display for SenderAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Taken => "taken",
            Self::Quarantined => "quarantined",
            Self::Refused => "refused",
            Self::PutOff => "put off",
        })
    }
}

impl Default for Senders {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        Self {
            policy: SenderPolicy::Enforce,
            domains: BTreeMap::new(),
            exempt: loopback.iter().filter_map(|text| text.parse().ok()).collect(),
            timeout: Period::seconds(20),
        }
    }
}

impl Senders {
    /// Whether letters of this peer are checked at all.
    pub(crate) fn apply_to(&self, peer: IpAddr) -> bool {
        let wanted = self.policy != SenderPolicy::Off || self.domains.values().any(|policy| *policy != SenderPolicy::Off);
        wanted && !self.exempt.iter().any(|network| network.contains(peer))
    }

    /// The policy for an author's domain: that of the nearest domain that is named.
    pub(crate) fn policy_for(&self, author: &str) -> SenderPolicy {
        let Ok(author) = author.parse::<Name>() else { return self.policy };
        let named = self.domains.iter().filter(|(domain, _)| author.is_within(&domain.0));
        named.max_by_key(|(domain, _)| domain.0.label_count()).map_or(self.policy, |(_, policy)| *policy)
    }
}

impl<'de> Deserialize<'de> for AuthorDomain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let domain: posthouse_mail::Domain = text.parse().map_err(de::Error::custom)?;
        Name::try_from(&domain).map(Self).map_err(de::Error::custom)
    }
}

impl JsonSchema for AuthorDomain {
    fn schema_name() -> Cow<'static, str> {
        "AuthorDomain".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a domain such as \"example.org\"" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_named_domain_counts() {
        let text = r#"{"policy":"enforce","domains":{"a.test":"mark","b.a.test":"off"}}"#;
        let senders: Senders = serde_json::from_str(text).unwrap();
        for (author, policy) in [
            ("a.test", SenderPolicy::Mark),
            ("x.a.test", SenderPolicy::Mark),
            ("x.b.a.test", SenderPolicy::Off),
            ("evila.test", SenderPolicy::Enforce),
            ("", SenderPolicy::Enforce),
        ] {
            assert_eq!(senders.policy_for(author), policy, "{author}");
        }
        assert!(!senders.apply_to("127.0.0.9".parse().unwrap()) && senders.apply_to("192.0.2.1".parse().unwrap()));
        assert!(serde_json::from_str::<Senders>(r#"{"domains":{"a..b":"mark"}}"#).is_err());
    }
}
