//! The resolver over the network: UDP first, TCP when an answer does not fit, answers kept as long as they say.
//!
//! The transport is hickory's pool of name servers; what a response means is read in [`crate::read`]. A failure here is a
//! [`DnsError::Temporary`], whatever its cause.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle as _, FirstAnswer as _, RetryDnsHandle};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Query};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig, system_conf};
use posthouse_mail::Domain;
use posthouse_runtime::{clock, join};
use thiserror::Error;

use crate::answer::{Answer, DnsError, Lookup, MxAnswer, Resolve, Resolver, both, special};
use crate::cache::{Cache, Kept};
use crate::read::{self, Data, Said};
use crate::record::{self, Kind, Record};
use crate::settings::Settings;

/// How often a question is put to the servers before it counts as unanswered.
const ATTEMPTS: u32 = 3;
/// Questions for one name when servers answer with aliases only.
const ALIAS_QUESTIONS_MAX: usize = 8;
/// What the answers kept may take.
const CACHE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Why there is no resolver. Ours to mend: the configuration, or the system's.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// `/etc/resolv.conf` cannot be read or names no server.
    #[error("the system's resolver settings cannot be used ({0}); set `servers` in `[dns]`")]
    System(String),
    /// The pool of servers cannot be made.
    #[error("the resolver cannot be started: {0}")]
    Start(String),
}

/// A resolver over the network. It opens no socket before the first question.
///
/// # Errors
/// [`ResolverError`].
pub fn real(settings: &Settings) -> Result<Resolver, ResolverError> {
    let servers = servers(settings)?;
    let trust_ad = settings.trust_ad.unwrap_or_else(|| servers.iter().all(|server| server.ip.is_loopback()));
    let mut options = ResolverOpts::default();
    options.timeout = settings.timeout.0 / ATTEMPTS;
    options.try_tcp_on_error = true;
    let tls = TlsConfig::new().map_err(|error| ResolverError::Start(error.to_string()))?;
    let context = Arc::new(PoolContext::new(options, tls));
    let pool = NameServerPool::from_config(servers, context, TokioRuntimeProvider::default());
    let again = usize::try_from(ATTEMPTS - 1).unwrap_or(0);
    Ok(Arc::new(Real {
        pool: RetryDnsHandle::new(pool, again),
        cache: Cache::new(CACHE_BYTES_MAX),
        timeout: settings.timeout.0,
        trust_ad,
    }))
}

fn servers(settings: &Settings) -> Result<Vec<NameServerConfig>, ResolverError> {
    if settings.servers.is_empty() {
        let (config, _) = system_conf::read_system_conf().map_err(|error| ResolverError::System(error.to_string()))?;
        return Ok(config.name_servers().to_vec());
    }
    Ok(settings
        .servers
        .iter()
        .map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        })
        .collect())
}

struct Real {
    pool: RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>,
    cache: Cache,
    timeout: Duration,
    trust_ad: bool,
}

impl Real {
    async fn ask(&self, name: Name, kind: RecordType) -> Result<Answer<Data>, DnsError> {
        let key = (name, kind);
        if let Some(kept) = self.cache.find(&key, clock::now()) {
            return answer(kept);
        }
        let (kept, seconds) = clock::timeout(self.timeout, self.resolve(&key.0, kind))
            .await
            .map_err(|_| DnsError::Temporary("no name server answered in time".to_owned()))??;
        self.cache.keep(key, kept.clone(), seconds, clock::now());
        answer(kept)
    }

    async fn resolve(&self, name: &Name, kind: RecordType) -> Result<(Kept, u32), DnsError> {
        let (asked, mut name, mut authenticated) = (name, name.clone(), true);
        for _ in 0..ALIAS_QUESTIONS_MAX {
            let said = match self.send(&name, kind).await {
                Ok(response) => {
                    authenticated &= self.trust_ad && response.metadata.authentic_data;
                    read::response(&name, kind, &response, response.negative_ttl())?
                }
                Err(error) => {
                    // What hickory keeps of a denial does not tell whether it was authenticated.
                    authenticated = false;
                    read::failure(error)?
                }
            };
            match said {
                Said::Data(data, seconds, last) => {
                    let alias = if last == *asked { None } else { read::own_name(&last) };
                    return Ok((Kept { result: Ok(data), authenticated, alias }, seconds));
                }
                Said::Nothing(negative, seconds) => {
                    return Ok((Kept { result: Err(negative), authenticated, alias: None }, seconds));
                }
                Said::Alias(target) => name = target,
            }
        }
        Err(DnsError::Temporary("the aliases of the name go on too long".to_owned()))
    }

    async fn send(&self, name: &Name, kind: RecordType) -> Result<DnsResponse, NetError> {
        let query = Query::query(name.clone(), kind);
        let mut request = DnsRequest::from_query(query, DnsRequestOptions::default());
        // RFC 6840 §5.7: AD in a question asks for AD in the answer, without the records that DO would bring along.
        request.metadata.authentic_data = self.trust_ad;
        self.pool.send(request).first_answer().await
    }

    async fn family(&self, host: &Domain, kind: RecordType) -> Result<Answer<Vec<IpAddr>>, DnsError> {
        let answer = self.ask(name_of(host)?, kind).await?;
        pick(answer, |data| if let Data::Addresses(value) = data { Some(value).filter(|value| !value.is_empty()) } else { None })
    }
}

impl Resolve for Real {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, MxAnswer> {
        Box::pin(async move {
            if let Some(known) = special(domain) {
                return known.and(Err(DnsError::NoData));
            }
            let answer = self.ask(name_of(domain)?, RecordType::MX).await?;
            pick(answer, |data| if let Data::Mx(value) = data { Some(value) } else { None })
        })
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> Lookup<'a, Vec<IpAddr>> {
        Box::pin(async move {
            if let Some(known) = special(host) {
                return known.map(|value| Answer { value, authenticated: true, alias: None });
            }
            let (v6, v4) = join!(self.family(host, RecordType::AAAA), self.family(host, RecordType::A));
            both(v6, v4)
        })
    }

    fn txt<'a>(&'a self, name: &'a Domain) -> Lookup<'a, Vec<Vec<u8>>> {
        Box::pin(async move {
            if let Some(known) = special(name) {
                return known.and(Err(DnsError::NoData));
            }
            let answer = self.ask(name_of(name)?, RecordType::TXT).await?;
            pick(answer, |data| if let Data::Texts(value) = data { Some(value) } else { None })
        })
    }

    fn ptr(&self, address: IpAddr) -> Lookup<'_, Vec<Domain>> {
        Box::pin(async move {
            let answer = self.ask(Name::from(address.to_canonical()), RecordType::PTR).await?;
            pick(answer, |data| if let Data::Names(value) = data { Some(value).filter(|value| !value.is_empty()) } else { None })
        })
    }

    fn records<'a>(&'a self, name: &'a record::Name, kind: Kind) -> Lookup<'a, Vec<Record>> {
        Box::pin(async move {
            let asked = Name::from_labels(name.as_str().split('.').map(str::as_bytes)).map_err(|_| DnsError::NoSuchDomain)?;
            let answer = self.ask(asked, record_type(kind)).await?;
            pick(answer, |data| Some(data.into_records()).filter(|records| !records.is_empty()))
        })
    }
}

fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Mx => RecordType::MX,
        Kind::Txt => RecordType::TXT,
        Kind::Cname => RecordType::CNAME,
        Kind::Ptr => RecordType::PTR,
        Kind::Tlsa => RecordType::TLSA,
    }
}

fn answer(kept: Kept) -> Result<Answer<Data>, DnsError> {
    let value = kept.result.map_err(DnsError::from)?;
    Ok(Answer { value, authenticated: kept.authenticated, alias: kept.alias })
}

/// The part of an answer that was asked for.
fn pick<T>(answer: Answer<Data>, part: impl FnOnce(Data) -> Option<T>) -> Result<Answer<T>, DnsError> {
    let Answer { value, authenticated, alias } = answer;
    let value = part(value).ok_or(DnsError::NoData)?;
    Ok(Answer { value, authenticated, alias })
}

/// Label for label, so that no search list is applied and no character is judged. A domain that is too long for the DNS does not
/// exist in it.
fn name_of(domain: &Domain) -> Result<Name, DnsError> {
    Name::from_labels(domain.as_str().split('.').map(str::as_bytes)).map_err(|_| DnsError::NoSuchDomain)
}

#[cfg(test)]
mod tests;
