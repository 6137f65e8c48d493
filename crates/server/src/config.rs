//! The configuration of the whole server: one root made of each crate's settings.
//!
//! [`Config::load`] refuses what contradicts itself and shows where. Whether a certificate can be read or a port is free shows when
//! the server starts.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use posthouse_acme::Challenge;
use posthouse_config::{ConfigError, Network, Period, Secret, Source};
use posthouse_dns::Updates;
use posthouse_intake::MilterAddress;
use posthouse_mail::{Address, Domain};
use posthouse_runtime::log;
use posthouse_runtime::tls::CertificateFiles;

use crate::sandbox::{self, Reach};

/// The configuration file `posthouse.toml`.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// The server's own name in the world: in its greeting, in `Received` lines, on its certificate.
    pub(crate) hostname: String,
    /// Where everything that must outlive the process is kept. A relative path is meant from the file's own directory, here and
    /// everywhere else in it.
    pub(crate) data: PathBuf,
    /// How many threads serve connections; 0 is one for each processor.
    #[serde(default)]
    pub(crate) workers: usize,
    /// How long a stop waits for connections and deliveries that are under way. What is cut off then is tried again later.
    #[serde(default = "stop_deadline")]
    pub(crate) stop_deadline: Period,
    /// Where connections are taken.
    pub(crate) listener: Vec<Listener>,
    /// Certificates.
    #[serde(default)]
    pub(crate) tls: Tls,
    /// SMTP and LMTP: what is accepted, and the limits.
    #[serde(default)]
    pub(crate) intake: posthouse_intake::Settings,
    /// Wrong passwords, and what slows down those who guess.
    #[serde(default)]
    pub(crate) logins: posthouse_directory::LoginSettings,
    /// Who issues the tokens that log in.
    #[serde(default)]
    pub(crate) issuer: Vec<posthouse_oauth::Settings>,
    /// An LDAP directory that knows the passwords.
    #[serde(default)]
    pub(crate) ldap: Option<posthouse_ldap::Settings>,
    /// POP3: the limits.
    #[serde(default)]
    pub(crate) pop3: posthouse_access::Settings,
    /// Stored mail.
    #[serde(default)]
    pub(crate) mailbox: posthouse_mailbox::MailboxSettings,
    /// Undelivered mail.
    #[serde(default)]
    pub(crate) queue: posthouse_queue::Settings,
    /// The way out: to the mailboxes here, to other servers, or to a smarthost.
    #[serde(default)]
    pub(crate) delivery: posthouse_delivery::Settings,
    /// MTA-STS: the policies of other domains, and our own.
    #[serde(default)]
    pub(crate) mta_sts: posthouse_transit::Settings,
    /// The keys that sign letters (DKIM), and how they are changed.
    #[serde(default)]
    pub(crate) dkim: posthouse_admin::keys::Settings,
    /// Reports on TLS to the domains that ask for them.
    #[serde(default)]
    pub(crate) tls_rpt: posthouse_transit::ReportSettings,
    /// Reports on letters to the domains that they say they are of.
    #[serde(default)]
    pub(crate) dmarc_reports: posthouse_reports::DmarcSettings,
    /// The reports that came in, and those that were sent.
    #[serde(default)]
    pub(crate) reports: posthouse_reports::Settings,
    /// Our questions to web servers.
    #[serde(default)]
    pub(crate) http: posthouse_http::Settings,
    /// Which name servers are asked.
    #[serde(default)]
    pub(crate) dns: posthouse_dns::Settings,
    /// Who is told when something is wrong.
    #[serde(default)]
    pub(crate) alarms: posthouse_admin::AlarmSettings,
    /// Which zones may be changed: for DKIM keys, and for certificates by `dns-01`.
    #[serde(default)]
    pub(crate) dns_update: Vec<posthouse_dns::UpdateSettings>,
    /// The numbers of the server, pushed to a collector.
    #[serde(default)]
    pub(crate) opentelemetry: Option<OpenTelemetry>,
    /// The timeline of every letter.
    #[serde(default)]
    pub(crate) journal: posthouse_journal::Settings,
    /// The log on standard error.
    #[serde(default)]
    pub(crate) log: log::Settings,
    /// What the server may touch of this machine's files.
    #[serde(default)]
    pub(crate) sandbox: sandbox::Settings,
    /// The files of secrets that were read with it.
    #[serde(skip)]
    pub(crate) secret_files: Vec<PathBuf>,
}

/// `[opentelemetry]`: the numbers that the `metrics` listener serves, and traces of letters, pushed to a collector by OTLP over HTTP.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct OpenTelemetry {
    /// The collector, such as `http://127.0.0.1:4318`; `/v1/metrics` and `/v1/traces` are added. `http://` is taken for hosts of this machine and of private networks alone.
    pub(crate) url: String,
    /// How often the numbers are pushed.
    #[serde(default = "push_every")]
    pub(crate) every: Period,
    /// The share of the letters that are traced, from 0 to 1: `0.01` is one of a hundred, 0 none. Which ones is a matter of chance, and all their spans are pushed.
    #[serde(default)]
    pub(crate) traces: f64,
    /// The value of the field `Authorization`, such as `Bearer TOKEN`.
    #[serde(default)]
    pub(crate) authorization: Option<Secret>,
    /// A file with the certificate authorities that the collector is believed by. Not set: those that the system knows.
    #[serde(default)]
    pub(crate) ca: Option<PathBuf>,
}

/// `[[listener]]`: one address where connections are taken.
#[derive(Deserialize, JsonSchema, Debug, Clone)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Listener {
    /// What is spoken there.
    pub(crate) kind: Kind,
    /// The address and port, such as `0.0.0.0:25` or `[::]:25`. IPv6 does not take IPv4 along.
    pub(crate) address: SocketAddr,
    /// Proxies that connect for others and say for whom (the PROXY protocol, versions 1 and 2). From these hosts its header must come first; from all
    /// others it is not known.
    #[serde(default)]
    pub(crate) proxy_from: Vec<Network>,
}

/// What a listener speaks.
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// SMTP from other servers (port 25).
    Mx,
    /// SMTP from our users, encrypted by STARTTLS (port 587).
    Submission,
    /// SMTP from our users, encrypted from the first octet (port 465).
    Submissions,
    /// LMTP from a server in front of this one.
    Lmtp,
    /// POP3, encrypted by STLS (port 110).
    Pop3,
    /// POP3, encrypted from the first octet (port 995).
    Pop3s,
    /// HTTPS for other servers, which read our MTA-STS policy there (port 443).
    Https,
    /// The server's numbers for Prometheus, over HTTP without TLS or password: on an address within this host or network alone.
    Metrics,
    /// HTTP for an authority that looks for the proof that a name is ours (port 80).
    Http,
}

/// `[tls]`: what is shown to clients.
#[derive(Deserialize, JsonSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Tls {
    /// Certificates; the name a client asks for picks, the first is shown to all others. None: the server makes an authority of its
    /// own in `ca` under the data directory and issues one.
    pub(crate) certificate: Vec<CertificateFiles>,
    /// A file with the certificate authorities of clients, in PEM form. Set, clients of submission and POP3 are asked for a certificate; one of these authorities logs in
    /// the account whose address is among its alternative names, or that `logins.certificate` says (EXTERNAL). Nobody needs one.
    pub(crate) client_ca: Option<PathBuf>,
    /// The private key of the certificate that comes next. `posthouse domain dns` prints its TLSA record beside that of the key in use, so that it is known
    /// everywhere before it is needed (DANE).
    pub(crate) next_key: Option<PathBuf>,
    /// Whether the server publishes the TLSA records of its certificate itself (DANE), at `_25._tcp.` in front of `hostname`, in a zone of `[[dns-update]]`: that of the
    /// certificate that is shown and of the one to come, and takes out those of its own that nobody needs any more. The zone must be signed, or nobody looks at them.
    pub(crate) publish_tlsa: bool,
    /// A certificate from an authority, ordered and renewed by itself, beside those in `certificate`. Until it is there, the own authority's is shown.
    pub(crate) acme: Option<posthouse_acme::Settings>,
}

fn push_every() -> Period {
    Period::seconds(60)
}

fn stop_deadline() -> Period {
    Period::seconds(30)
}

impl Config {
    /// Reads and checks a file.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let (mut config, source) = posthouse_config::load_with_source::<Self>(path)?;
        config.check(&source)?;
        config.anchor(source.directory());
        source.secret_files().clone_into(&mut config.secret_files);
        Ok(config)
    }

    /// What only shows when values are looked at together.
    fn check(&self, source: &Source) -> Result<(), ConfigError> {
        if let Err(error) = self.hostname.parse::<Domain>() {
            return Err(source.mistake(
                "hostname",
                &error.to_string(),
                "the full name of this host, such as \"mail.example.org\"",
            ));
        }
        if self.listener.is_empty() {
            return Err(source.mistake(
                "listener",
                "there is no listener",
                "give at least one [[listener]] with `kind` and `address`",
            ));
        }
        if let Err(mistake) = self.delivery.check() {
            let table = if mistake.key.starts_with("source") { "source" } else { "destination" };
            let hint = format!("see `delivery.{table}` in the reference of the configuration");
            return Err(source.mistake(&format!("delivery.{}", mistake.key), &mistake.what, &hint));
        }
        self.check_policy(source)?;
        for (key, from) in [("tls-rpt.from", &self.tls_rpt.from), ("dmarc-reports.from", &self.dmarc_reports.from)] {
            if let Some(Err(error)) = from.as_ref().map(|from| from.parse::<Address>()) {
                return Err(source.mistake(key, &error.to_string(), "an address, such as \"postmaster@example.org\""));
            }
        }
        self.check_alarms(source)?;
        if let Err((place, key, why)) = Updates::new(&self.dns_update) {
            let help = "see `dns-update` in the reference of the configuration";
            return Err(source.mistake(&format!("dns-update.{place}.{key}"), &why, help));
        }
        self.check_telemetry(source)?;
        for (place, filter) in self.intake.http_filter.iter().enumerate() {
            if let Err(error) = posthouse_http::check_url(&filter.url) {
                let help =
                    "such as \"http://127.0.0.1:11333/checkv2\"; http:// is for hosts of this machine and private networks";
                return Err(source.mistake(&format!("intake.http-filter.{place}.url"), &error.to_string(), help));
            }
        }
        self.check_acme(source)?;
        self.check_issuers(source)?;
        self.check_ldap(source)?;
        if let Some(place) = self.logins.certificate.iter().position(|one| one.digest().is_none()) {
            let help = "64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256 -in FILE` prints them";
            return Err(source.mistake(&format!("logins.certificate.{place}.fingerprint"), "this is no SHA-256 digest", help));
        }
        let mut taken = HashSet::new();
        for (place, listener) in self.listener.iter().enumerate() {
            let ip = listener.address.ip();
            if listener.kind == Kind::Metrics && (ip.is_unspecified() || posthouse_http::is_public(ip)) {
                let message = format!("anybody could read the numbers of the server at {ip}");
                let help = "a loopback address such as 127.0.0.1:9465, or one of a private network";
                return Err(source.mistake(&format!("listener.{place}.address"), &message, help));
            }
            // Port 0 is a different one each time.
            if listener.address.port() != 0 && !taken.insert(listener.address) {
                let message = format!("two listeners have the address {}", listener.address);
                return Err(source.mistake(
                    &format!("listener.{place}.address"),
                    &message,
                    "give each listener an address of its own",
                ));
            }
        }
        Ok(())
    }

    /// An alarm that nobody can be told is none.
    fn check_alarms(&self, source: &Source) -> Result<(), ConfigError> {
        let alarms = &self.alarms;
        let to = alarms.mail_to.iter().enumerate().map(|(place, to)| (format!("alarms.mail-to.{place}"), to));
        for (key, address) in to.chain(alarms.mail_from.iter().map(|from| ("alarms.mail-from".to_owned(), from))) {
            if let Err(error) = address.parse::<Address>() {
                return Err(source.mistake(&key, &error.to_string(), "an address, such as \"operator@example.org\""));
            }
        }
        if let Some(Err(error)) = alarms.webhook.as_ref().map(|webhook| posthouse_http::check_url(&webhook.url)) {
            let help = "such as \"https://chat.example.org/hooks/x\"; http:// is for hosts of this machine and private networks";
            return Err(source.mistake("alarms.webhook.url", &error.to_string(), help));
        }
        if alarms.look_every.duration().is_zero() {
            return Err(source.mistake("alarms.look-every", "it would be looked without a pause", "such as \"30s\""));
        }
        Ok(())
    }

    /// The proof that an authority looks for needs somebody who shows it.
    fn check_acme(&self, source: &Source) -> Result<(), ConfigError> {
        self.check_tlsa(source)?;
        let Some(acme) = &self.tls.acme else { return Ok(()) };
        let listener = match acme.challenge {
            Challenge::Http01 => Some((Kind::Http, 80)),
            Challenge::TlsAlpn01 => Some((Kind::Https, 443)),
            Challenge::Dns01 => None,
        };
        if !acme.agree_to_terms {
            let help = "read the terms of service of the authority, then write `agree-to-terms = true`";
            return Err(source.mistake("tls.acme.agree-to-terms", "the authority issues nothing without that", help));
        }
        if acme.external_account.as_ref().is_some_and(|bound| bound.key().is_none()) {
            let help = "copy it as the authority gave it";
            return Err(source.mistake("tls.acme.external-account.hmac-key", "the key is not base64url", help));
        }
        if listener.is_none() && self.dns_update.is_empty() {
            let help = "say in [[dns-update]] which name server takes changes, and with which key";
            return Err(source.mistake("tls.acme.challenge", "`dns-01` needs a zone that may be changed", help));
        }
        if acme.challenge != Challenge::Dns01 && acme.names.iter().any(|name| name.starts_with("*.")) {
            let help = "write `challenge = \"dns-01\"`, and see [[dns-update]]";
            return Err(source.mistake("tls.acme.names", "a wildcard is proven by `dns-01` alone", help));
        }
        if let Some((kind, port)) = listener.filter(|(kind, _)| !self.listener.iter().any(|one| one.kind == *kind)) {
            let message = format!("`{}` needs a listener of kind `{kind}`", acme.challenge);
            let help = format!("add a [[listener]] with `kind = \"{kind}\"` and `address = \"0.0.0.0:{port}\"`");
            return Err(source.mistake("tls.acme", &message, &help));
        }
        Ok(())
    }

    /// Records are published where that is allowed.
    fn check_tlsa(&self, source: &Source) -> Result<(), ConfigError> {
        let (Ok(host), Ok(updates)) = (self.hostname.parse(), Updates::new(&self.dns_update)) else { return Ok(()) };
        let owner = crate::tlsa::owner(&host);
        if !self.tls.publish_tlsa || owner.parse().is_ok_and(|owner| updates.covers(&owner)) {
            return Ok(());
        }
        let help = "say in [[dns-update]] which name server takes changes of that zone, and with which key";
        Err(source.mistake("tls.publish-tlsa", &format!("{owner} lies in no zone that may be changed"), help))
    }

    /// Tokens are as good as what is asked of them.
    fn check_ldap(&self, source: &Source) -> Result<(), ConfigError> {
        let wrong = self.ldap.as_ref().and_then(|ldap| ldap.check().err());
        let help = "see `ldap` in the reference of the configuration";
        wrong.map_or(Ok(()), |(key, why)| Err(source.mistake(&format!("ldap.{key}"), &why, help)))
    }

    fn check_issuers(&self, source: &Source) -> Result<(), ConfigError> {
        let help = "see `issuer` in the reference of the configuration";
        let mut urls = HashSet::new();
        for (place, issuer) in self.issuer.iter().enumerate() {
            if let Err((key, why)) = issuer.check() {
                return Err(source.mistake(&format!("issuer.{place}.{key}"), &why, help));
            }
            if !urls.insert(&issuer.url) {
                return Err(source.mistake(&format!("issuer.{place}.url"), "two issuers have this URL", help));
            }
        }
        Ok(())
    }

    /// Our own MTA-STS policy.
    fn check_policy(&self, source: &Source) -> Result<(), ConfigError> {
        let Some(served) = &self.mta_sts.serve else { return Ok(()) };
        let Ok(hostname) = self.hostname.parse() else { return Ok(()) };
        let Err((place, why)) = served.policy(&hostname) else { return Ok(()) };
        let help = "the name of a mail host, or `*.example.org` for all with one label more";
        Err(source.mistake(&format!("mta-sts.serve.mx.{place}"), &why, help))
    }

    fn check_telemetry(&self, source: &Source) -> Result<(), ConfigError> {
        let Some(telemetry) = &self.opentelemetry else { return Ok(()) };
        if let Err(error) = posthouse_http::check_url(&telemetry.url) {
            return Err(source.mistake("opentelemetry.url", &error.to_string(), "such as \"http://127.0.0.1:4318\""));
        }
        if telemetry.every.duration().is_zero() {
            return Err(source.mistake("opentelemetry.every", "it would push without a pause", "such as \"60s\""));
        }
        if !(0.0..=1.0).contains(&telemetry.traces) {
            return Err(source.mistake("opentelemetry.traces", "it is a share of the letters", "from 0 to 1, such as 0.01"));
        }
        Ok(())
    }

    /// Makes relative paths start at the file's directory.
    fn anchor(&mut self, directory: &Path) {
        self.data = directory.join(&self.data);
        let local = &mut self.intake.local;
        let places = [&mut local.socket, &mut local.maildrop].into_iter().flatten();
        for path in places.chain(&mut self.sandbox.read).chain(&mut self.sandbox.write) {
            *path = directory.join(&*path);
        }
        for path in self.files() {
            *path = directory.join(&*path);
        }
    }

    /// The files that it names and that are read while the server runs, secrets apart.
    fn files(&mut self) -> Vec<&mut PathBuf> {
        let Self { delivery, http, tls, issuer, ldap, alarms, intake, opentelemetry, .. } = self;
        let acme = tls.acme.as_mut().and_then(|acme| acme.ca.as_mut());
        let webhook = alarms.webhook.as_mut().and_then(|webhook| webhook.ca.as_mut());
        let single = [&mut delivery.tls_ca, &mut delivery.smarthost_ca, &mut http.ca, &mut tls.client_ca, &mut tls.next_key];
        let filters = intake.http_filter.iter_mut().filter_map(|filter| filter.ca.as_mut());
        let collector = opentelemetry.as_mut().and_then(|collector| collector.ca.as_mut());
        let ldap = ldap.as_mut().and_then(|ldap| ldap.ca.as_mut());
        let issuers = issuer.iter_mut().filter_map(|issuer| issuer.ca.as_mut());
        let certificates = tls.certificate.iter_mut().flat_map(|files| [&mut files.cert, &mut files.key]);
        let named = single.into_iter().flatten().chain(acme).chain(webhook).chain(filters).chain(collector).chain(ldap);
        named.chain(issuers).chain(certificates).collect()
    }

    /// What a server with this configuration touches, besides what every one does: `reach`.
    pub(crate) fn reach(&self, mut reach: Reach) -> Reach {
        self.clone().files().into_iter().for_each(|file| reach.read(file));
        self.secret_files.iter().chain(&self.sandbox.read).for_each(|path| reach.read(path));
        std::iter::once(&self.data).chain(&self.sandbox.write).for_each(|folder| reach.write(folder));
        self.ports().into_iter().chain(self.sandbox.connect.iter().copied()).for_each(|port| reach.connect(port));
        self.listener.iter().for_each(|listener| reach.bind(listener.address.port()));
        if !self.delivery.source.is_empty() {
            // A connection from an address of ours begins at a port of the kernel's choice.
            reach.bind(0);
        }
        reach
    }

    /// The TCP ports of others that it names.
    fn ports(&self) -> Vec<u16> {
        let Self { delivery, mta_sts, dns, dns_update, tls, issuer, ldap, alarms, intake, opentelemetry, .. } = self;
        let acme = tls.acme.iter().map(|acme| acme.directory.as_str());
        let issuers = issuer.iter().flat_map(|issuer| {
            let asked = issuer.introspection.iter().filter_map(|asked| asked.url.as_deref());
            asked.chain([issuer.url.as_str()]).chain(issuer.keys.as_deref())
        });
        let webhook = alarms.webhook.iter().map(|webhook| webhook.url.as_str());
        let filters = intake.http_filter.iter().map(|filter| filter.url.as_str());
        let collector = opentelemetry.iter().map(|collector| collector.url.as_str());
        let ldap = ldap.iter().map(|ldap| ldap.url.as_str());
        let urls = delivery.smarthost.as_deref().into_iter().chain(acme).chain(issuers).chain(ldap);
        let urls = urls.chain(webhook).chain(filters).chain(collector);
        let milters = intake.milter.iter().filter_map(|milter| match &milter.address {
            MilterAddress::Inet(address) => Some(address.port()),
            MilterAddress::Unix(_) => None,
        });
        let servers = dns.servers.iter().chain(dns_update.iter().map(|update| &update.server)).map(SocketAddr::port);
        urls.filter_map(port).chain(milters).chain(servers).chain([delivery.port, mta_sts.port]).collect()
    }
}

/// The port that a URL leads to.
fn port(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // What stands in brackets has colons of its own.
    let behind = authority.rsplit(['@', ']']).next().unwrap_or_default();
    if let Some((_, port)) = behind.rsplit_once(':') {
        return port.parse().ok();
    }
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "ldap" => Some(389),
        "ldaps" => Some(636),
        "smtp" => Some(25),
        "smtps" => Some(465),
        "smtp+starttls" => Some(587),
        _ => None,
    }
}

/// As the configuration writes it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mx => "mx",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Lmtp => "lmtp",
            Self::Pop3 => "pop3",
            Self::Pop3s => "pop3s",
            Self::Https => "https",
            Self::Metrics => "metrics",
            Self::Http => "http",
        })
    }
}

#[cfg(test)]
mod tests;
