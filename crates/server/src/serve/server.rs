//! The server as a whole: started, reloaded, stopped.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{error, info, warn};

use posthouse_access::Pop3;
use posthouse_acme::{Keeper, Proofs, Records, Standing};
use posthouse_admin::queue::Desk;
use posthouse_admin::socket::{self, Office, Restarts};
use posthouse_admin::{AlarmSettings, JunkKeeper, Status, keys};
use posthouse_delivery::{Ledger, TlsReports, Way};
use posthouse_dns::{Resolver, Updates};
use posthouse_http::Client;
use posthouse_intake::{HttpFilters, LocalDoor};
use posthouse_mail::Domain;
use posthouse_mailauth::mta_sts::Policy;
use posthouse_mailbox::Ages;
use posthouse_runtime::clock;
use posthouse_runtime::gate::Gate;
use posthouse_runtime::local::LocalListener;
use posthouse_runtime::memory::Ceiling;
use posthouse_runtime::service::{Predecessor, Prepared, Successor};
use posthouse_runtime::shutdown::{self, Shutdown, Trigger};
use posthouse_runtime::sync::{mpsc, watch};
use posthouse_runtime::task::{self, Task};
use posthouse_runtime::tls::{ClientRoots, ServerTls, TlsError};
use posthouse_runtime::workers::Workers;
use posthouse_transit::check::Finding;
use posthouse_transit::{Policies, Sessions};

use super::alarms::{History, Watch};
use super::dane::Dane;
use super::listen::{self, Accepting, Bound, Contexts, Handed};
use super::metrics::Metrics;
use super::otlp::{self, Collector, Pusher, Tracer};
use super::parts::{self, Parts};
use super::promise::Promise;
use super::reporter::{self, Reporter};
use super::told::{self, Told};
use super::web::Web;
use super::{local, maildrop};
use crate::cli::{Exit, Failure};
use crate::config::{Config, Kind};
use crate::sandbox::Hold;
use crate::tlsa::Keys;

/// How much longer than its stop may take a predecessor is waited for.
const GRACE: Duration = Duration::from_secs(15);

/// The names that clients use for SMTP in ALPN are not registered; these two are what others accept.
const SMTP_ALPN: [&str; 2] = ["smtp", "esmtp"];

/// A running server.
pub(crate) struct Server {
    config: Config,
    /// The same, for whoever shows a new certificate.
    shown: Arc<Mutex<Config>>,
    alarms: watch::Sender<AlarmSettings>,
    parts: Parts,
    smtp_tls: ServerTls,
    contexts: watch::Sender<Arc<Contexts>>,
    listening: Vec<(Kind, SocketAddr)>,
    /// What a successor is handed.
    bound: Vec<Bound>,
    workers: Workers,
    delivery: Task,
    /// How the TLS of connections went.
    sessions: Sessions,
    admin: Task,
    submit: Task,
    trigger: Trigger,
    /// Ends when the last connection has ended.
    connections: mpsc::Receiver<()>,
}

/// What a server begins with.
#[derive(Default)]
pub(crate) struct Start {
    /// Replaces the real one.
    pub(crate) resolver: Option<Resolver>,
    /// Sockets that are bound already.
    pub(crate) handed: Handed,
    /// Who has the data still.
    pub(crate) predecessor: Option<Predecessor>,
    /// Who is told that an operator wants another process in this one's place.
    pub(crate) restarts: Option<Restarts>,
    /// How far the kernel holds this process to what it may touch; `None`: it was not asked.
    pub(crate) sandbox: Option<Hold>,
}

impl Server {
    /// Binds the addresses, opens the parts, and starts to take connections and to deliver.
    pub(crate) async fn start(config: Config, start: Start) -> Result<Self, Failure> {
        let Start { resolver, handed, predecessor, restarts, sandbox } = start;
        // First what another process may hold: a second server on the same host ends here, before it touches any data.
        let mut bound = listen::bind(&config.listener, handed)?;
        if let Some(predecessor) = predecessor {
            parts::can_open(&config)?;
            predecessor.prepared().map_err(|error| Failure::new(Exit::Os, error))?;
            predecessor.gone(config.stop_deadline.duration() + GRACE).await;
        }
        let parts = Parts::open(&config, resolver).await?;
        let smtp_tls = parts.tls.for_service(&SMTP_ALPN).map_err(parts::tls_failure)?;
        let (trigger, shutdown) = shutdown::channel();
        let first = contexts(&config, &parts, &smtp_tls, None)?;
        let first_proofs = first.web.proofs().clone();
        let (contexts, current) = watch::channel(Arc::new(first));
        let count = if config.workers == 0 { task::processors() } else { config.workers };
        let workers = Workers::start(count).map_err(|error| Failure::new(Exit::Os, error))?;
        let sessions = Sessions::start(&parts.transit).map_err(|error| Failure::new(Exit::Os, error))?;
        let (delivery, context) = start_delivery(&config, &parts, &sessions, shutdown.clone())?;
        let shown = Arc::new(Mutex::new(config.clone()));
        let standings = start_keepers(&config, &shown, &parts, first_proofs, &shutdown)?;
        let (history, (alarms, alarm_settings)) = (History::default(), watch::channel(config.alarms.clone()));
        let watched = (history.clone(), alarm_settings.clone());
        let reporter = Reporter::new(&config, &parts, standings, current.clone(), watched, sandbox);
        let status: Arc<dyn Fn() -> Status + Send + Sync> = Arc::new(move || reporter.status());
        let watcher = Watch {
            status: Arc::clone(&status),
            history,
            settings: alarm_settings,
            delivery: context.clone(),
            resolver: Arc::clone(&parts.resolver),
            data: config.data.clone(),
        };
        let watcher = watcher.start(shutdown.clone());
        start_otlp(&config, &parts, &status, shutdown.clone())?;
        let metrics = Metrics::new(Arc::clone(&status), parts.journal.clone());
        let office = Office { desk: Desk::new(context), status, restarts, alarms: Some(watcher) };
        let admin = start_admin(&config, office, shutdown.clone())?;
        let (open, connections) = mpsc::channel(1);
        let accepting = Accepting { contexts: current, shutdown, open, metrics, balance: workers.balance() };
        listen::start(&workers, &mut bound, &accepting)?;
        let door = LocalDoor::new();
        let submit = local::start(&config, &door, accepting.clone())?;
        if let Some(folder) = maildrop::place(&config) {
            task::spawn("maildrop", maildrop::run(folder, door, accepting));
        }
        let listening = listen::addresses(&bound);
        for (kind, address) in &listening {
            info!(%kind, %address, "listening");
        }
        Ok(Self {
            config,
            shown,
            alarms,
            parts,
            smtp_tls,
            contexts,
            listening,
            bound,
            workers,
            delivery,
            sessions,
            admin,
            submit,
            trigger,
            connections,
        })
    }

    /// Starts the process that is to take over, and returns when it only waits for this one's end.
    pub(crate) async fn hand_over(&self, program: Command) -> std::io::Result<Prepared> {
        let sockets: Vec<_> = self.bound.iter().map(|bound| (bound.kind.to_string(), bound.sockets.iter().collect())).collect();
        Successor::start(program, &sockets)?.prepared().await
    }

    /// The addresses where it takes connections.
    pub(crate) fn listening(&self) -> &[(Kind, SocketAddr)] {
        &self.listening
    }

    /// What it works with.
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Takes from a new configuration what can change while connections stand: certificates and limits. All of it or, with an error,
    /// nothing.
    pub(crate) fn reload(&mut self, config: Config) -> Result<(), Failure> {
        let next = contexts(&config, &self.parts, &self.smtp_tls, Some((&self.config, &self.contexts.borrow())))?;
        parts::renew_tls(&self.parts.tls, &config).map_err(parts::tls_failure)?;
        if config.issuer != self.config.issuer {
            parts::trust_issuers(&self.parts.directory, &config, &self.parts.resolver).map_err(parts::tls_failure)?;
        }
        self.contexts.send_replace(Arc::new(next));
        if config.ldap != self.config.ldap {
            parts::trust_ldap(&self.parts.directory, &config, &self.parts.resolver).map_err(parts::tls_failure)?;
        }
        self.parts.directory.configure(config.logins.clone()).map_err(|error| Failure::new(Exit::Io, error))?;
        self.parts.queue.configure(&config.queue);
        self.parts.journal.configure(&config.journal);
        self.alarms.send_replace(config.alarms.clone());
        for section in needing_restart(&self.config, &config) {
            warn!(section, "this change takes effect only when the server is started again");
        }
        self.config = Config {
            tls: config.tls,
            intake: config.intake,
            logins: config.logins,
            ldap: config.ldap,
            issuer: config.issuer,
            pop3: config.pop3,
            mta_sts: config.mta_sts,
            alarms: config.alarms,
            log: config.log,
            journal: config.journal,
            queue: posthouse_queue::Settings {
                spool_size: self.config.queue.spool_size,
                size_max: self.config.queue.size_max,
                sources: self.config.queue.sources.clone(),
                ..config.queue
            },
            ..self.config.clone()
        };
        self.config.clone_into(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner));
        watch_dane(&self.config, &self.parts.resolver);
        Ok(())
    }

    /// Reads the certificates again, or issues a new one; and says which should have been renewed by others long ago.
    pub(crate) fn renew(&self) -> Result<(), TlsError> {
        let renewed = parts::renew_tls(&self.parts.tls, &self.config);
        for late in reporter::certificates(&self.parts.tls).into_iter().filter(|shown| shown.is_late) {
            error!(names = late.names.join(" "), expires = late.expires, "a certificate ends soon and is not renewed");
        }
        renewed.inspect(|()| watch_dane(&self.config, &self.parts.resolver))
    }

    /// Returns when every thread that serves connections has taken its turn.
    pub(crate) async fn turn(&self) {
        self.workers.turn().await;
    }

    /// How it is, in one line.
    pub(crate) fn status(&self) -> String {
        let queue = &self.parts.queue;
        let connections = self.contexts.borrow().smtp.gate.open();
        let mail = queue.check().map_or_else(|error| format!("refusing mail: {error}"), |()| "taking mail".to_owned());
        format!("{mail}; {} letters queued, {connections} SMTP connections", queue.len())
    }

    /// Stops in order: takes no more connections, lets those that are open and the deliveries under way come to a good place, and cuts
    /// off at the deadline what has not. Nothing that was accepted is lost by that: the queue holds it.
    pub(crate) async fn stop(mut self) {
        info!("stopping");
        self.trigger.fire();
        // A successor has its own hold of them.
        self.bound.clear();
        let deadline = clock::now() + self.config.stop_deadline.duration();
        // Its hold on the open connections ends with it.
        self.submit.join().await;
        let ended = clock::timeout_at(deadline, async { while self.connections.recv().await.is_some() {} });
        if ended.await.is_err() {
            warn!("connections were still open at the deadline and are cut off");
        }
        if clock::timeout_at(deadline, self.delivery.join()).await.is_err() {
            warn!("deliveries were still under way at the deadline; they are tried again after the next start");
        }
        if clock::timeout_at(deadline, self.admin.join()).await.is_err() {
            warn!("an operator's request was still being answered at the deadline");
        }
        self.workers.stop();
        self.parts.journal.flush().await;
        self.sessions.flush().await;
        self.parts.evaluations.flush().await;
        info!("stopped");
    }
}

/// What connections work with under a configuration. Limits that do not change go on counting the connections that are open.
fn contexts(
    config: &Config,
    parts: &Parts,
    smtp_tls: &ServerTls,
    before: Option<(&Config, &Contexts)>,
) -> Result<Contexts, Failure> {
    let (intake, pop3) = (&config.intake, &config.pop3);
    let same_gate = before.filter(|(old, _)| old.intake.gate() == intake.gate());
    let gate = same_gate.map_or_else(|| Gate::new(intake.gate()), |(_, contexts)| contexts.smtp.gate.clone());
    let clients = config.tls.client_ca.as_deref().map(ClientRoots::from_pem_file).transpose().map_err(parts::tls_failure)?;
    let users_tls = clients.as_ref().map(|clients| parts.tls.for_service_with(&SMTP_ALPN, clients)).transpose();
    let smtp = posthouse_intake::Context {
        hostname: hostname(config)?,
        directory: parts.directory.clone(),
        queue: parts.queue.clone(),
        journal: parts.journal.clone(),
        abuse: parts.abuse.clone(),
        evaluations: Told::ledger(config, parts),
        filters: HttpFilters::new(&intake.http_filter, &parts.resolver).map_err(parts::tls_failure)?,
        resolver: Arc::clone(&parts.resolver),
        tls: Some(smtp_tls.clone()),
        users_tls: users_tls.map_err(parts::tls_failure)?,
        gate,
        memory: Ceiling::new(intake.memory_max.bytes()),
        settings: Arc::new(intake.clone()),
    };
    // Where certificates of clients are asked for their authorities are read again.
    // The settings of POP3 hold no secret, so their texts tell whether they differ.
    let same_pop3 = before
        .filter(|(old, _)| format!("{:?}", old.pop3) == format!("{pop3:?}") && clients.is_none() && old.tls.client_ca.is_none());
    let pop3 = match same_pop3 {
        Some((_, contexts)) => contexts.pop3.clone(),
        None => Pop3::new(posthouse_access::Parts {
            hostname: config.hostname.clone(),
            directory: parts.directory.clone(),
            mailboxes: parts.mailboxes.clone(),
            journal: parts.journal.clone(),
            tls: Some(parts.tls.clone()),
            clients,
            settings: pop3.clone(),
        })
        .map_err(parts::tls_failure)?,
    };
    let web = match before {
        Some((_, contexts)) => contexts.web.clone(),
        None => Web::new(parts).map_err(parts::tls_failure)?,
    };
    Ok(Contexts { smtp, pop3, web: web.serving(policy(config)?.map(|policy| policy.to_string())) })
}

fn start_delivery(
    config: &Config,
    parts: &Parts,
    sessions: &Sessions,
    shutdown: Shutdown,
) -> Result<(Task, posthouse_delivery::Context), Failure> {
    let ledger: Arc<dyn Ledger> = Arc::new(sessions.clone());
    let client = Client::new(Arc::clone(&parts.resolver), &config.http).map_err(parts::tls_failure)?;
    let opened =
        Policies::open(&parts.transit, Arc::clone(&parts.resolver), client.clone(), &config.mta_sts, Arc::clone(&ledger));
    let policies = opened.map_err(|error| Failure::new(Exit::Io, error))?;
    let context = posthouse_delivery::Context {
        hostname: hostname(config)?,
        directory: parts.directory.clone(),
        mailboxes: parts.mailboxes.clone(),
        queue: parts.queue.clone(),
        schedule: config.queue.clone(),
        journal: parts.journal.clone(),
        resolver: Arc::clone(&parts.resolver),
        sts: Arc::new(policies.clone()),
        ledger,
        reports: parts.reports.clone(),
        relays_for: config.intake.trusted_networks.clone(),
        settings: Arc::new(config.delivery.clone()),
        double_bounces: posthouse_delivery::DoubleBounces::default(),
    };
    let way = Way::new(&context.settings).map_err(|error| Failure::new(Exit::Config, error))?;
    task::spawn("TLS policies", policies.keep_fresh(shutdown.clone()));
    if config.tls_rpt.send {
        // That it is an address was seen when the configuration was read.
        let from = config.tls_rpt.from.as_ref().and_then(|from| from.parse().ok());
        let reports = TlsReports { context: context.clone(), sessions: sessions.clone(), client, from };
        task::spawn("TLS reports", reports.run(shutdown.clone()));
    }
    told::start(config, parts, &context, &shutdown);
    Ok((task::spawn("delivery", posthouse_delivery::run(context.clone(), way, shutdown)), context))
}

/// Keeps a certificate from an authority, where that is wanted, and its TLSA records.
fn start_acme(
    config: &Config,
    shown: &Arc<Mutex<Config>>,
    parts: &Parts,
    (proofs, updates): (Proofs, Updates),
    shutdown: Shutdown,
) -> Result<(Standing, Dane), Failure> {
    let (standing, dane) = (Standing::default(), Dane::new(shown, &parts.resolver, updates.clone()));
    task::spawn("TLSA", dane.clone().run(shutdown.clone()));
    let Some(settings) = config.tls.acme.clone() else { return Ok((standing, dane)) };
    // The operator named the authority, wherever it is.
    let http = posthouse_http::Settings { ca: settings.ca.clone(), private_addresses: true, timeout: config.http.timeout };
    let client = Client::new(Arc::clone(&parts.resolver), &http).map_err(parts::tls_failure)?;
    let names = if settings.names.is_empty() { vec![config.hostname.clone()] } else { settings.names.clone() };
    let (tls, resolver, shown) = (parts.tls.clone(), Arc::clone(&parts.resolver), Arc::clone(shown));
    let show = Arc::new(move || {
        let config = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        parts::renew_tls(&tls, &config).inspect(|()| watch_dane(&config, &resolver))
    });
    let store = parts::acme_store(config);
    let records = Records { updates, resolver: Arc::clone(&parts.resolver) };
    let says = dane.clone();
    let keys = Arc::new(move || says.next_key());
    let keeper = Keeper { settings, names, client, store, proofs, records, keys, show, standing: standing.clone() };
    task::spawn("certificate", keeper.run(shutdown));
    Ok((standing, dane))
}

/// The zones that may be changed.
fn updates(config: &Config) -> Result<Updates, Failure> {
    Updates::new(&config.dns_update).map_err(|(_, key, why)| Failure::say(Exit::Config, format_args!("dns-update.{key}: {why}")))
}

/// Starts what keeps certificates, keys, folders and promises as they should be.
fn start_keepers(
    config: &Config,
    shown: &Arc<Mutex<Config>>,
    parts: &Parts,
    proofs: Proofs,
    shutdown: &Shutdown,
) -> Result<reporter::Standings, Failure> {
    let updates = updates(config)?;
    let certificate = start_acme(config, shown, parts, (proofs, updates.clone()), shutdown.clone())?;
    let keys = start_keys(config, parts, updates, shutdown.clone());
    start_junk(config, parts, shutdown.clone())?;
    Ok((certificate, keys, Promise::start(shown, parts, shutdown.clone())))
}

/// Changes the keys that sign letters.
fn start_keys(config: &Config, parts: &Parts, updates: Updates, shutdown: Shutdown) -> keys::Standing {
    let standing = keys::Standing::default();
    let (directory, resolver) = (parts.directory.clone(), Arc::clone(&parts.resolver));
    let keeper = keys::Keeper { directory, resolver, updates, settings: config.dkim.clone(), standing: standing.clone() };
    task::spawn("DKIM keys", keeper.run(shutdown));
    standing
}

/// Empties Junk folders of what is old.
fn start_junk(config: &Config, parts: &Parts, shutdown: Shutdown) -> Result<(), Failure> {
    let ages = Ages::open(&config.data.join("junk.sqlite")).map_err(|error| Failure::new(Exit::Io, error))?;
    let (directory, mailboxes, journal) = (parts.directory.clone(), parts.mailboxes.clone(), parts.journal.clone());
    let keeper = JunkKeeper { directory, mailboxes, journal, ages, settings: config.mailbox.clone() };
    task::spawn("Junk folders", keeper.run(shutdown));
    Ok(())
}

/// Pushes the numbers and traces, where that is wanted.
fn start_otlp(
    config: &Config,
    parts: &Parts,
    status: &Arc<dyn Fn() -> Status + Send + Sync>,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let Some(settings) = config.opentelemetry.clone() else { return Ok(()) };
    let client = Client::for_operator(Arc::clone(&parts.resolver), settings.ca.as_deref(), otlp::TIMEOUT);
    let client = client.map_err(parts::tls_failure)?;
    let (share, hostname) = (settings.traces, config.hostname.clone());
    let collector = Collector { settings, client };
    if share > 0.0 {
        let (tracer, sender) = Tracer::new(collector.clone(), hostname, share);
        parts.journal.follow(Arc::new(tracer));
        task::spawn("traces", sender.run(shutdown.clone()));
    }
    let pusher = Pusher { collector, status: Arc::clone(status), journal: parts.journal.clone() };
    task::spawn("OpenTelemetry", pusher.run(shutdown));
    Ok(())
}

/// Says in the log when the certificate that is shown now is not among the TLSA records that others hold us to. Nobody waits for the DNS.
fn watch_dane(config: &Config, resolver: &Resolver) {
    let keys = match hostname(config).and_then(|hostname| Keys::read(config, &hostname)) {
        Ok(keys) => keys,
        Err(error) => return warn!(%error, "what the DNS should say of the certificate is not known"),
    };
    let resolver = Arc::clone(resolver);
    task::spawn("TLSA", async move {
        for Finding { subject, words, .. } in keys.examine(&resolver).await.into_iter().filter(|finding| !finding.right) {
            warn!(subject, words, "the DNS and the certificate that is shown do not fit together");
        }
    });
}

/// Opens the admin socket. The spool is locked by now, so no other server has it.
fn start_admin(config: &Config, office: Office, shutdown: Shutdown) -> Result<Task, Failure> {
    let path = config.data.join(socket::SOCKET);
    let listener = LocalListener::bind(&path).map_err(|error| {
        Failure::say(Exit::CannotCreate, format_args!("cannot make the admin socket {}: {error}", path.display()))
    })?;
    Ok(task::spawn("admin", socket::serve(listener, office, shutdown)))
}

/// Our own MTA-STS policy.
pub(crate) fn policy(config: &Config) -> Result<Option<Policy>, Failure> {
    let hostname = hostname(config)?;
    let policy = config.mta_sts.serve.as_ref().map(|served| served.policy(&hostname)).transpose();
    policy.map_err(|(_, why)| Failure::say(Exit::Config, format_args!("mta-sts.serve.mx: {why}")))
}

pub(crate) fn hostname(config: &Config) -> Result<Domain, Failure> {
    config.hostname.parse().map_err(|error| Failure::new(Exit::Config, anyhow::Error::new(error).context("hostname")))
}

/// The sections that differ and are only read at the start. Secrets show alike, and are compared by themselves.
fn needing_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let shown = |config: &Config| {
        [
            ("hostname", config.hostname.clone()),
            ("data", config.data.display().to_string()),
            ("workers", config.workers.to_string()),
            ("listener", format!("{:?}", config.listener)),
            ("intake.local.socket", format!("{:?}", config.intake.local.socket)),
            ("mailbox", format!("{:?}", config.mailbox)),
            ("queue.spool-size", config.queue.spool_size.to_string()),
            ("queue.size-max", config.queue.size_max.to_string()),
            ("delivery", format!("{:?}", config.delivery)),
            ("tls.acme", format!("{:?}", config.tls.acme)),
            ("dkim", format!("{:?}", config.dkim)),
            ("dns", format!("{:?}", config.dns)),
            ("dns-update", format!("{:?}", config.dns_update)),
            ("http", format!("{:?}", config.http)),
            ("tls-rpt", format!("{:?}", config.tls_rpt)),
            ("dmarc-reports", format!("{:?}", config.dmarc_reports)),
            ("reports", format!("{:?}", config.reports)),
            ("mta-sts.obey", config.mta_sts.obey.to_string()),
            ("mta-sts.port", config.mta_sts.port.to_string()),
            ("opentelemetry", format!("{:?}", config.opentelemetry)),
            ("log.format", format!("{:?}", config.log.format)),
            ("sandbox", format!("{:?}", config.sandbox)),
        ]
    };
    let secrets = [
        ("delivery", old.delivery.smarthost_password != new.delivery.smarthost_password),
        ("tls.acme", old.tls.acme != new.tls.acme),
        ("dns-update", old.dns_update != new.dns_update),
        ("opentelemetry", old.opentelemetry != new.opentelemetry),
    ];
    let pairs = shown(old).into_iter().zip(shown(new));
    let mut differ: Vec<_> = pairs.filter(|((_, was), (_, is))| was != is).map(|((section, _), _)| section).collect();
    for (section, _) in secrets.into_iter().filter(|(_, differs)| *differs) {
        if !differ.contains(&section) {
            differ.push(section);
        }
    }
    differ
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_changed_in_its_file_is_said_to_need_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("posthouse.toml");
        let text = |ttl: &str, secret: &str| {
            format!(
                "hostname = \"mx.ours.test\"\ndata = \"data\"\n[[listener]]\nkind = \"mx\"\naddress = \"127.0.0.1:0\"\n\
                 [[dns-update]]\nzones = [\"ours.test\"]\nserver = \"127.0.0.1:53\"\nkey-name = \"k\"\nttl = \"{ttl}\"\nsecret = \"{secret}\"\n"
            )
        };
        let config = |ttl: &str, secret: &str| {
            std::fs::write(&path, text(ttl, secret)).unwrap();
            Config::load(&path).unwrap()
        };
        let old = config("1h", "b25l");
        assert_eq!(needing_restart(&old, &config("1h", "b25l")), Vec::<&str>::new());
        assert_eq!(needing_restart(&old, &config("1h", "dHdv")), ["dns-update"]);
        assert_eq!(needing_restart(&old, &config("2h", "dHdv")), ["dns-update"]);
    }
}
