//! Questions to the DNS, each written down with its answer: a verdict can be explained only by what was read.

use std::net::IpAddr;

use posthouse_dns::{Answer, DnsError, Kind, Name, Record, Resolve};
use posthouse_mail::Domain;
use serde::Serialize;

/// A question and what came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// The name.
    pub name: String,
    /// The type: `TXT`, `A` …
    #[serde(rename = "type")]
    pub kind: String,
    /// The records; empty when there are none.
    pub records: Vec<String>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether DNSSEC vouches for them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub authenticated: bool,
}

/// A resolver and what it was asked.
pub struct Lookups<'a> {
    resolver: &'a dyn Resolve,
    looked: Vec<Looked>,
}

impl<'a> Lookups<'a> {
    /// Nothing asked yet.
    #[must_use]
    pub fn new(resolver: &'a dyn Resolve) -> Self {
        Self { resolver, looked: Vec::new() }
    }

    /// The questions so far.
    #[must_use]
    pub fn into_looked(self) -> Vec<Looked> {
        self.looked
    }

    pub(crate) async fn ask(&mut self, name: &Name, kind: Kind) -> Result<Vec<Record>, DnsError> {
        self.ask_with_proof(name, kind).await.map(|(records, _)| records)
    }

    /// The records, and whether DNSSEC vouches for them.
    pub(crate) async fn ask_with_proof(&mut self, name: &Name, kind: Kind) -> Result<(Vec<Record>, bool), DnsError> {
        let answer = self.resolver.records(name, kind).await.map(|answer| (answer.value, answer.authenticated));
        let shown = answer.as_ref().map(|(records, proven)| (records.iter().map(ToString::to_string).collect(), *proven));
        self.looked(name.to_string(), kind.to_string(), shown);
        answer
    }

    /// The addresses of a host, both families.
    pub(crate) async fn addresses(&mut self, host: &Domain) -> Result<Answer<Vec<IpAddr>>, DnsError> {
        let answer = self.resolver.addresses(host).await;
        let shown = answer.as_ref().map(|answer| {
            let alias = answer.alias.iter().map(|alias| format!("alias of {alias}"));
            (alias.chain(answer.value.iter().map(ToString::to_string)).collect(), answer.authenticated)
        });
        self.looked(host.to_string(), "A, AAAA".to_owned(), shown);
        answer
    }

    fn looked(&mut self, name: String, kind: String, answer: Result<(Vec<String>, bool), &DnsError>) {
        let (records, authenticated, error) = match answer {
            Ok((records, authenticated)) => (records, authenticated, None),
            Err(error) => (Vec::new(), false, Some(error.to_string())),
        };
        self.looked.push(Looked { name, kind, records, error, authenticated });
    }

    /// The texts at a name; none when there are none.
    pub(crate) async fn texts(&mut self, name: &Name) -> Result<Vec<Vec<u8>>, DnsError> {
        match self.ask(name, Kind::Txt).await {
            Ok(records) => Ok(records
                .into_iter()
                .filter_map(|record| match record {
                    Record::Text(text) => Some(text),
                    Record::Address(_) | Record::Mx { .. } | Record::Alias(_) | Record::Pointer(_) | Record::Tlsa(_) => None,
                })
                .collect()),
            Err(DnsError::NoData | DnsError::NoSuchDomain) => Ok(Vec::new()),
            Err(trouble @ DnsError::Temporary(_)) => Err(trouble),
        }
    }
}
