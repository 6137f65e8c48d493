//! Guessing made hopeless.
//!
//! Each wrong password fills buckets: of the address it came from, of that address's network, of the account that was meant; an unknown login
//! has one like any other, so that the answers tell nothing. While a bucket is full no further try is looked at, the right one neither. Where
//! somebody has logged in to the account before only the tries of this very address on this very account count: so an attack on an account
//! does not lock its owner out, and neither does a guesser behind the same router.
//!
//! The state is in `logins.sqlite` beside the directory, and outlives restarts. It holds no password. If it cannot be read or written
//! log-ins go on without it, and the log says so: a full disk must not keep the operator's people out.

mod level;
mod settings;
mod store;
mod subject;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use posthouse_mail::UnixMillis;
use posthouse_runtime::{clock, random, task};
use posthouse_sasl::Password;

use self::level::Level;
use self::store::Store;
use self::subject::Subjects;
use crate::error::DirectoryError;
use crate::protocol::Protocol;

pub use settings::{CertificateLogin, Settings as LoginSettings};
pub use subject::{Kind as SubjectKind, Subject};

/// What the same wrong password costs when it comes again: a device that was forgotten when the password was changed does not guess.
const REPEATED_COST: f64 = 0.05;
/// The wrong passwords that are recognised when they come again.
const WRONG_REMEMBERED_MAX: usize = 4_096;
/// How often it is written down that a known place is still in use.
const KNOWN_RENEWED: Duration = Duration::from_hours(12);
/// How often it is written down that an app password is in use at the same place.
const USE_RENEWED: Duration = Duration::from_secs(60);
/// The subjects that a list shows.
const LIST_MAX: usize = 10_000;

/// What keeps guessers out. A clone is another handle to the same.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    store: Store,
    settings: RwLock<Arc<LoginSettings>>,
    /// Tries that have not ended, where they must not be more than fit in.
    pending: Mutex<HashMap<Subject, u32>>,
    /// The key of the digests below: of this process alone.
    secret: [u8; 64],
    /// Digests of login and wrong password, the oldest first.
    wrong: Mutex<VecDeque<[u8; 32]>>,
}

/// When and where an app password was last used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// When; to the minute.
    pub at: UnixMillis,
    /// From which address.
    pub peer: String,
    /// For what.
    pub protocol: String,
}

/// A try that is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slowed {
    /// Whose bucket is full.
    pub subject: Subject,
    /// How long until the next try.
    pub wait: Duration,
}

/// A bucket that is full.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowedSubject {
    /// Whose.
    pub subject: Subject,
    /// What went wrong of late: each failure, less what time has forgiven.
    pub failures: f64,
    /// When the last try failed.
    pub last: UnixMillis,
    /// How long until the next try.
    pub wait: Duration,
}

/// A try that may be looked at. Dropped without an end it counts for nothing.
pub(crate) struct Ticket {
    guard: Guard,
    subjects: Subjects,
    /// When the place was last seen, if it is known.
    known: Option<UnixMillis>,
    at_gateway: bool,
    settings: Arc<LoginSettings>,
    /// The subject whose pending tries this is one of.
    pending: Subject,
}

impl Guard {
    pub(crate) fn open(path: &Path) -> Result<Self, DirectoryError> {
        let mut secret = [0; 64];
        random::fill(&mut secret);
        Ok(Self(Arc::new(Inner {
            store: Store::open(path)?,
            settings: RwLock::default(),
            pending: Mutex::default(),
            secret,
            wrong: Mutex::default(),
        })))
    }

    /// Takes the operator's limits; until then the defaults hold.
    pub(crate) fn configure(&self, settings: LoginSettings) {
        *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// The buckets that are full now.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn slowed(&self) -> Result<Vec<SlowedSubject>, DirectoryError> {
        self.slowed_at(now())
    }

    /// Empties the buckets of a login, an address or a network; all of them for `None`. Says how many there were.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn clear(&self, subject: Option<String>) -> Result<usize, DirectoryError> {
        let guard = self.clone();
        task::blocking(move || guard.0.store.clear(subject.as_deref())).await
    }

    /// The account that a certificate was configured for.
    pub(crate) fn account_of(&self, fingerprint: &str) -> Option<String> {
        let settings = self.settings();
        let configured = settings.certificate.iter().find(|one| one.digest().as_deref() == Some(fingerprint))?;
        Some(configured.account.clone())
    }

    pub(crate) fn admit(&self, login: &str, peer: IpAddr) -> Result<Ticket, Slowed> {
        self.admit_at(login, peer, now())
    }

    pub(crate) fn last_use(&self, password: i64) -> Result<Option<LastUse>, DirectoryError> {
        self.0.store.last_use(password)
    }

    /// An app password was used.
    pub(crate) async fn used(&self, password: i64, protocol: Protocol, peer: IpAddr) {
        let last = LastUse { at: now(), peer: peer.to_canonical().to_string(), protocol: protocol.to_string() };
        let is_news = |before: LastUse| {
            last.at.since(before.at) >= USE_RENEWED || (&before.peer, &before.protocol) != (&last.peer, &last.protocol)
        };
        if told(self.last_use(password)).flatten().is_none_or(is_news) {
            let guard = self.clone();
            task::blocking(move || told(guard.0.store.used(password, &last))).await;
        }
    }

    fn slowed_at(&self, now: UnixMillis) -> Result<Vec<SlowedSubject>, DirectoryError> {
        let settings = self.settings();
        let found = self.0.store.list(now, LIST_MAX)?;
        let full = found.into_iter().filter_map(|(subject, level)| {
            let limit = limit(&settings, subject.kind);
            let wait = level.wait(now, limit, 0)?;
            Some(SlowedSubject { failures: level.now(now, limit), last: level.at, wait, subject })
        });
        Ok(full.collect())
    }

    fn admit_at(&self, login: &str, peer: IpAddr, now: UnixMillis) -> Result<Ticket, Slowed> {
        let settings = self.settings();
        let subjects = Subjects::of(login, peer);
        let at_gateway = settings.gateways.iter().any(|network| network.contains(peer));
        let since = UnixMillis(now.0.saturating_sub(u64::try_from(settings.known_for.0.as_millis()).unwrap_or(u64::MAX)));
        let known = told(self.0.store.known(&subjects.place, since)).flatten();
        let pending = if known.is_some() { &subjects.place } else { &subjects.account };
        let looked_at: &[&Subject] = match (known, at_gateway) {
            (Some(_), _) => &[&subjects.place],
            (None, true) => &[&subjects.account],
            (None, false) => &[&subjects.address, &subjects.network, &subjects.account],
        };
        let mut tries = self.0.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for &subject in looked_at {
            let level = told(self.0.store.level(subject)).unwrap_or_default();
            // Those of an address may overlap: what they overrun they pay back.
            let others = if subject == pending { tries.get(subject).copied().unwrap_or(0) } else { 0 };
            if let Some(wait) = level.wait(now, limit(&settings, subject.kind), others) {
                return Err(Slowed { subject: subject.clone(), wait });
            }
        }
        *tries.entry(pending.clone()).or_default() += 1;
        let pending = pending.clone();
        drop(tries);
        Ok(Ticket { guard: self.clone(), subjects, known, at_gateway, settings, pending })
    }

    pub(crate) fn settings(&self) -> Arc<LoginSettings> {
        Arc::clone(&self.0.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the same wrong password has come before.
    fn is_repeated(&self, account: &str, password: &Password) -> bool {
        let mut mac = Hmac::<Sha256>::new((&self.0.secret).into());
        for field in [account.as_bytes(), &[0], password.reveal().as_bytes()] {
            mac.update(field);
        }
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut wrong = self.0.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.contains(&digest) {
            return true;
        }
        if wrong.len() >= WRONG_REMEMBERED_MAX {
            wrong.pop_front();
        }
        wrong.push_back(digest);
        false
    }

    fn charge(&self, charges: &[(Subject, u32)], cost: f64, now: UnixMillis) {
        let Some(levels) = told(self.0.store.charge(charges, cost, now)) else { return };
        for ((subject, limit), (before, after)) in charges.iter().zip(levels) {
            let is_full = |level: Level| level.wait(now, *limit, 0).is_some();
            if is_full(after) && !is_full(before) {
                tracing::warn!(
                    kind = subject.kind.name(),
                    %subject,
                    limit,
                    "too many wrong passwords: log-ins are slowed down (`posthouse logins list` shows all)"
                );
            }
        }
    }
}

impl Ticket {
    /// Whether somebody has logged in to this account from there before.
    pub(crate) fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// The password was wrong, or there is no such login. The password is told where it was seen.
    pub(crate) async fn failed(self, password: Option<&Password>) {
        self.failed_at(password, now()).await;
    }

    /// The login was right.
    pub(crate) async fn succeeded(self) {
        self.succeeded_at(now()).await;
    }

    async fn failed_at(self, password: Option<&Password>, now: UnixMillis) {
        let repeated = password.is_some_and(|password| self.guard.is_repeated(&self.subjects.account.account, password));
        let cost = if repeated { REPEATED_COST } else { 1.0 };
        let Subjects { address, network, account, place } = self.subjects.clone();
        let mut subjects = if self.at_gateway { Vec::new() } else { vec![address, network] };
        subjects.push(if self.is_known() { place } else { account });
        let charges = subjects.into_iter().map(|subject| {
            let limit = limit(&self.settings, subject.kind);
            (subject, limit)
        });
        let charges: Vec<_> = charges.filter(|(_, limit)| *limit > 0).collect();
        // The ticket goes along: until the failure is written down the try counts as one under way.
        task::blocking(move || self.guard.charge(&charges, cost, now)).await;
    }

    async fn succeeded_at(self, now: UnixMillis) {
        if self.known.is_some_and(|last| now.since(last) < KNOWN_RENEWED) {
            return;
        }
        task::blocking(move || told(self.guard.0.store.remember(&self.subjects.place, now))).await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut tries = self.guard.0.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = tries.get_mut(&self.pending) {
            *count -= 1;
            if *count == 0 {
                tries.remove(&self.pending);
            }
        }
    }
}

/// As a refusal says it: the same for everybody, and not more exact than a person needs.
impl fmt::Display for Slowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.wait.as_secs().div_ceil(60).max(1);
        if minutes < 120 {
            write!(f, "too many wrong passwords, try again in {minutes} min")
        } else {
            write!(f, "too many wrong passwords, try again in {} h", minutes.div_ceil(60))
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

fn limit(settings: &LoginSettings, kind: SubjectKind) -> u32 {
    match kind {
        SubjectKind::Address | SubjectKind::Place => settings.wrong_per_address,
        SubjectKind::Network => settings.wrong_per_network,
        SubjectKind::Account => settings.wrong_per_account,
    }
}

/// What the storage cannot say is not held against anybody.
fn told<T>(answer: Result<T, DirectoryError>) -> Option<T> {
    answer.map_err(|error| tracing::error!(%error, "log-ins are not guarded against guessing")).ok()
}

fn now() -> UnixMillis {
    UnixMillis(clock::unix_millis())
}

#[cfg(test)]
mod tests;
