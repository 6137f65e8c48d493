//! The MTA-STS policies of other domains: found, kept, and kept fresh (RFC 8461 §3, §5.1, §10.2).
//!
//! The states of a domain are few. Unknown: the DNS is asked, and what it announces is fetched. Known and its time not over: it holds, whatever the
//! DNS and the host say, unless they say something newer. A fetch that failed is not repeated before a while has passed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use posthouse_dns::{DnsError, Resolver};
use posthouse_http::Client;
use posthouse_mail::{Domain, UnixMillis};
use posthouse_mailauth::mta_sts::{self, Asked, Policy, RECORD_LABEL, Record};
use posthouse_mailauth::tls_rpt::{AppliedPolicy, Failure, Ledger, PolicyType, ResultType, Session};
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::sync::AsyncMutex;
use posthouse_runtime::{clock, random, select};

use crate::error::TransitError;
use crate::fetch::{self, FetchError};
use crate::settings::Settings;
use crate::store::Store;

/// The policies that are kept; of more, those that were not needed for the longest time are let go.
const POLICIES_MAX: usize = 20_000;
/// The domains whose failed fetches are remembered.
const FAILURES_MAX: usize = 10_000;
/// How long a failed fetch is not repeated (§3.3: a sender limits its attempts), doubled each time up to a day.
const BACK_OFF_MIN: Duration = Duration::from_mins(5);
const BACK_OFF_MAX: Duration = Duration::from_hours(24);
/// A policy that holds for no time at all is not fetched for every letter.
const REPEAT_MIN: Duration = Duration::from_mins(1);
/// How often policies are looked through for those to fetch again.
const FRESHEN_EVERY: Duration = Duration::from_hours(1);
/// A policy is fetched again when it is so old, or half of its time is over.
const FRESH_FOR: Duration = Duration::from_hours(24);
/// A policy that was not needed for so long is not fetched again.
const NEEDED_FOR: Duration = Duration::from_hours(30 * 24);
/// The fetches of one look through.
const FRESHEN_MAX: usize = 500;

/// The policies of other domains. Clones share them.
#[derive(Clone)]
pub struct Policies(Arc<Inner>);

struct Inner {
    resolver: Resolver,
    client: Client,
    settings: Settings,
    store: Store,
    ledger: Arc<dyn Ledger>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<Domain, Arc<Known>>,
    failures: HashMap<Domain, Setback>,
    /// One fetch for each domain at a time; the others wait for its end.
    fetching: HashMap<Domain, Arc<AsyncMutex<()>>>,
}

/// A policy that was fetched.
#[derive(Debug)]
pub struct Known {
    /// The policy.
    pub policy: Arc<Policy>,
    /// The `id` of the TXT record under which it was fetched.
    pub id: String,
    /// When.
    pub fetched: UnixMillis,
    /// When it was last needed.
    used: AtomicU64,
}

/// What is known of a domain's policy now.
#[derive(Debug, Clone, Default)]
pub struct Lookup {
    /// The policy that holds. None: the domain has none, or none that can be had.
    pub known: Option<Arc<Known>>,
    /// Why the one that the DNS announces cannot be had.
    pub trouble: Option<FetchError>,
}

/// A fetch that failed.
#[derive(Debug, Clone)]
struct Setback {
    error: FetchError,
    times: u32,
    until: UnixMillis,
}

impl Policies {
    /// Reads what the file holds. Policies that cannot be had are noted in `ledger`.
    ///
    /// # Errors
    /// [`TransitError`].
    pub fn open(
        store: &Store,
        resolver: Resolver,
        client: Client,
        settings: &Settings,
        ledger: Arc<dyn Ledger>,
    ) -> Result<Self, TransitError> {
        let store = store.clone();
        let known = store.policies()?.into_iter().map(|(domain, known)| (domain, Arc::new(known))).collect();
        let state = Mutex::new(State { known, ..State::default() });
        Ok(Self(Arc::new(Inner { resolver, client, settings: settings.clone(), store, ledger, state })))
    }

    /// The policy for letters to recipients at `domain`. It never fails: a policy that cannot be had is none (§3.1, §3.3), and one that is known
    /// holds until its time is over (§5.1).
    pub async fn lookup(&self, domain: &Domain) -> Lookup {
        // An address literal has no names below it.
        if !self.0.settings.obey || domain.literal().is_some() {
            return Lookup::default();
        }
        let known = self.known(domain);
        if let Some(known) = &known {
            known.used.store(now().0, Ordering::Relaxed);
        }
        let Some(record) = self.record(domain).await else { return Lookup { known, trouble: None } };
        match known {
            Some(known) if known.id == record.id() => Lookup { known: Some(known), trouble: None },
            Some(_) | None => self.renewed(domain, &record).await,
        }
    }

    /// Fetches policies again before their time is over, until `shutdown`: one that is only looked for when it is needed could be withheld in the very
    /// moment in which it ends (§10.2).
    pub async fn keep_fresh(self, shutdown: Shutdown) {
        loop {
            select! {
                () = clock::sleep(random::jitter(FRESHEN_EVERY, 0.1)) => {}
                () = shutdown.requested() => return,
            }
            select! {
                () = self.freshen() => {}
                () = shutdown.requested() => return,
            }
        }
    }

    /// Looks through the policies once.
    pub async fn freshen(&self) {
        let now = now();
        let (over, due) = {
            let mut state = self.state();
            let over: Vec<Domain> = domains(&state, |known| known.is_over(now));
            for domain in &over {
                state.known.remove(domain);
            }
            let mut due = domains(&state, |known| known.is_due(now));
            due.truncate(FRESHEN_MAX);
            (over, due)
        };
        if !over.is_empty() {
            self.told(self.0.store.remove(over).await);
        }
        for domain in due {
            if let Some(record) = self.record(&domain).await {
                self.fetch(&domain, &record, |known| !known.is_due(now)).await;
            }
        }
    }

    /// What the DNS announces. Trouble, several records and malformed ones announce nothing (§3.1).
    async fn record(&self, domain: &Domain) -> Option<Record> {
        let name = format!("{RECORD_LABEL}.{domain}").parse().ok()?;
        match self.0.resolver.txt(&name).await {
            Ok(answer) => Record::read(&answer.value).unwrap_or_else(|error| {
                tracing::debug!(%domain, %error, "the domain's policy is passed over");
                None
            }),
            Err(DnsError::NoData | DnsError::NoSuchDomain | DnsError::Temporary(_)) => None,
        }
    }

    /// The policy that the record announces, else the one that was known before.
    async fn renewed(&self, domain: &Domain, record: &Record) -> Lookup {
        let trouble = self.fetch(domain, record, |known| known.id == record.id()).await;
        Lookup { known: self.known(domain), trouble }
    }

    /// Fetches the policy unless, when it is our turn, the one that is known will do, or a fetch failed a short while ago.
    async fn fetch(&self, domain: &Domain, record: &Record, will_do: impl Fn(&Known) -> bool) -> Option<FetchError> {
        let gate = Arc::clone(self.state().fetching.entry(domain.clone()).or_default());
        let turn = gate.lock().await;
        let trouble = self.fetch_in_turn(domain, record, will_do).await;
        drop(turn);
        let mut state = self.state();
        // The map and we: nobody else waits.
        if Arc::strong_count(&gate) == 2 {
            state.fetching.remove(domain);
        }
        trouble
    }

    async fn fetch_in_turn(&self, domain: &Domain, record: &Record, will_do: impl Fn(&Known) -> bool) -> Option<FetchError> {
        if self.known(domain).is_some_and(|known| will_do(&known)) || self.state().is_repeated(domain, record) {
            return None;
        }
        if let Some(failure) = self.state().failures.get(domain).filter(|failure| failure.until > now()) {
            return Some(failure.error.clone());
        }
        match fetch::policy(&self.0.client, domain, self.0.settings.port).await {
            Ok(policy) => {
                self.keep(domain, policy, record).await;
                None
            }
            Err(error) => {
                tracing::warn!(%domain, %error, "the domain's MTA-STS policy cannot be had");
                self.state().failed(domain, &error);
                Some(error)
            }
        }
    }

    async fn keep(&self, domain: &Domain, policy: Policy, record: &Record) {
        let used = self.known(domain).map_or_else(now, |known| known.used());
        let known = Arc::new(Known::new(policy, record.id().to_owned(), now(), used));
        tracing::info!(%domain, mode = %known.policy.mode, id = known.id, "an MTA-STS policy is known");
        let gone = {
            let mut state = self.state();
            state.failures.remove(domain);
            state.known.insert(domain.clone(), Arc::clone(&known));
            state.let_go()
        };
        self.told(self.0.store.put(domain, &known).await);
        if let Some(gone) = gone {
            self.told(self.0.store.remove(vec![gone]).await);
        }
    }

    /// The policy that is known and whose time is not over.
    fn known(&self, domain: &Domain) -> Option<Arc<Known>> {
        self.state().known.get(domain).filter(|known| !known.is_over(now())).map(Arc::clone)
    }

    fn told(&self, stored: Result<(), TransitError>) {
        if let Err(error) = stored {
            tracing::error!(%error, "TLS policies of other domains are known only until the next restart");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_repeated(&self, domain: &Domain, record: &Record) -> bool {
        self.known.get(domain).is_some_and(|known| known.id == record.id() && now().since(known.fetched) < REPEAT_MIN)
    }

    fn failed(&mut self, domain: &Domain, error: &FetchError) {
        let times = self.failures.get(domain).map_or(0, |failure| failure.times);
        let pause = BACK_OFF_MIN.saturating_mul(1 << times.min(10)).min(BACK_OFF_MAX);
        let until = now().plus(random::jitter(pause, 0.1));
        if self.failures.len() >= FAILURES_MAX {
            self.failures.retain(|_, failure| failure.until > now());
        }
        // Every domain of a flood fails anew, which costs a fetch and no memory.
        if self.failures.len() < FAILURES_MAX {
            self.failures.insert(domain.clone(), Setback { error: error.clone(), times: times.saturating_add(1), until });
        }
    }

    /// Lets one policy go when there are too many.
    fn let_go(&mut self) -> Option<Domain> {
        if self.known.len() <= POLICIES_MAX {
            return None;
        }
        let oldest = self.known.iter().min_by_key(|(_, known)| known.used()).map(|(domain, _)| domain.clone())?;
        self.known.remove(&oldest);
        Some(oldest)
    }
}

impl Known {
    pub(crate) fn new(policy: Policy, id: String, fetched: UnixMillis, used: UnixMillis) -> Self {
        Self { policy: Arc::new(policy), id, fetched, used: AtomicU64::new(used.0) }
    }

    /// When it was last needed.
    pub(crate) fn used(&self) -> UnixMillis {
        UnixMillis(self.used.load(Ordering::Relaxed))
    }

    /// Until when it holds.
    #[must_use]
    pub fn until(&self) -> UnixMillis {
        self.fetched.plus(self.policy.max_age)
    }

    fn is_over(&self, now: UnixMillis) -> bool {
        // A policy from the future: the clock was set back, and nobody knows how old it is.
        self.until() <= now || self.fetched > now
    }

    fn is_due(&self, now: UnixMillis) -> bool {
        let is_needed = now.since(self.used()) < NEEDED_FOR;
        is_needed && now.since(self.fetched) >= FRESH_FOR.min(self.policy.max_age / 2)
    }
}

/// For delivery: what holds, or nothing.
impl mta_sts::Policies for Policies {
    fn policy<'a>(&'a self, domain: &'a Domain) -> Asked<'a> {
        Box::pin(async move {
            let Lookup { known, trouble } = self.lookup(domain).await;
            let policy = known.map(|known| Arc::clone(&known.policy));
            if let Some(error) = trouble {
                self.0.ledger.note(failed(domain, policy.as_deref(), &error));
            }
            policy
        })
    }
}

/// What a report says of a policy that cannot be had (RFC 8460 §4.3.2.2).
fn failed(domain: &Domain, policy: Option<&Policy>, error: &FetchError) -> Session {
    let kind = match error {
        FetchError::Certificate(_) => ResultType::StsWebpkiInvalid,
        FetchError::Fetch(_) => ResultType::StsPolicyFetchError,
        FetchError::Invalid(_) => ResultType::StsPolicyInvalid,
    };
    let unknown = AppliedPolicy { policy_type: PolicyType::Sts, ..AppliedPolicy::none(domain) };
    let policy = policy.map_or(unknown, |policy| AppliedPolicy::sts(domain, policy));
    let failure = Failure {
        result_type: kind.to_string(),
        sending_mta_ip: None,
        receiving_mx_hostname: None,
        receiving_ip: None,
        failure_reason_code: Some(error.to_string()),
    };
    Session { policy, failure: Some(failure) }
}

fn domains(state: &State, wanted: impl Fn(&Known) -> bool) -> Vec<Domain> {
    state.known.iter().filter(|(_, known)| wanted(known)).map(|(domain, _)| domain.clone()).collect()
}

fn now() -> UnixMillis {
    UnixMillis(clock::unix_millis())
}

#[cfg(test)]
mod tests;
