//! How the server is, for `posthouse status`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use posthouse_acme::Standing;
use posthouse_admin::keys;
use posthouse_admin::queue::SuspensionInfo;
use posthouse_admin::{
    AlarmSettings, CertificateStatus, ConnectionsStatus, CountStatus, DiskStatus, FilterStatus, GreylistStatus, ListStatus,
    MaildropStatus, MemoryStatus, QueueStatus, SandboxStatus, SilentStatus, Status,
};
use posthouse_intake::{Abuse, FailingFilter};
use posthouse_journal::{Count, Journal};
use posthouse_mail::UnixMillis;
use posthouse_queue::{Queue, QueueError, SilentSite};
use posthouse_runtime::gate::Gate;
use posthouse_runtime::sync::watch;
use posthouse_runtime::tls::ServerTls;
use posthouse_runtime::{clock, memory};

use super::alarms::{FAILED_LOGINS, History};
use super::dane::Dane;
use super::listen::Contexts;
use super::maildrop;
use super::parts::Parts;
use super::promise::Promise;
use crate::config::Config;
use crate::sandbox::Hold;

/// Knows where to look.
pub(super) struct Reporter {
    hostname: String,
    started: UnixMillis,
    queue: Queue,
    limits: posthouse_queue::Settings,
    journal: Journal,
    maildrop: Option<PathBuf>,
    tls: ServerTls,
    /// How it stands with the certificate of an authority.
    standing: Standing,
    keys: keys::Standing,
    dane: Dane,
    promise: Promise,
    contexts: watch::Receiver<Arc<Contexts>>,
    history: History,
    alarms: watch::Receiver<AlarmSettings>,
    sandbox: Option<Hold>,
}

/// How it stands with certificates, keys and our promises, as those tell who keep them.
pub(super) type Standings = ((Standing, Dane), keys::Standing, Promise);

impl Reporter {
    pub(super) fn new(
        config: &Config,
        parts: &Parts,
        ((standing, dane), keys, promise): Standings,
        contexts: watch::Receiver<Arc<Contexts>>,
        (history, alarms): (History, watch::Receiver<AlarmSettings>),
        sandbox: Option<Hold>,
    ) -> Self {
        let started = UnixMillis(clock::unix_millis());
        let (queue, journal) = (parts.queue.clone(), parts.journal.clone());
        let (maildrop, tls) = (maildrop::place(config), parts.tls.clone());
        let (hostname, limits) = (config.hostname.clone(), config.queue.clone());
        Self {
            hostname,
            started,
            queue,
            limits,
            journal,
            maildrop,
            tls,
            standing,
            keys,
            dane,
            promise,
            contexts,
            history,
            alarms,
            sandbox,
        }
    }

    pub(super) fn status(&self) -> Status {
        let contexts = Arc::clone(&self.contexts.borrow());
        let smtp = &contexts.smtp;
        let refused = self.queue.check().err();
        let spool_failed = matches!(refused, Some(QueueError::Failed(_)));
        let refusing = if smtp.memory.is_reached() && !spool_failed {
            Some("the limit of memory is reached".to_owned())
        } else {
            refused.map(|error| error.to_string())
        };
        let settings = self.alarms.borrow().clone();
        let counts: Vec<CountStatus> = self.journal.counts().iter().map(counted).collect();
        let failed = counts.iter().filter(|count| count.name == FAILED_LOGINS).map(|count| count.count).sum();
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            hostname: self.hostname.clone(),
            started: self.started.to_string(),
            uptime: UnixMillis(clock::unix_millis()).since(self.started).as_secs(),
            refusing,
            spool_failed,
            troubles: Vec::new(),
            connections: vec![connections("smtp", &smtp.gate), connections("pop3", contexts.pop3.gate())],
            queue: QueueStatus {
                letters: self.queue.len(),
                letters_max: self.limits.letters_max,
                octets: self.queue.octets(),
                octets_max: self.limits.size_max.bytes(),
                suspensions: self.queue.suspensions().into_iter().map(SuspensionInfo::from).collect(),
                growing_for: self.history.growing_for(self.queue.len()),
            },
            maildrop: self.maildrop.as_deref().map(dropped),
            certificates: certificates(&self.tls),
            certificate_error: self.standing.last_error(),
            keys: self.keys.todo(),
            tlsa: self.dane.trouble(),
            policies: self.promise.troubles(),
            failing_filters: smtp.filters.health().failing().into_iter().map(failing).collect(),
            failing_lists: smtp.abuse.failing_lists().into_iter().map(|(zone, fault)| ListStatus { zone, fault }).collect(),
            greylist: greylist(&smtp.abuse),
            silent: self.silent(&settings),
            failed_logins: self.history.failed_logins(failed),
            disk: DiskStatus { free: self.queue.disk_free(), free_min: self.limits.disk_free_min.bytes() },
            memory: MemoryStatus { resident: memory::resident(), max: smtp.settings.memory_max.bytes() },
            sandbox: self
                .sandbox
                .as_ref()
                .map(|hold| SandboxStatus { is_on: !matches!(hold, Hold::Not(_)), words: hold.to_string() }),
            journal_lost: self.journal.lost(),
            counts,
        };
        status.troubles = posthouse_admin::troubles(&status, &settings);
        status
    }

    fn silent(&self, settings: &AlarmSettings) -> Vec<SilentStatus> {
        let now = clock::unix_millis();
        let time = u64::try_from(settings.destination_time.duration().as_millis()).unwrap_or(u64::MAX);
        let silent = self.queue.silent_sites(UnixMillis(now.saturating_sub(time)));
        let status = |SilentSite { name, since, why, letters }| SilentStatus {
            destination: name,
            since: since.to_string(),
            letters,
            reason: why.to_string(),
        };
        silent.into_iter().map(status).collect()
    }
}

fn counted(count: &Count) -> CountStatus {
    CountStatus { name: count.meter.name.to_owned(), value: count.value.to_owned(), count: count.count }
}

fn failing(FailingFilter { name, since, why }: FailingFilter) -> FilterStatus {
    FilterStatus { name, since: since.to_string(), why }
}

fn greylist(abuse: &Abuse) -> GreylistStatus {
    let (waiting, known) = abuse.greylisted();
    GreylistStatus { waiting, known }
}

fn dropped(folder: &Path) -> MaildropStatus {
    let (waiting, set_aside) = maildrop::count(folder);
    MaildropStatus { folder: folder.display().to_string(), waiting, set_aside }
}

fn connections(protocol: &str, gate: &Gate) -> ConnectionsStatus {
    let limits = gate.limits();
    ConnectionsStatus {
        protocol: protocol.to_owned(),
        open: gate.open(),
        max: limits.in_all,
        per_address_max: limits.per_address,
        per_network_max: limits.per_network,
        turned_away: gate.turned_away(),
    }
}

/// What is shown to clients, and whether somebody should look.
pub(super) fn certificates(tls: &ServerTls) -> Vec<CertificateStatus> {
    let now = i64::try_from(clock::unix_millis() / 1000).unwrap_or(i64::MAX);
    let all = tls.certificates().into_iter();
    all.map(|shown| CertificateStatus {
        is_late: posthouse_acme::is_late(shown.not_before, shown.not_after, now),
        names: shown.names,
        expires: shown.expires,
    })
    .collect()
}
