//! Questions to the DNS, each written down with its answer: a verdict can be explained only by what was read.

use posthouse_dns::{DnsError, Kind, Name, Record, Resolve};
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
        let answer = self.resolver.records(name, kind).await.map(|answer| answer.value);
        let (records, error) = match &answer {
            Ok(records) => (records.iter().map(ToString::to_string).collect(), None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        self.looked.push(Looked { name: name.to_string(), kind: kind.to_string(), records, error });
        answer
    }

    /// The texts at a name; none when there are none.
    pub(crate) async fn texts(&mut self, name: &Name) -> Result<Vec<Vec<u8>>, DnsError> {
        match self.ask(name, Kind::Txt).await {
            Ok(records) => Ok(records
                .into_iter()
                .filter_map(|record| match record {
                    Record::Text(text) => Some(text),
                    Record::Address(_) | Record::Mx { .. } | Record::Pointer(_) | Record::Tlsa(_) => None,
                })
                .collect()),
            Err(DnsError::NoData | DnsError::NoSuchDomain) => Ok(Vec::new()),
            Err(trouble @ DnsError::Temporary(_)) => Err(trouble),
        }
    }
}
