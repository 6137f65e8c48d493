//! Where a letter goes next: the hosts of a domain in the order in which they are tried (RFC 5321 §5.1).
//!
//! It asks the resolver and opens no connection. Trouble with DNS defers ([`Plan::Later`]), a clear answer decides ([`Plan::Never`]):
//! a resolver that is down must never bounce a letter.

use std::net::{IpAddr, SocketAddr};

use posthouse_dns::{DnsError, Mx, MxAnswer, Resolver};
use posthouse_mail::{Domain, Reply, Status};
use posthouse_runtime::random;

use super::unreachable;

/// What is known of a domain's next hops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Try these, in this order.
    Hosts {
        /// Their names.
        names: Vec<Domain>,
        /// Whether it is beyond doubt that these are the hosts: no record was needed to know, or DNSSEC vouches for them.
        are_vouched: bool,
    },
    /// It takes no mail: for good.
    Never(Reply),
    /// It cannot be known now.
    Later(Reply),
}

/// The hosts of `domain`; the resolver bounds their number. `own` is the name of the mail host that asks, if it is one: hosts that
/// are not nearer than itself are left out. Whoever tries them cuts the list, behind those that [`leaves_out`](super::leaves_out) has left out.
pub async fn hosts(domain: &Domain, own: Option<&Domain>, resolver: &Resolver) -> Plan {
    if domain.literal().is_some() {
        return Plan::Hosts { names: vec![domain.clone()], are_vouched: true };
    }
    match resolver.mx(domain).await {
        Ok(answer) => match answer.value {
            MxAnswer::Null => Plan::Never(Reply::new(556, Status::permanent(1, 10), "the domain accepts no mail (null MX)")),
            MxAnswer::Hosts(mut hosts) => {
                // Shuffled first: a stable sort then leaves hosts of equal preference in random order (RFC 5321 §5.1).
                random::shuffle(&mut hosts);
                ranked(hosts, answer.authenticated, own)
            }
        },
        // The implicit MX: a domain without MX records is its own host, with preference 0 (RFC 5321 §5.1). Its name is the one that the sender
        // gave.
        Err(DnsError::NoData) => ranked(vec![Mx { preference: 0, host: domain.clone() }], true, own),
        Err(DnsError::NoSuchDomain) => {
            Plan::Never(Reply::new(550, Status::permanent(1, 2), &format!("there is no domain {domain}")))
        }
        Err(DnsError::Temporary(why)) => {
            Plan::Later(unreachable(3, &format!("the MX records of {domain} cannot be read now: {why}")))
        }
    }
}

/// Sorts by preference and leaves out what lies behind ourselves: a backup MX that sent a letter to another backup, or to itself, would
/// make it go round (RFC 5321 §5.1).
fn ranked(mut hosts: Vec<Mx>, are_vouched: bool, own: Option<&Domain>) -> Plan {
    if hosts.is_empty() {
        return Plan::Never(Reply::new(550, Status::permanent(4, 4), "the MX records of the domain name no usable host"));
    }
    hosts.sort_by_key(|mx| mx.preference);
    if let Some((own, ours)) = own.and_then(|own| Some((own, hosts.iter().find(|mx| mx.host == *own)?.preference))) {
        hosts.retain(|mx| mx.preference < ours);
        if hosts.is_empty() {
            let text = format!("{own} is the best mail host of this domain but does not have it");
            return Plan::Never(Reply::new(554, Status::permanent(4, 6), &text));
        }
    }
    let mut names: Vec<Domain> = Vec::new();
    for mx in hosts {
        if !names.contains(&mx.host) {
            names.push(mx.host);
        }
    }
    Plan::Hosts { names, are_vouched }
}

/// The addresses of a host, both families in turn.
///
/// # Errors
/// The reply that says why there are none: permanent only if the host certainly does not exist.
pub async fn addresses(host: &Domain, port: u16, resolver: &Resolver) -> Result<Vec<SocketAddr>, Reply> {
    if let Some(ip) = host.literal() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    match resolver.addresses(host).await {
        Ok(answer) => Ok(interleaved(answer.value).into_iter().map(|ip| SocketAddr::new(ip, port)).collect()),
        Err(DnsError::NoData | DnsError::NoSuchDomain) => {
            Err(Reply::new(550, Status::permanent(4, 4), &format!("the mail host {host} has no address")))
        }
        Err(DnsError::Temporary(why)) => Err(unreachable(3, &format!("the address of {host} cannot be read now: {why}"))),
    }
}

/// IPv6 and IPv4 in turn, so that a broken family costs one try and not all (RFC 8305 §4).
fn interleaved(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let mut mixed = Vec::with_capacity(v6.len() + v4.len());
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    loop {
        let before = mixed.len();
        mixed.extend(v6.next());
        mixed.extend(v4.next());
        if mixed.len() == before {
            return mixed;
        }
    }
}

#[cfg(test)]
mod tests;
