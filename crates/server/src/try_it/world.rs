//! The throw-away mail system: a server for `example.test` with two accounts and an authority of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use posthouse_config::Period;
use posthouse_directory::{Account, Directory, DirectoryError};
use posthouse_mail::{Address, Domain};
use posthouse_runtime::{clock, net, random};

use super::Options;
use crate::cli::{Exit, Failure};
use crate::config::{Config, Kind, Listener, Tls};
use crate::serve::{Server, Start};

/// The domain, reserved for tests (RFC 2606 §2).
pub(super) const DOMAIN: &str = "example.test";
/// The name in the server's certificate that every program on this machine can find.
pub(super) const NAME: &str = "localhost";
/// The characters of a random password: 24 of 32 are 120 bits, and none needs quotes in a shell.
const PASSWORD_CHARS: usize = 24;
const STOP_DEADLINE: Period = Period::seconds(3);

/// The ports, and what is spoken there.
const PORTS: [(Kind, u16); 5] =
    [(Kind::Mx, 25), (Kind::Submission, 587), (Kind::Submissions, 465), (Kind::Pop3, 110), (Kind::Pop3s, 995)];

/// The running system.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) alice: Person,
    pub(super) bob: Person,
    pub(super) home: Home,
    pub(super) ca: PathBuf,
    /// How long it took to start.
    pub(super) started_in: Duration,
    port_offset: u16,
}

/// Somebody with an account.
pub(super) struct Person {
    pub(super) account: Account,
    pub(super) password: String,
}

/// The directory that holds everything.
pub(super) enum Home {
    /// Removed at the end.
    Fresh(TempDir),
    /// Named by the user and kept.
    Kept(PathBuf),
}

impl World {
    pub(super) async fn start(options: Options) -> Result<Self, Failure> {
        let began = clock::now();
        let port_offset = options.port_offset;
        let home = Home::open(options.data)?;
        let config = config(home.path(), port_offset);
        let ca = home.path().join("ca").join("ca.pem");
        // A zone without records: every other domain does not exist, so a letter to one comes back at once and nothing goes out.
        let nowhere = Arc::new(posthouse_dns::Zone::new());
        let server = Server::start(config, Start { resolver: Some(nowhere), ..Start::default() })
            .await
            .map_err(|failure| advise(failure, port_offset))?;
        let directory = &server.parts().directory;
        let (alice, bob) = people(directory, options.password).await?;
        Ok(Self { alice, bob, home, ca, started_in: since(began), port_offset, server })
    }

    /// Stops the server; a fresh directory is removed.
    pub(super) async fn stop(self) {
        self.server.stop().await;
    }

    /// The port for what is spoken.
    pub(super) fn port(&self, kind: Kind) -> u16 {
        port(kind, self.port_offset)
    }

    /// Where this program itself connects to.
    pub(super) fn address(&self, kind: Kind) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.port(kind))
    }
}

impl Home {
    fn open(data: Option<PathBuf>) -> Result<Self, Failure> {
        match data {
            Some(path) => Ok(Self::Kept(path)),
            None => {
                let made = tempfile::Builder::new().prefix("posthouse-try-").tempdir();
                made.map(Self::Fresh).map_err(|error| {
                    Failure::say(
                        Exit::CannotCreate,
                        format_args!("cannot make a temporary directory: {error}; name one with --data"),
                    )
                })
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Fresh(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }

    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }
}

pub(super) fn since(began: Instant) -> Duration {
    clock::now().saturating_duration_since(began)
}

fn port(kind: Kind, offset: u16) -> u16 {
    let known = PORTS.iter().find(|(known, _)| *known == kind).map_or(0, |(_, port)| *port);
    known.saturating_add(offset)
}

fn config(data: &Path, offset: u16) -> Config {
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    if net::has_ipv6_loopback() {
        addresses.push(IpAddr::V6(Ipv6Addr::LOCALHOST));
    }
    // Its own, whatever the machine has besides.
    let local = posthouse_intake::Local {
        socket: Some(data.join("submit.sock")),
        maildrop: Some(data.join("maildrop")),
        ..posthouse_intake::Local::default()
    };
    let on = |ip: &IpAddr| {
        PORTS.map(|(kind, _)| Listener { kind, address: SocketAddr::new(*ip, port(kind, offset)), proxy_from: Vec::new() })
    };
    Config {
        hostname: format!("mail.{DOMAIN}"),
        data: data.to_owned(),
        workers: 0,
        stop_deadline: STOP_DEADLINE,
        listener: addresses.iter().flat_map(on).collect(),
        tls: Tls::default(),
        logins: posthouse_directory::LoginSettings::default(),
        issuer: Vec::new(),
        ldap: None,
        intake: posthouse_intake::Settings { local, ..posthouse_intake::Settings::default() },
        pop3: posthouse_access::Settings::default(),
        mailbox: posthouse_mailbox::MailboxSettings::default(),
        queue: posthouse_queue::Settings::default(),
        delivery: posthouse_delivery::Settings::default(),
        mta_sts: posthouse_transit::Settings::default(),
        dkim: posthouse_admin::keys::Settings::default(),
        tls_rpt: posthouse_transit::ReportSettings::default(),
        dmarc_reports: posthouse_reports::DmarcSettings::default(),
        reports: posthouse_reports::Settings::default(),
        opentelemetry: None,
        alarms: posthouse_admin::AlarmSettings::default(),
        http: posthouse_http::Settings::default(),
        dns: posthouse_dns::Settings::default(),
        dns_update: Vec::new(),
        journal: posthouse_journal::Settings::default(),
        log: posthouse_runtime::log::Settings::default(),
        sandbox: crate::sandbox::Settings::default(),
        secret_files: Vec::new(),
    }
}

/// Adds to a port that cannot be had what to do about it.
fn advise(failure: Failure, offset: u16) -> Failure {
    match (failure.exit(), failure.words()) {
        (Exit::Os, Some(words)) => {
            let other = if offset < 40_000 { offset + 10_000 } else { offset - 10_000 };
            Failure::say(Exit::Os, format_args!("{words}; other ports: posthouse try --port-offset {other}"))
        }
        _ => failure,
    }
}

async fn people(directory: &Directory, password: Option<String>) -> Result<(Person, Person), Failure> {
    let failed = |error: DirectoryError| Failure::new(Exit::Io, error);
    let domain: Domain = DOMAIN.parse().map_err(|error| Failure::new(Exit::Software, anyhow::Error::new(error)))?;
    match directory.add_domain(&domain).await {
        // A directory of an earlier try.
        Ok(()) | Err(DirectoryError::DomainExists(_)) => {}
        Err(error) => return Err(failed(error)),
    }
    let alice = person(directory, "alice", password.clone()).await?;
    let bob = person(directory, "bob", password).await?;
    Ok((alice, bob))
}

async fn person(directory: &Directory, name: &str, password: Option<String>) -> Result<Person, Failure> {
    let refused = |error: DirectoryError| {
        let exit = if matches!(error, DirectoryError::Password(_)) { Exit::Usage } else { Exit::Io };
        Failure::new(exit, error)
    };
    let address: Address =
        format!("{name}@{DOMAIN}").parse().map_err(|error| Failure::new(Exit::Software, anyhow::Error::new(error)))?;
    let password = password.unwrap_or_else(random_password);
    let account = match directory.add_account(&address, &password).await {
        Ok(account) => account,
        Err(DirectoryError::AccountExists(_)) => {
            directory.set_password(&address, &password).await.map_err(refused)?;
            let there = directory.account(&address.to_string()).await.map_err(refused)?;
            there.ok_or_else(|| Failure::say(Exit::Software, format_args!("the account {address} is gone again")))?
        }
        Err(error) => return Err(refused(error)),
    };
    Ok(Person { account, password })
}

fn random_password() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    (0..PASSWORD_CHARS).filter_map(|_| ALPHABET.get(random::below(ALPHABET.len()))).copied().map(char::from).collect()
}
