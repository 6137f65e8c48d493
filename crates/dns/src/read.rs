//! Reads a response: which records answer the question, whether more must be asked, or why there is nothing.
//!
//! Pure. Only what is asked for is taken, and only from the answer section: nothing that a server adds unasked is believed.

use std::net::IpAddr;

use hickory_resolver::net::{DnsError as HickoryDnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use posthouse_mail::Domain;

use crate::answer::{DnsError, Mx, MxAnswer};
use crate::record::Tlsa;

/// The aliases that are followed within one response.
const ALIASES_MAX: usize = 16;
/// The records of one answer that are kept: no honest domain has more, and each may cost a connection.
const RECORDS_MAX: usize = 100;
/// What RFC 2308 §5 leaves open, set low: a domain that has just been mended should get its mail soon.
const NEGATIVE_SECONDS_MAX: u32 = 300;
/// RFC 8767 §4 would allow seven days.
const POSITIVE_SECONDS_MAX: u32 = 86_400;

/// The records of an answer, in our own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    Mx(MxAnswer),
    Addresses(Vec<IpAddr>),
    Texts(Vec<Vec<u8>>),
    Names(Vec<Domain>),
    Alias(crate::record::Name),
    Tlsa(Vec<Tlsa>),
}

impl Data {
    /// The records one by one.
    pub(crate) fn into_records(self) -> Vec<crate::record::Record> {
        use crate::record::Record;
        // A host's name is a name.
        let name = |host: &Domain| host.as_str().parse().ok();
        match self {
            Self::Mx(MxAnswer::Null) => vec![Record::Mx { preference: 0, host: None }],
            Self::Mx(MxAnswer::Hosts(hosts)) => hosts
                .iter()
                .filter_map(|mx| Some(Record::Mx { preference: mx.preference, host: Some(name(&mx.host)?) }))
                .collect(),
            Self::Addresses(addresses) => addresses.into_iter().map(Record::Address).collect(),
            Self::Texts(texts) => texts.into_iter().map(Record::Text).collect(),
            Self::Alias(name) => vec![Record::Alias(name)],
            Self::Names(names) => names.iter().filter_map(name).map(Record::Pointer).collect(),
            Self::Tlsa(records) => records.into_iter().map(Record::Tlsa).collect(),
        }
    }
}

/// What a response says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// These records, for so many seconds; they stand at a name to which aliases led.
    Data(Data, u32, Name),
    /// The name is an alias of this one; ask again.
    Alias(Name),
    /// Nothing, for so many seconds.
    Nothing(Negative, u32),
}

/// The two ways in which there is certainly nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Negative {
    NoSuchDomain,
    NoData,
}

impl From<Negative> for DnsError {
    fn from(negative: Negative) -> Self {
        match negative {
            Negative::NoSuchDomain => Self::NoSuchDomain,
            Negative::NoData => Self::NoData,
        }
    }
}

/// Reads a response to a question for `name` and `kind`.
pub(crate) fn response(name: &Name, kind: RecordType, message: &Message, negative_ttl: Option<u32>) -> Result<Said, DnsError> {
    let code = message.metadata.response_code;
    if code != ResponseCode::NoError && code != ResponseCode::NXDomain {
        return Err(DnsError::Temporary(format!("the name server answers {code}")));
    }
    if message.metadata.truncation {
        return Err(DnsError::Temporary("the answer was cut short".to_owned()));
    }
    let (last, mut seconds) = follow(name, kind, &message.answers)?;
    let records: Vec<&Record> =
        message.answers.iter().filter(|record| record.name == last && record.record_type() == kind).take(RECORDS_MAX).collect();
    if !records.is_empty() {
        seconds = records.iter().map(|record| record.ttl).fold(seconds, u32::min);
        return Ok(Said::Data(data(kind, &records), seconds, last));
    }
    let negative_seconds = negative_ttl.unwrap_or(0).min(NEGATIVE_SECONDS_MAX).min(seconds);
    if code == ResponseCode::NXDomain {
        return Ok(Said::Nothing(Negative::NoSuchDomain, negative_seconds));
    }
    // RFC 2308 §2.2: a response with an SOA says that there is nothing. Without one, the server gave the alias and left its target to us.
    if last != *name && negative_ttl.is_none() {
        return Ok(Said::Alias(last));
    }
    Ok(Said::Nothing(Negative::NoData, negative_seconds))
}

/// Reads a failure. Only a clear statement of a server is permanent.
pub(crate) fn failure(error: NetError) -> Result<Said, DnsError> {
    if let NetError::Dns(HickoryDnsError::NoRecordsFound(NoRecords { response_code, negative_ttl, soa, ns, .. })) = &error {
        let seconds = negative_ttl.unwrap_or(0).min(NEGATIVE_SECONDS_MAX);
        if *response_code == ResponseCode::NXDomain {
            return Ok(Said::Nothing(Negative::NoSuchDomain, seconds));
        }
        // RFC 2308 §2.2: name servers without an SOA are a referral to others, not a denial: this server does not resolve.
        if *response_code == ResponseCode::NoError && (soa.is_some() || ns.is_none()) {
            return Ok(Said::Nothing(Negative::NoData, seconds));
        }
        if *response_code == ResponseCode::NoError {
            return Err(DnsError::Temporary("the name server refers to others instead of resolving".to_owned()));
        }
        return Err(DnsError::Temporary(format!("the name server answers {response_code}")));
    }
    if let NetError::Dns(HickoryDnsError::ResponseCode(code)) = &error {
        return Err(DnsError::Temporary(format!("the name server answers {code}")));
    }
    Err(DnsError::Temporary(error.to_string()))
}

/// The last name of the chain of aliases that begins at `name`, and the shortest time to live on it.
fn follow(name: &Name, kind: RecordType, answers: &[Record]) -> Result<(Name, u32), DnsError> {
    let (mut last, mut seconds) = (name.clone(), POSITIVE_SECONDS_MAX);
    for _ in 0..=ALIASES_MAX {
        if answers.iter().any(|record| record.name == last && record.record_type() == kind) {
            return Ok((last, seconds));
        }
        let alias = answers.iter().filter(|record| record.name == last).find_map(|record| {
            let RData::CNAME(target) = &record.data else { return None };
            Some((target.0.clone(), record.ttl))
        });
        let Some((target, ttl)) = alias else { return Ok((last, seconds)) };
        (last, seconds) = (target, seconds.min(ttl));
    }
    Err(DnsError::Temporary("the aliases of the name go round".to_owned()))
}

fn data(kind: RecordType, records: &[&Record]) -> Data {
    if kind == RecordType::MX {
        return Data::Mx(mail_hosts(records));
    }
    if kind == RecordType::TXT {
        return Data::Texts(records.iter().filter_map(|record| text(record)).collect());
    }
    if kind == RecordType::PTR {
        return Data::Names(records.iter().filter_map(|record| pointer(record)).collect());
    }
    if kind == RecordType::CNAME
        && let Some(target) = records.iter().find_map(|record| alias(record))
    {
        return Data::Alias(target);
    }
    if kind == RecordType::TLSA {
        return Data::Tlsa(records.iter().filter_map(|record| tlsa(record)).collect());
    }
    Data::Addresses(records.iter().filter_map(|record| record.data.ip_addr()).collect())
}

fn mail_hosts(records: &[&Record]) -> MxAnswer {
    let mut hosts = Vec::with_capacity(records.len());
    let mut null = false;
    for record in records {
        let RData::MX(mx) = &record.data else { continue };
        if mx.exchange.is_root() {
            null = true;
        } else if let Some(host) = domain(&mx.exchange) {
            hosts.push(Mx { preference: mx.preference, host });
        }
    }
    // RFC 7505 §3: a null MX stands alone. Beside others it is a mistake, and they are used.
    if null && records.len() == 1 { MxAnswer::Null } else { MxAnswer::Hosts(hosts) }
}

fn text(record: &Record) -> Option<Vec<u8>> {
    let RData::TXT(text) = &record.data else { return None };
    Some(text.txt_data.concat())
}

fn pointer(record: &Record) -> Option<Domain> {
    let RData::PTR(pointer) = &record.data else { return None };
    domain(&pointer.0)
}

fn alias(record: &Record) -> Option<crate::record::Name> {
    let RData::CNAME(target) = &record.data else { return None };
    own_name(&target.0)
}

/// A name in our own form; none where its labels hold what ours cannot.
pub(crate) fn own_name(name: &Name) -> Option<crate::record::Name> {
    name.to_ascii().parse().ok()
}

fn tlsa(record: &Record) -> Option<Tlsa> {
    let RData::TLSA(tlsa) = &record.data else { return None };
    let (usage, selector, matching) = (tlsa.cert_usage.into(), tlsa.selector.into(), tlsa.matching.into());
    Some(Tlsa { usage, selector, matching, data: tlsa.cert_data.clone() })
}

/// A name of the DNS as a host's name; none if it cannot be one.
fn domain(name: &Name) -> Option<Domain> {
    let text = name.to_ascii();
    let host = text.strip_suffix('.').unwrap_or(&text).parse().ok();
    if host.is_none() {
        tracing::debug!(name = %text, "a record names something that cannot be a host");
    }
    host
}

#[cfg(test)]
mod tests;
