//! The TLSA records of our mail host (DANE), kept in the DNS where the operator wants that, and watched everywhere.
//!
//! The order is that of RFC 7671 §8.1: the record of a key is known everywhere before its certificate is shown, and one that nobody needs any more stays until
//! everybody has forgotten it. Which records are ours is in `tlsa.json`, written before the DNS is changed: after a crash a record is put there once
//! more, which does no harm, and none of ours is forgotten there. What others have put at the name stays.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthouse_acme::NextKey;
use posthouse_dns::{Change, Data, DnsError, Kind, Name, Record, Resolver, Tlsa, Updates};
use posthouse_mail::UnixMillis;
use posthouse_mailauth::dane;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::tls::{PublicKey, fresh_key};
use posthouse_runtime::{clock, random, select, snapshot, task};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::parts::acme_store;
use super::server::hostname;
use crate::config::Config;
use crate::tlsa::{Keys, owner};

/// Where it is kept which records are ours, in the data directory.
const FILE: &str = "tlsa.json";
/// How often it is looked; more often where changes are known sooner.
const LOOK_EVERY: Duration = Duration::from_mins(10);
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);

/// Keeps the records.
#[derive(Clone)]
pub(super) struct Dane {
    config: Arc<Mutex<Config>>,
    resolver: Resolver,
    updates: Updates,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    ours: Vec<Ours>,
    /// What is wrong now.
    misfit: Option<String>,
    /// Why the last change was not made.
    error: Option<String>,
}

/// A record that we put into the DNS, or are about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ours {
    usage: u8,
    selector: u8,
    matching: u8,
    data: Vec<u8>,
    /// Since when it is there, in milliseconds since 1970; `None` when that is not certain.
    at: Option<u64>,
    /// Since when nobody needs it.
    unwanted: Option<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Add(Tlsa),
    Remove(Tlsa),
}

impl Dane {
    pub(super) fn new(config: &Arc<Mutex<Config>>, resolver: &Resolver, updates: Updates) -> Self {
        let path = lock(config).data.join(FILE);
        let state = Arc::new(Mutex::new(State { ours: read(&path), ..State::default() }));
        Self { config: Arc::clone(config), resolver: Arc::clone(resolver), updates, state }
    }

    /// What is wrong with the records, for people; `None`: nothing, as it was last looked at.
    pub(super) fn trouble(&self) -> Option<String> {
        let state = lock(&self.state);
        let error = state.error.as_ref().map(|why| format!("the TLSA records are not as they should be: {why}"));
        state.misfit.clone().or(error)
    }

    /// Looks, until `shutdown`.
    pub(super) async fn run(self, shutdown: Shutdown) {
        loop {
            let every = select! {
                every = self.look() => every,
                () = shutdown.requested() => return,
            };
            select! {
                () = clock::sleep(random::jitter(every, 0.1)) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    /// Which key the next certificate of the authority has: one whose record is known, where records are kept.
    pub(super) fn next_key(&self) -> NextKey {
        let config = lock(&self.config).clone();
        let reuse_key = config.tls.acme.as_ref().is_none_or(|acme| acme.reuse_key);
        let store = acme_store(&config);
        let kept = store.pem();
        if !config.tls.publish_tlsa {
            return kept.filter(|_| reuse_key).map_or(NextKey::Fresh, NextKey::Kept);
        }
        if let Some(kept) = kept.as_ref().filter(|_| reuse_key) {
            return NextKey::Kept(kept.clone());
        }
        let ours = lock(&self.state).ours.clone();
        // Nobody is held to anything yet.
        if kept.is_none() && ours.is_empty() {
            return NextKey::Fresh;
        }
        let known_in = self.known_in(&config);
        let next = PublicKey::of_private_key(&store.next_key_path()).ok().map(|key| dane::record_of_host(&key.spki));
        let is_known = next.is_some_and(|next| ours.iter().any(|one| one.is(&next) && one.is_known(now(), known_in)));
        match (store.next_key().filter(|_| is_known), kept) {
            (Some(next), _) => NextKey::Kept(next),
            // Better the old key once more than one that nobody knows.
            (None, Some(kept)) => NextKey::Kept(kept),
            (None, None) => NextKey::Later(known_in.max(LOOK_EVERY_MIN)),
        }
    }

    fn known_in(&self, config: &Config) -> Duration {
        let name = hostname(config).ok().and_then(|host| owner(&host).parse::<Name>().ok());
        name.map_or(Duration::ZERO, |name| self.updates.known_in(&name))
    }

    /// Looks once; gives how long it may rest.
    async fn look(&self) -> Duration {
        let config = lock(&self.config).clone();
        let Ok(host) = hostname(&config) else { return LOOK_EVERY };
        let Ok(name) = owner(&host).parse::<Name>() else { return LOOK_EVERY };
        if config.tls.publish_tlsa {
            self.make_next_key(&config);
        }
        let keys = match Keys::read(&config, &host) {
            Ok(keys) => keys,
            Err(error) => {
                warn!(%error, "what the DNS should say of the certificate is not known");
                return LOOK_EVERY;
            }
        };
        let published = published(&self.resolver, &name).await;
        // What cannot be told now says nothing of what was wrong before.
        if let Some(published) = &published {
            lock(&self.state).misfit = keys.misfit(published);
        }
        if !config.tls.publish_tlsa {
            return LOOK_EVERY;
        }
        let known_in = self.updates.known_in(&name);
        let awaits_first = config.tls.acme.is_some() && acme_store(&config).certificate().is_none();
        let mut ours = lock(&self.state).ours.clone();
        let wanted = wanted(keys, awaits_first && ours.is_empty());
        let before = ours.clone();
        let steps = plan(&mut ours, &wanted, published.as_deref(), now(), known_in);
        let path = config.data.join(FILE);
        // What is ours is known before it is there.
        if (before == ours && steps.is_empty()) || self.keep(&path, ours).await {
            self.take(&path, &name, steps).await;
        }
        (known_in / 4).clamp(LOOK_EVERY_MIN, LOOK_EVERY)
    }

    async fn take(&self, path: &Path, name: &Name, steps: Vec<Step>) {
        let mut error = None;
        for step in steps {
            let (tlsa, change) = match &step {
                Step::Add(tlsa) => (tlsa, Change::Add { name: name.clone(), data: Data::Tlsa(tlsa.clone()) }),
                Step::Remove(tlsa) => (tlsa, Change::Remove { name: name.clone(), data: Data::Tlsa(tlsa.clone()) }),
            };
            let record = Record::Tlsa(tlsa.clone());
            if let Err(why) = self.updates.change(change).await {
                warn!(%name, %record, %why, "a TLSA record cannot be changed; it is tried again");
                error = Some(why.to_string());
                continue;
            }
            let mut ours = lock(&self.state).ours.clone();
            if matches!(step, Step::Add(_)) {
                info!(%name, %record, "a TLSA record is in the DNS");
                ours.iter_mut().filter(|one| one.is(tlsa)).for_each(|one| one.at = Some(now().0));
            } else {
                info!(%name, %record, "a TLSA record that nobody needs any more is taken out of the DNS");
                ours.retain(|one| !one.is(tlsa));
            }
            self.keep(path, ours).await;
        }
        lock(&self.state).error = error;
    }

    /// The key of the certificate after this one, where each has its own, or where the first is awaited and others hold us to another.
    fn make_next_key(&self, config: &Config) {
        let Some(acme) = &config.tls.acme else { return };
        let store = acme_store(config);
        let is_first = store.certificate().is_none();
        if is_first && lock(&self.state).ours.is_empty() || !is_first && acme.reuse_key {
            return;
        }
        let shown = PublicKey::of_certificate(&store.files().cert).ok().map(|key| key.spki);
        let next = PublicKey::of_private_key(&store.next_key_path()).ok().map(|key| key.spki);
        if next.is_some() && next != shown {
            return;
        }
        let made = fresh_key().map_err(|error| error.to_string());
        match made.and_then(|pem| store.put_next_key(&pem).map_err(|error| error.to_string())) {
            Ok(()) => info!("a key for the next certificate was made; it is used when its TLSA record is known everywhere"),
            Err(error) => error!(error, "no key for the next certificate can be made"),
        }
    }

    async fn keep(&self, path: &Path, ours: Vec<Ours>) -> bool {
        let octets = serde_json::to_vec(&ours).unwrap_or_default();
        let place = path.to_owned();
        let written = task::blocking(move || snapshot::write(&place, &octets)).await;
        if let Err(error) = &written {
            error!(file = %path.display(), %error, "it cannot be kept which TLSA records are ours; they are left as they are");
            return false;
        }
        lock(&self.state).ours = ours;
        true
    }
}

impl Ours {
    fn of(tlsa: &Tlsa) -> Self {
        let Tlsa { usage, selector, matching, data } = tlsa.clone();
        Self { usage, selector, matching, data, at: None, unwanted: None }
    }

    fn tlsa(&self) -> Tlsa {
        Tlsa { usage: self.usage, selector: self.selector, matching: self.matching, data: self.data.clone() }
    }

    fn is(&self, tlsa: &Tlsa) -> bool {
        self.tlsa() == *tlsa
    }

    fn is_known(&self, now: UnixMillis, known_in: Duration) -> bool {
        self.at.is_some_and(|at| now.since(UnixMillis(at)) >= known_in)
    }
}

/// Before the first certificate of an authority, and as long as nobody is held to another, nothing is published.
fn wanted(keys: Keys, awaits_first: bool) -> Vec<Tlsa> {
    let (shown, next) = keys.into_pair();
    if awaits_first { Vec::new() } else { shown.into_iter().chain(next).collect() }
}

/// What is to be done with the DNS; what is ours then is in `ours`.
fn plan(ours: &mut Vec<Ours>, wanted: &[Tlsa], published: Option<&[Tlsa]>, now: UnixMillis, known_in: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    for tlsa in wanted {
        if !ours.iter().any(|one| one.is(tlsa)) {
            ours.push(Ours::of(tlsa));
        }
        for one in ours.iter_mut().filter(|one| one.is(tlsa)) {
            one.unwanted = None;
            // Somebody took it out: what resolvers kept from before is over by now.
            if one.is_known(now, known_in) && published.is_some_and(|published| !published.contains(tlsa)) {
                one.at = None;
            }
            if one.at.is_none() {
                steps.push(Step::Add(tlsa.clone()));
            }
        }
    }
    // As long as none of those that are needed is known everywhere, none goes.
    let is_known = ours.iter().any(|one| one.is_known(now, known_in) && wanted.iter().any(|tlsa| one.is(tlsa)));
    for one in ours.iter_mut().filter(|one| !wanted.iter().any(|tlsa| one.is(tlsa))) {
        let since = *one.unwanted.get_or_insert(now.0);
        if is_known && now.since(UnixMillis(since)) >= known_in {
            steps.push(Step::Remove(one.tlsa()));
        }
    }
    steps
}

/// The records that stand there; `None`: nobody can tell now.
async fn published(resolver: &Resolver, name: &Name) -> Option<Vec<Tlsa>> {
    match resolver.records(name, Kind::Tlsa).await {
        Ok(answer) => {
            let tlsa = |record| if let Record::Tlsa(tlsa) = record { Some(tlsa) } else { None };
            Some(answer.value.into_iter().filter_map(tlsa).collect())
        }
        Err(DnsError::NoData | DnsError::NoSuchDomain) => Some(Vec::new()),
        Err(DnsError::Temporary(_)) => None,
    }
}

fn read(path: &Path) -> Vec<Ours> {
    let kept = match snapshot::read(path) {
        Ok(Some(octets)) => serde_json::from_slice(&octets).map_err(|error| error.to_string()),
        Ok(None) => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    };
    kept.unwrap_or_else(|error| {
        warn!(file = %path.display(), error, "which TLSA records are ours is not known; old ones stay in the DNS");
        Vec::new()
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> UnixMillis {
    UnixMillis(clock::unix_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const NOW: UnixMillis = UnixMillis(1_795_500_000_000);

    fn tlsa(octet: u8) -> Tlsa {
        Tlsa { usage: 3, selector: 1, matching: 1, data: vec![octet; 32] }
    }

    fn there(octet: u8, hours: u32) -> Ours {
        Ours { at: Some(NOW.0 - u64::from(hours) * 3_600_000), ..Ours::of(&tlsa(octet)) }
    }

    /// What is to be done now.
    fn steps(ours: &mut Vec<Ours>, wanted: &[u8], published: Option<&[u8]>) -> Vec<Step> {
        let all = |octets: &[u8]| octets.iter().map(|&octet| tlsa(octet)).collect::<Vec<_>>();
        plan(ours, &all(wanted), published.map(all).as_deref(), NOW, HOUR)
    }

    #[test]
    fn a_record_is_put_there_until_it_is_certain_and_again_when_somebody_took_it() {
        let mut ours = Vec::new();
        for published in [None, Some([].as_slice()), Some(&[1])] {
            assert_eq!(steps(&mut ours, &[1], published), [Step::Add(tlsa(1))]);
        }
        assert_eq!(ours, [Ours::of(&tlsa(1))]);
        for (hours, published, expected) in [
            (0, Some([].as_slice()), vec![]),
            (1, Some(&[1]), vec![]),
            (1, None, vec![]),
            (1, Some(&[9]), vec![Step::Add(tlsa(1))]),
        ] {
            assert_eq!(steps(&mut vec![there(1, hours)], &[1], published), expected, "{hours} {published:?}");
        }
    }

    #[test]
    fn an_old_record_goes_when_the_new_one_is_known_and_nobody_keeps_the_old() {
        let unwanted = |hours: u64, one: Ours| Ours { unwanted: Some(NOW.0 - hours * 3_600_000), ..one };
        // The key was changed at this moment.
        let mut ours = vec![there(1, 9), there(2, 9)];
        assert_eq!(steps(&mut ours, &[2], None), []);
        assert_eq!(ours, [unwanted(0, there(1, 9)), there(2, 9)]);
        let gone = [Step::Remove(tlsa(1))];
        assert_eq!(steps(&mut vec![unwanted(1, there(1, 9)), there(2, 9)], &[2], None), gone);
        assert_eq!(steps(&mut vec![unwanted(9, there(1, 9)), there(2, 0)], &[2], None), [], "the new one is not known yet");
        assert_eq!(steps(&mut vec![unwanted(9, there(1, 9))], &[], None), [], "what is needed is not known");
        // It is needed again.
        let mut ours = vec![unwanted(9, there(1, 9))];
        assert_eq!(steps(&mut ours, &[1], None), []);
        assert_eq!(ours, [there(1, 9)]);
        // What others put there is theirs.
        assert_eq!(steps(&mut vec![there(2, 9)], &[2], Some(&[2, 7])), []);
    }

    #[test]
    fn what_is_ours_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(read(&path), []);
        let ours = vec![there(1, 2), Ours::of(&tlsa(2))];
        snapshot::write(&path, &serde_json::to_vec(&ours).unwrap()).unwrap();
        assert_eq!(read(&path), ours);
        snapshot::write(&path, b"{").unwrap();
        assert_eq!(read(&path), []);
    }
}
