//! Which filters answer, as they were last asked: for the operator.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthouse_mail::UnixMillis;
use posthouse_runtime::clock;

/// The characters of a reason.
const WHY_CHARS_MAX: usize = 300;

/// Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<String, FailingFilter>>>);

/// A filter that has not answered since then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailingFilter {
    /// Its name in the configuration.
    pub name: String,
    /// Since when.
    pub since: UnixMillis,
    /// What came of asking it last.
    pub why: String,
}

impl Health {
    /// Those that failed when they were last asked.
    #[must_use]
    pub fn failing(&self) -> Vec<FailingFilter> {
        self.all().values().cloned().collect()
    }

    pub(super) fn failed(&self, name: &str, why: &str) {
        let why = why.chars().take(WHY_CHARS_MAX).collect();
        let mut all = self.all();
        let since = all.get(name).map_or_else(|| UnixMillis(clock::unix_millis()), |known| known.since);
        all.insert(name.to_owned(), FailingFilter { name: name.to_owned(), since, why });
    }

    pub(super) fn answered(&self, name: &str) {
        let mut all = self.all();
        if !all.is_empty() && all.remove(name).is_some() {
            tracing::info!(filter = name, "a filter answers again");
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, FailingFilter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_fails_since_it_first_did_and_until_it_answers() {
        let health = Health::default();
        health.failed("rspamd", "refused");
        let since = health.failing()[0].since;
        health.failed("rspamd", "silent");
        health.failed("clamav", "silent");
        let failing = health.failing();
        assert_eq!((failing.len(), failing[1].since, failing[1].why.as_str()), (2, since, "silent"));
        health.answered("rspamd");
        health.answered("unknown");
        assert_eq!(health.failing().iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["clamav"]);
    }
}
