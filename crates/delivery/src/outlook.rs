//! How a letter to a domain would travel now, host by host, and why: the decisions of delivery, with every record that was looked at.
//!
//! It carries no letter. Where it is asked to, it connects to each host as delivery would, and hangs up before the first envelope.

use std::net::SocketAddr;

use posthouse_client::mx::{self, Plan, Promises};
use posthouse_client::{Connection, Target, Timeouts};
use posthouse_dns::{DnsError, MxAnswer, Resolver};
use posthouse_mail::{Address, Domain, Envelope, LocalPart, Reply, ReversePath, TlsWish};
use posthouse_mailauth::Looked;
use posthouse_mailauth::mta_sts::Policies;
use posthouse_runtime::tls::TlsInfo;
use serde::Serialize;

use crate::settings::Settings;
use crate::way::Way;

/// What is asked.
pub struct OutlookQuestion<'a> {
    /// Whose mail hosts.
    pub domain: &'a Domain,
    /// What the letter's sender would ask of TLS.
    pub wish: TlsWish,
    /// Whether to connect.
    pub connect: bool,
    /// Our name in EHLO.
    pub hostname: &'a Domain,
    /// What the operator set.
    pub settings: &'a Settings,
    /// The same, ready for use.
    pub way: &'a Way,
    /// Who finds hosts.
    pub resolver: &'a Resolver,
    /// Who knows what domains promise of their hosts.
    pub sts: &'a dyn Policies,
}

/// How a letter would travel.
#[derive(Debug, Clone, Serialize)]
pub struct Outlook {
    /// Whose mail hosts.
    pub domain: String,
    /// The MX records.
    pub mx: Looked,
    /// The MTA-STS policy that holds: its mode and its hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mta_sts: Option<String>,
    /// Why there is no host to go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nowhere: Option<String>,
    /// The hosts, in the order in which they are tried; those of one preference are tried in any order.
    pub hosts: Vec<HostOutlook>,
}

/// How it would be with one host.
#[derive(Debug, Clone, Serialize)]
pub struct HostOutlook {
    /// Its name.
    pub host: String,
    /// What is asked of the connection, and by whom.
    pub policy: String,
    /// Why the host would not be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What DANE says, where it says nothing that counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dane: Option<String>,
    /// The records that were looked at for it.
    pub records: Vec<Looked>,
    /// What came of connecting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached: Option<Reached>,
}

/// What came of connecting to a host.
#[derive(Debug, Clone, Serialize)]
pub struct Reached {
    /// Whether a letter could be handed over there.
    pub ok: bool,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<SocketAddr>,
    /// The TLS version and cipher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// What was made of its certificate, or why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Outlook {
    /// Whether a letter would find a host now.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.hosts.iter().any(|host| host.refused.is_none() && host.reached.as_ref().is_none_or(|reached| reached.ok))
    }
}

/// Looks. The domain is taken to be elsewhere, whatever the directory says, and no smarthost is used.
pub async fn outlook(question: &OutlookQuestion<'_>) -> Outlook {
    let OutlookQuestion { domain, resolver, settings, .. } = question;
    let mx = mx(domain, resolver).await;
    let sts = question.sts.policy(domain).await;
    let mta_sts = sts.as_ref().map(|policy| {
        let hosts: Vec<String> = policy.mx.iter().map(ToString::to_string).collect();
        format!("{:?}: {}", policy.mode, hosts.join(", ")).to_lowercase()
    });
    let mut promises = Promises { destination: (*domain).clone(), are_hosts_vouched: true, sts, wish: question.wish };
    let mut found = Outlook { domain: domain.to_string(), mx, mta_sts, nowhere: None, hosts: Vec::new() };
    match mx::hosts(domain, Some(question.hostname), resolver).await {
        Plan::Hosts { names, are_vouched } => {
            promises.are_hosts_vouched = are_vouched;
            let mut tries = settings.hosts_max.max(1);
            for host in names {
                let (host, is_left_out) = one(question, &promises, &host).await;
                found.hosts.push(host);
                tries -= usize::from(!is_left_out);
                if tries == 0 {
                    break;
                }
            }
        }
        Plan::Never(reply) | Plan::Later(reply) => found.nowhere = Some(reply.to_string()),
    }
    found
}

async fn mx(domain: &Domain, resolver: &Resolver) -> Looked {
    let answer = resolver.mx(domain).await;
    let (records, authenticated, error) = match answer {
        Ok(answer) => {
            let records = match answer.value {
                MxAnswer::Null => vec!["0 .".to_owned()],
                MxAnswer::Hosts(hosts) => hosts.iter().map(|mx| format!("{} {}", mx.preference, mx.host)).collect(),
            };
            (records, answer.authenticated, None)
        }
        Err(DnsError::NoData) => (Vec::new(), false, Some("the name has no MX records: it is its own mail host".to_owned())),
        Err(error) => (Vec::new(), false, Some(error.to_string())),
    };
    Looked { name: domain.to_string(), kind: "MX".to_owned(), records, error, authenticated }
}

/// The host, and whether what is asked leaves it out.
async fn one(question: &OutlookQuestion<'_>, promises: &Promises, host: &Domain) -> (HostOutlook, bool) {
    let transport = question.way.transport();
    let (decision, found) = transport.examine(promises, host, question.settings.port, question.resolver).await;
    let security = transport.security(&decision, promises, host);
    let mut outlook = HostOutlook {
        host: host.to_string(),
        policy: decision.to_string(),
        refused: security.as_ref().err().map(Reply::to_string),
        dane: found.dane.nothing().map(|why| why.to_string()),
        records: found.records,
        reached: None,
    };
    if let (Ok(security), true) = (security, question.connect) {
        let addresses = mx::addresses(host, question.settings.port, question.resolver).await;
        let target = addresses.map(|mut addresses| {
            addresses.truncate(question.settings.addresses_max.max(1));
            let mut target = Target::new(host.as_str(), addresses, security, question.hostname.as_str());
            target.timeouts = Timeouts { connect: question.settings.connect_timeout.0, ..Timeouts::default() };
            target.tls_name = mx::tls_name(&decision);
            target
        });
        outlook.reached = Some(match target {
            Ok(target) => reach(question, &target).await,
            Err(reply) => Reached { ok: false, address: None, tls: None, why: Some(reply.to_string()) },
        });
    }
    (outlook, mx::leaves_out(&decision))
}

async fn reach(question: &OutlookQuestion<'_>, target: &Target) -> Reached {
    let connection = match Connection::open(target).await {
        Ok(connection) => connection,
        Err(error) => return Reached { ok: false, address: None, tls: None, why: Some(error.to_string()) },
    };
    let (address, tls) = (Some(connection.peer()), connection.tls().map(TlsInfo::to_string));
    // The sender matters only in that there is one.
    let sender = LocalPart::new("postmaster").ok().map(|local| Address::new(local, question.hostname.clone()));
    let envelope = Envelope { tls: question.wish, ..Envelope::new(ReversePath(sender), Vec::new()) };
    let lacking = connection.lacks_tls(&envelope).map(|reply| reply.to_string());
    let words = mx::outcome(&connection);
    connection.quit().await;
    Reached { ok: lacking.is_none(), address, tls, why: lacking.or(words) }
}
