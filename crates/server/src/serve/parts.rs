//! The parts that hold the server's state, opened once and shared by everything that runs.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use posthouse_delivery::Failures;
use posthouse_directory::{Directory, OutsidePasswords, Tokens};
use posthouse_dns::Resolver;
use posthouse_intake::Abuse;
use posthouse_journal::Journal;
use posthouse_ldap::Ldap;
use posthouse_mailbox::Mailboxes;
use posthouse_oauth::Issuers;
use posthouse_queue::{Queue, QueueError};
use posthouse_reports::{Evaluations, Received};
use posthouse_runtime::clock;
use posthouse_runtime::tls::{Ca, CertificateFiles, ServerTls, TlsError};
use posthouse_transit::Store;

use crate::cli::{Exit, Failure};
use crate::config::Config;

/// What the parts of the server work with.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) directory: Directory,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) queue: Queue,
    pub(crate) journal: Journal,
    pub(crate) abuse: Abuse,
    pub(crate) resolver: Resolver,
    pub(crate) transit: Store,
    pub(crate) evaluations: Evaluations,
    pub(crate) reports: Received,
    pub(crate) failures: Failures,
    pub(crate) tls: ServerTls,
}

impl Parts {
    /// Opens everything under the data directory, which is made where there is none. `resolver` replaces the real one.
    pub(crate) async fn open(config: &Config, resolver: Option<Resolver>) -> Result<Self, Failure> {
        make_data(&config.data)?;
        let tls = open_tls(config).map_err(tls_failure)?;
        let resolver = match resolver {
            Some(resolver) => resolver,
            None => posthouse_dns::real(&config.dns).map_err(|error| Failure::new(Exit::Config, error))?,
        };
        let io = |error: anyhow::Error| Failure::new(Exit::Io, error);
        let directory = Directory::open(&config.data.join("directory.sqlite")).map_err(|error| io(error.into()))?;
        directory.configure(config.logins.clone()).map_err(|error| io(error.into()))?;
        trust_issuers(&directory, config, &resolver).map_err(tls_failure)?;
        trust_ldap(&directory, config, &resolver).map_err(tls_failure)?;
        let mailboxes = Mailboxes::open(&config.data.join("accounts")).map_err(|error| io(error.into()))?;
        let journal =
            Journal::open_with(&config.data.join("journal.sqlite"), &config.journal).map_err(|error| io(error.into()))?;
        let transit = Store::open(&config.data.join("transit.sqlite")).map_err(|error| io(error.into()))?;
        let reports = posthouse_reports::Store::open(&config.data.join("reports.sqlite")).map_err(|error| io(error.into()))?;
        let evaluations = Evaluations::start(&reports).map_err(|error| io(error.into()))?;
        let reports = Received::new(&reports, &config.reports);
        let queue = open_queue(config).await?;
        let abuse = Abuse::open(&config.data);
        let failures = Failures::default();
        Ok(Self { abuse, directory, mailboxes, queue, journal, resolver, transit, evaluations, reports, failures, tls })
    }
}

/// Whether what needs no data can be made: asked before a predecessor, who has the data, is told to go.
pub(super) fn can_open(config: &Config) -> Result<(), Failure> {
    open_tls(config).map_err(tls_failure)?;
    posthouse_dns::real(&config.dns).map_err(|error| Failure::new(Exit::Config, error))?;
    posthouse_delivery::Way::new(&config.delivery).map_err(|error| Failure::new(Exit::Config, error))?;
    Ok(())
}

/// Takes the tokens of the issuers that are configured, and of no others.
pub(super) fn trust_issuers(directory: &Directory, config: &Config, resolver: &Resolver) -> Result<(), TlsError> {
    let issuers = if config.issuer.is_empty() { None } else { Some(Issuers::new(&config.issuer, resolver)?) };
    directory.trust_tokens(issuers.map(|issuers| Arc::new(issuers) as Arc<dyn Tokens>));
    Ok(())
}

/// Takes the word of the LDAP directory that is configured.
pub(super) fn trust_ldap(directory: &Directory, config: &Config, resolver: &Resolver) -> Result<(), TlsError> {
    let ldap = config.ldap.as_ref().map(|settings| Ldap::new(settings, resolver)).transpose()?;
    directory.trust_passwords(ldap.map(|ldap| Arc::new(ldap) as Arc<dyn OutsidePasswords>));
    Ok(())
}

async fn open_queue(config: &Config) -> Result<Queue, Failure> {
    let dir = config.data.join("queue");
    let mut settings = config.queue.clone();
    settings.sources = config.delivery.sources().map_err(|error| Failure::new(Exit::Config, error))?;
    // A restart reads the whole spool.
    let opened = posthouse_runtime::task::blocking(move || Queue::open(&settings, &dir)).await;
    // What was recovered, and what could not be, the queue has logged itself.
    opened.map(|(queue, _recovered)| queue).map_err(|error| {
        let exit = if matches!(error, QueueError::Locked(_)) { Exit::TempFail } else { Exit::Io };
        Failure::new(exit, error)
    })
}

/// The directory is the server's alone: it holds letters, keys and password hashes. Where every user may write, any of them could put a file, or a link, in the place of one of
/// these.
pub(super) fn make_data(data: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    let found = made.and_then(|()| data.metadata()).map_err(|error| {
        Failure::say(Exit::CannotCreate, format_args!("cannot make the data directory {}: {error}", data.display()))
    })?;
    if found.mode() & 0o002 != 0 {
        let (data, mode) = (data.display(), found.mode() & 0o7777);
        return Err(Failure::say(
            Exit::Config,
            format_args!("every user of this machine may write in the data directory {data} (mode {mode:o}): chmod 700 {data}"),
        ));
    }
    Ok(())
}

fn open_tls(config: &Config) -> Result<ServerTls, TlsError> {
    let files = certificate_files(config);
    if files.is_empty() { ServerTls::from_ca(&own_ca(config)?, &own_names(config)) } else { ServerTls::from_files(&files) }
}

/// The certificates that are named, and the one that an authority gave us, while its time is not over.
pub(crate) fn certificate_files(config: &Config) -> Vec<CertificateFiles> {
    let mut files = config.tls.certificate.clone();
    if config.tls.acme.is_some() {
        let store = acme_store(config);
        let now = i64::try_from(clock::unix_millis() / 1000).unwrap_or(i64::MAX);
        if store.certificate().is_some_and(|certificate| certificate.not_after > now) {
            files.push(store.files());
        }
    }
    files
}

/// Where the account with an authority, and its certificate, are kept.
pub(crate) fn acme_store(config: &Config) -> posthouse_acme::Store {
    posthouse_acme::Store::new(config.data.join("acme"))
}

/// Reads or issues the certificates again; connections that stand are not touched.
pub(super) fn renew_tls(tls: &ServerTls, config: &Config) -> Result<(), TlsError> {
    let files = certificate_files(config);
    if files.is_empty() { tls.reload_from_ca(&own_ca(config)?, &own_names(config)) } else { tls.reload(&files) }
}

/// A certificate that cannot be used is a fault of the configuration, or of the files it names.
pub(super) fn tls_failure(error: TlsError) -> Failure {
    let exit = if matches!(error, TlsError::Write { .. }) { Exit::CannotCreate } else { Exit::Config };
    Failure::new(exit, error)
}

/// The authority that stands in when no certificate is configured.
pub(crate) fn own_ca(config: &Config) -> Result<Ca, TlsError> {
    Ca::load_or_create(&config.data.join("ca"))
}

/// Our name, and those under which programs on this host reach us.
fn own_names(config: &Config) -> Vec<String> {
    [config.hostname.as_str(), "localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
}
