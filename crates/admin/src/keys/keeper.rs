//! Changes keys in time, in a running server.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthouse_directory::{Directory, DomainKey, KeyState, StoredKey};
use posthouse_dns::{Change, Data, Name, Resolver, Updates};
use posthouse_mail::{Domain, UnixMillis};
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::{clock, random, select};

use super::plan::{self, Look, Step, View, plan};
use super::settings::Settings;
use super::{fresh, look, published, read_key, record_name};
use crate::error::AdminError;
use crate::status::KeyStatus;

/// How often it is looked; more often where a new key is to sign sooner.
const LOOK_EVERY: Duration = Duration::from_mins(10);
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);
/// After how long a change that was made and is not to be seen is made again: as long as resolvers keep that there is nothing.
const CHANGE_AGAIN_AFTER: Duration = Duration::from_mins(30);
/// The pause after a change that failed, doubled for each that follows.
const PAUSE_MIN: Duration = Duration::from_mins(1);
const PAUSE_MAX: Duration = Duration::from_hours(6);
/// After how long what is still to be done is said again.
const REMIND_AFTER: Duration = Duration::from_hours(24);

/// Sees to the keys of every domain.
pub struct Keeper {
    /// Where they are.
    pub directory: Directory,
    /// Who is asked for their records.
    pub resolver: Resolver,
    /// The zones that may be changed.
    pub updates: Updates,
    /// What the operator set.
    pub settings: Settings,
    /// What is to be done, for whoever asks.
    pub standing: Standing,
}

/// What is to be done in the DNS. Clones share it.
#[derive(Clone, Default)]
pub struct Standing(Arc<Mutex<Vec<KeyStatus>>>);

/// What was seen and said before, by domain and selector.
#[derive(Default)]
pub(super) struct Memory {
    seen: HashMap<(Domain, String), UnixMillis>,
    said: HashMap<String, (String, UnixMillis)>,
    /// The changes of the DNS that were made, and those that failed.
    changed: HashMap<Name, Changed>,
}

/// A change of the DNS that was made or tried.
struct Changed {
    /// Not before then again.
    until: UnixMillis,
    failures: u32,
    error: Option<String>,
}

impl Standing {
    /// The keys for which the DNS has something to be done, as it was last looked at.
    #[must_use]
    pub fn todo(&self) -> Vec<KeyStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Keeper {
    /// Keeps them, until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        let every = (self.settings.settle.duration() / 4).clamp(LOOK_EVERY_MIN, LOOK_EVERY);
        let mut memory = Memory::default();
        loop {
            select! {
                () = clock::sleep(random::jitter(every, 0.1)) => {}
                () = shutdown.requested() => return,
            }
            select! {
                looked = self.look_at_all(&mut memory) => if let Err(error) = looked {
                    tracing::error!(%error, "the keys of the domains cannot be looked at; it is tried again");
                },
                () = shutdown.requested() => return,
            }
        }
    }

    pub(super) async fn look_at_all(&self, memory: &mut Memory) -> Result<(), AdminError> {
        let mut todo = Vec::new();
        for domain in self.directory.domains().await? {
            todo.extend(self.look_at(&domain, memory).await?);
        }
        memory.said.retain(|name, _| todo.iter().any(|one| one.name == *name));
        let now = now();
        for KeyStatus { name, words, .. } in &todo {
            let is_said = memory.said.get(name).is_some_and(|(said, at)| said == words && now.since(*at) < REMIND_AFTER);
            if !is_said {
                tracing::warn!(name, words, "the DNS and the keys that sign letters do not fit together");
                memory.said.insert(name.clone(), (words.clone(), now));
            }
        }
        *self.standing.0.lock().unwrap_or_else(PoisonError::into_inner) = todo;
        Ok(())
    }

    /// Looks at one domain, does what it is time for, and gives what others must do.
    async fn look_at(&self, domain: &Domain, memory: &mut Memory) -> Result<Vec<KeyStatus>, AdminError> {
        let keys = self.directory.all_keys(domain).await?;
        let mut views = Vec::new();
        for one in &keys {
            views.extend(self.view(domain, one, memory).await);
        }
        let current: Vec<String> = keys.iter().map(|one| one.key.selector.clone()).collect();
        memory.seen.retain(|(of, selector), _| of != domain || current.contains(selector));
        for step in plan(&views, &self.settings, now()) {
            self.take(domain, step, &keys).await?;
        }
        let mut todos = Vec::new();
        for view in &views {
            let Some(stored) = keys.iter().find(|one| one.key.selector == view.selector) else { continue };
            let published = self.publish(domain, view, &stored.key, memory).await;
            todos.extend(todo(domain, view, &stored.key, self.settings.overlap.duration(), published));
        }
        Ok(todos)
    }

    /// Makes the DNS what it should be of this key, where we may. `None`: we may not; `Err`: why it is not done yet.
    async fn publish(&self, domain: &Domain, view: &View, stored: &StoredKey, memory: &mut Memory) -> Option<Result<(), String>> {
        let (name, text) = (record_name(&view.selector, domain).parse::<Name>().ok()?, published(domain, stored).ok()?.value);
        let may_go = plan::may_go(view, self.settings.overlap.duration(), now());
        let change = match (&view.look, view.state) {
            // What others have put there is theirs.
            (Look::Absent, KeyState::Waiting | KeyState::Signing) => Change::Add { name: name.clone(), data: Data::Text(text) },
            (Look::Published(_), KeyState::Retired) if may_go => Change::Remove { name: name.clone(), data: Data::Text(text) },
            (Look::Absent | Look::Published(_) | Look::Wrong(_) | Look::Unknown(_), _) => {
                memory.changed.remove(&name);
                return None;
            }
        };
        if !self.updates.covers(&name) {
            return None;
        }
        let before = memory.changed.get(&name);
        if let Some(changed) = before.filter(|changed| now() < changed.until) {
            return Some(changed.error.clone().map_or(Ok(()), Err));
        }
        let failures = before.map_or(0, |changed| changed.failures);
        let changed = match self.updates.change(change).await {
            Ok(()) => {
                tracing::info!(%name, state = view.state.name(), "the DNS was changed for a key");
                Changed { until: now().plus(CHANGE_AGAIN_AFTER), failures: 0, error: None }
            }
            Err(error) => {
                let pause = PAUSE_MIN.saturating_mul(1 << failures.min(10)).min(PAUSE_MAX);
                Changed { until: now().plus(pause), failures: failures.saturating_add(1), error: Some(error.to_string()) }
            }
        };
        let outcome = changed.error.clone().map_or(Ok(()), Err);
        memory.changed.insert(name, changed);
        Some(outcome)
    }

    async fn view(&self, domain: &Domain, one: &DomainKey, memory: &mut Memory) -> Option<View> {
        // One that cannot be read is told of where it is used.
        let key = read_key(&one.key.octets)?;
        let place = (domain.clone(), one.key.selector.clone());
        let found = match look(&self.resolver, domain, &one.key.selector, &key).await {
            Look::Published(at) => Look::Published(*memory.seen.entry(place).or_insert(at)),
            // What cannot be told now says nothing of what was there before.
            Look::Unknown(why) => Look::Unknown(why),
            other @ (Look::Absent | Look::Wrong(_)) => {
                memory.seen.remove(&place);
                other
            }
        };
        let (selector, algorithm) = (one.key.selector.clone(), key.algorithm());
        Some(View { selector, algorithm, state: one.state, made: one.made, since: one.since, look: found })
    }

    async fn take(&self, domain: &Domain, step: Step, keys: &[DomainKey]) -> Result<(), AdminError> {
        match step {
            Step::Make => {
                let made = fresh(keys)?;
                let selectors: Vec<_> = made.iter().map(|StoredKey { selector, .. }| selector.as_str()).collect();
                let selectors = selectors.join(" ");
                self.directory.prepare_keys(domain, made).await?;
                tracing::info!(%domain, selectors, "new keys were made; they sign when the DNS has their records");
            }
            Step::Sign { selector, retired } => {
                let gone = retired.join(" ");
                let turns = retired.into_iter().map(|old| (old, KeyState::Retired));
                let turns = turns.chain([(selector.clone(), KeyState::Signing)]).collect();
                self.directory.turn_keys(domain, turns).await?;
                tracing::info!(%domain, selector, retired = gone, "the DNS has the record of a new key, which signs from now on");
            }
            Step::Forget(selector) => {
                self.directory.remove_key(domain, &selector).await?;
                tracing::info!(%domain, selector, "a key is forgotten that signs no more and is not published any more");
            }
        }
        Ok(())
    }
}

/// What somebody must do in the DNS for this key; `changed` is what came of doing it ourselves.
fn todo(
    domain: &Domain,
    view: &View,
    stored: &StoredKey,
    overlap: Duration,
    changed: Option<Result<(), String>>,
) -> Option<KeyStatus> {
    let failed = match changed {
        Some(Ok(())) => return None,
        Some(Err(why)) => format!("; it was tried and is tried again: {why}"),
        None => String::new(),
    };
    let line = || published(domain, stored).map(|record| record.to_line()).unwrap_or_default();
    let found = match &view.look {
        Look::Absent => "there is none",
        Look::Wrong(why) => why,
        Look::Published(_) if plan::may_go(view, overlap, now()) => {
            let words = format!(
                "the key signs no more, and its record may go from the DNS; when it has gone the key is forgotten (or run `posthouse domain drop-key {domain} {}`){failed}",
                view.selector
            );
            return Some(status(domain, view, words));
        }
        Look::Published(_) | Look::Unknown(_) => return None,
    };
    let words = match view.state {
        KeyState::Waiting => format!("a new key waits for its record ({found}); publish {}{failed}", line()),
        KeyState::Signing => format!("a key signs whose record nobody finds ({found}); publish {}{failed}", line()),
        KeyState::Retired => return None,
    };
    Some(status(domain, view, words))
}

fn status(domain: &Domain, view: &View, words: String) -> KeyStatus {
    KeyStatus { name: record_name(&view.selector, domain), state: view.state.name().to_owned(), words }
}

fn now() -> UnixMillis {
    UnixMillis(clock::unix_millis())
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("settings", &self.settings).finish_non_exhaustive()
    }
}
