//! The resolver that asks servers, on hickory.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup as Found;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as WireError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use posthouse_mail::Domain;
use posthouse_runtime::clock;

use crate::answer::{Answer, DnsError, Lookup, Mx, MxAnswer, Resolve, Resolver};
use crate::settings::Settings;

/// The times one server is asked: the first, and once more.
const ATTEMPTS: u32 = 2;
/// How long a positive or negative answer is believed at most, whatever its TTL says.
const TTL_MAX: Duration = Duration::from_secs(86_400);
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(3600);

/// A resolver as the settings say.
///
/// # Errors
/// No servers are set and the system's configuration cannot be read.
pub fn real(settings: &Settings) -> io::Result<Resolver> {
    let provider = TokioRuntimeProvider::default();
    let (mut builder, loopback) = if settings.servers.is_empty() {
        let builder = TokioResolver::builder_tokio().map_err(io::Error::other)?;
        (builder, false)
    } else {
        let servers = settings.servers.iter().map(|server| {
            let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
            (udp.port, tcp.port) = (server.port(), server.port());
            NameServerConfig::new(server.ip(), true, vec![udp, tcp])
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        let loopback = settings.servers.iter().all(|server| server.ip().is_loopback());
        (TokioResolver::builder_with_config(config, provider), loopback)
    };
    let options = builder.options_mut();
    options.timeout = settings.timeout.0;
    options.attempts = ATTEMPTS as usize;
    options.cache_size = u64::from(settings.cache_entries);
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.positive_max_ttl = Some(TTL_MAX);
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    // Mail goes by DNS alone: a line in /etc/hosts must not redirect a letter.
    options.use_hosts_file = ResolveHosts::Never;
    let resolver = builder.build().map_err(io::Error::other)?;
    // Each server twice, over UDP and TCP; then it is trouble.
    let servers = u32::try_from(settings.servers.len().max(1)).unwrap_or(1);
    let patience = settings.timeout.0.saturating_mul(ATTEMPTS * 2 * servers.min(3));
    Ok(Arc::new(Real { resolver, trust_ad: settings.trust_ad.unwrap_or(loopback), patience }))
}

struct Real {
    resolver: TokioResolver,
    trust_ad: bool,
    /// How long a question may take in all.
    patience: Duration,
}

impl Real {
    async fn ask(&self, name: &str, kind: RecordType) -> Result<Found, DnsError> {
        // The dot keeps search lists out: `mail` must not become `mail.example.org`.
        let name = Name::from_ascii(format!("{name}.")).map_err(|error| DnsError::Temporary(error.to_string()))?;
        let question = self.resolver.lookup(name, kind);
        match clock::timeout(self.patience, question).await {
            Ok(found) => found.map_err(error_of),
            Err(_) => Err(DnsError::Temporary("no resolver answered in time".to_owned())),
        }
    }

    fn answer<T>(&self, found: &Found, value: T) -> Answer<T> {
        Answer { value, authenticated: self.trust_ad && found.message().metadata.authentic_data }
    }

    async fn ask_mx(&self, domain: &Domain) -> Result<Answer<MxAnswer>, DnsError> {
        let found = self.ask(domain.as_str(), RecordType::MX).await?;
        let mut null = false;
        let mut hosts = Vec::new();
        for record in found.answers() {
            if let RData::MX(mx) = &record.data {
                match domain_of(&mx.exchange) {
                    Some(host) => hosts.push(Mx { preference: mx.preference, host }),
                    None => null |= mx.exchange.is_root(),
                }
            }
        }
        match (hosts.is_empty(), null) {
            (false, _) => Ok(self.answer(&found, MxAnswer::Hosts(hosts))),
            (true, true) => Ok(self.answer(&found, MxAnswer::Null)),
            (true, false) if found.answers().iter().any(|record| matches!(record.data, RData::MX(_))) => {
                Err(DnsError::Temporary("its MX records name no host that can be used".to_owned()))
            }
            (true, false) => Err(DnsError::NoData),
        }
    }

    /// Both families. One is enough; without any, trouble with one outweighs the absence of the other.
    async fn ask_addresses(&self, host: &Domain) -> Result<Answer<Vec<IpAddr>>, DnsError> {
        let (v6, v4) =
            posthouse_runtime::join!(self.ask(host.as_str(), RecordType::AAAA), self.ask(host.as_str(), RecordType::A));
        let mut addresses = Vec::new();
        let mut authenticated = true;
        for found in [&v6, &v4].into_iter().flatten() {
            authenticated &= self.answer(found, ()).authenticated;
            addresses.extend(found.answers().iter().filter_map(|record| record.data.ip_addr()));
        }
        if !addresses.is_empty() {
            return Ok(Answer { value: addresses, authenticated });
        }
        match (v6.err(), v4.err()) {
            (Some(trouble @ DnsError::Temporary(_)), _) | (_, Some(trouble @ DnsError::Temporary(_))) => Err(trouble),
            (Some(DnsError::NoSuchDomain), _) | (_, Some(DnsError::NoSuchDomain)) => Err(DnsError::NoSuchDomain),
            _none => Err(DnsError::NoData),
        }
    }

    async fn ask_txt(&self, name: &Domain) -> Result<Answer<Vec<Vec<u8>>>, DnsError> {
        let found = self.ask(name.as_str(), RecordType::TXT).await?;
        let texts = found.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _other => None,
        });
        self.some(&found, texts.collect())
    }

    async fn ask_ptr(&self, address: IpAddr) -> Result<Answer<Vec<Domain>>, DnsError> {
        let name = Name::from(address).to_ascii();
        let found = self.ask(name.trim_end_matches('.'), RecordType::PTR).await?;
        let names = found.answers().iter().filter_map(|record| match &record.data {
            RData::PTR(name) => domain_of(&name.0),
            _other => None,
        });
        self.some(&found, names.collect())
    }

    fn some<T>(&self, found: &Found, values: Vec<T>) -> Result<Answer<Vec<T>>, DnsError> {
        if values.is_empty() { Err(DnsError::NoData) } else { Ok(self.answer(found, values)) }
    }
}

impl Resolve for Real {
    fn mx<'a>(&'a self, domain: &'a Domain) -> Lookup<'a, MxAnswer> {
        Box::pin(self.ask_mx(domain))
    }

    fn addresses<'a>(&'a self, host: &'a Domain) -> Lookup<'a, Vec<IpAddr>> {
        Box::pin(self.ask_addresses(host))
    }

    fn txt<'a>(&'a self, name: &'a Domain) -> Lookup<'a, Vec<Vec<u8>>> {
        Box::pin(self.ask_txt(name))
    }

    fn ptr(&self, address: IpAddr) -> Lookup<'_, Vec<Domain>> {
        Box::pin(self.ask_ptr(address))
    }
}

/// A name on the wire as a mail domain; `None` for the root, and for names that no mail host can have.
fn domain_of(name: &Name) -> Option<Domain> {
    name.to_ascii().trim_end_matches('.').parse().ok()
}

/// Exactly two answers are final; everything else is trouble.
fn error_of(error: NetError) -> DnsError {
    match &error {
        NetError::Dns(WireError::NoRecordsFound(none)) if none.response_code == ResponseCode::NXDomain => DnsError::NoSuchDomain,
        NetError::Dns(WireError::NoRecordsFound(none)) if none.response_code == ResponseCode::NoError => DnsError::NoData,
        _trouble => DnsError::Temporary(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
