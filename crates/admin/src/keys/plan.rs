//! What is to be done with the keys of a domain: a pure function of what they are, what the DNS says of them, and the time.

use std::time::Duration;

use posthouse_directory::KeyState;
use posthouse_mail::UnixMillis;
use posthouse_mailauth::dkim::Algorithm;

use super::settings::Settings;

/// What the DNS says of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// Its record, since it was first seen there.
    Published(UnixMillis),
    /// Certainly nothing.
    Absent,
    /// Something else; the words say what.
    Wrong(String),
    /// Nobody could tell.
    Unknown(String),
}

/// A key as far as it matters here.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) selector: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) state: KeyState,
    pub(crate) made: UnixMillis,
    pub(crate) since: UnixMillis,
    pub(crate) look: Look,
}

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make new keys, which wait for the DNS.
    Make,
    /// Sign with this key, and no more with these.
    Sign { selector: String, retired: Vec<String> },
    /// The key is of no use any more, and the DNS has nothing of it.
    Forget(String),
}

/// What is to be done now. `keys` are all that the domain has, oldest first.
pub(crate) fn plan(keys: &[View], settings: &Settings, now: UnixMillis) -> Vec<Step> {
    let mut steps = Vec::new();
    let waits = keys.iter().any(|key| key.state == KeyState::Waiting);
    let newest = keys.iter().filter(|key| key.state == KeyState::Signing).map(|key| key.made).max();
    if let (Some(every), Some(newest)) = (settings.rotate_every, newest)
        && !waits
        && now.since(newest) >= every.duration()
    {
        steps.push(Step::Make);
    }
    // The newest that may sign, of each algorithm: whatever is older and of its kind has had its time.
    for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
        let of_kind = || keys.iter().filter(|key| key.algorithm == algorithm);
        let Some(next) = of_kind().rfind(|key| key.state == KeyState::Waiting && is_settled(&key.look, settings, now)) else {
            continue;
        };
        let retires = |key: &&View| key.state != KeyState::Retired && key.selector != next.selector && key.made <= next.made;
        let retired = of_kind().filter(retires).map(|key| key.selector.clone()).collect();
        steps.push(Step::Sign { selector: next.selector.clone(), retired });
    }
    let forgotten = keys.iter().filter(|key| may_go(key, settings.overlap.duration(), now) && key.look == Look::Absent);
    steps.extend(forgotten.map(|key| Step::Forget(key.selector.clone())));
    steps
}

/// Whether everybody who looks finds the record by now.
fn is_settled(look: &Look, settings: &Settings, now: UnixMillis) -> bool {
    match look {
        Look::Published(seen) => now.since(*seen) >= settings.settle.duration(),
        Look::Absent | Look::Wrong(_) | Look::Unknown(_) => false,
    }
}

/// Whether nobody looks for the record any more.
pub(crate) fn may_go(key: &View, overlap: Duration, now: UnixMillis) -> bool {
    key.state == KeyState::Retired && now.since(key.since) >= overlap
}

#[cfg(test)]
mod tests {
    use posthouse_config::Period;

    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    const NOW: UnixMillis = UnixMillis(1_000 * DAY);

    fn settings() -> Settings {
        Settings { rotate_every: Some(Period(Duration::from_hours(180 * 24))), ..Settings::default() }
    }

    /// `days` is how long ago it was made and became what it is.
    fn key(selector: &str, algorithm: Algorithm, state: KeyState, days: u64, look: Look) -> View {
        let at = UnixMillis(NOW.0 - days * DAY);
        View { selector: selector.to_owned(), algorithm, state, made: at, since: at, look }
    }

    fn seen(hours: u64) -> Look {
        Look::Published(UnixMillis(NOW.0 - hours * HOUR))
    }

    fn sign(selector: &str, retired: &[&str]) -> Step {
        Step::Sign { selector: selector.to_owned(), retired: retired.iter().map(|&text| text.to_owned()).collect() }
    }

    #[test]
    fn new_keys_are_made_when_the_old_ones_are_old_and_none_wait() {
        use KeyState::{Signing, Waiting};
        let old = |days| key("old", Algorithm::Rsa, Signing, days, seen(5));
        assert_eq!(plan(&[old(180)], &settings(), NOW), [Step::Make]);
        assert_eq!(plan(&[old(179)], &settings(), NOW), []);
        assert_eq!(plan(&[old(180), key("new", Algorithm::Rsa, Waiting, 0, Look::Absent)], &settings(), NOW), []);
        assert_eq!(plan(&[old(180)], &Settings::default(), NOW), [], "by hand");
        assert_eq!(plan(&[], &settings(), NOW), [], "a domain whose keys were dropped signs nothing, and is left alone");
        // A clock that was set back makes nothing.
        assert_eq!(plan(&[old(180)], &settings(), UnixMillis(0)), []);
    }

    #[test]
    fn a_key_signs_when_the_dns_has_had_it_for_a_while_and_never_before() {
        use KeyState::{Retired, Signing, Waiting};
        let old = || key("old", Algorithm::Rsa, Signing, 1, seen(9));
        let other = || key("ed", Algorithm::Ed25519, Signing, 1, seen(9));
        let new = |look| key("new", Algorithm::Rsa, Waiting, 0, look);
        for look in [Look::Absent, Look::Wrong("x".to_owned()), Look::Unknown("x".to_owned()), seen(0)] {
            assert_eq!(plan(&[old(), other(), new(look.clone())], &settings(), NOW), [], "{look:?}");
        }
        // The other algorithm goes on with what it has.
        assert_eq!(plan(&[old(), other(), new(seen(1))], &settings(), NOW), [sign("new", &["old"])]);
        let before = key("before", Algorithm::Rsa, Waiting, 1, Look::Absent);
        assert_eq!(plan(&[old(), before, new(seen(1))], &settings(), NOW), [sign("new", &["old", "before"])], "overtaken");
        let gone = key("gone", Algorithm::Rsa, Retired, 1, seen(9));
        assert_eq!(plan(&[gone, new(seen(1))], &settings(), NOW), [sign("new", &[])]);
    }

    #[test]
    fn a_retired_key_is_forgotten_when_its_time_and_its_record_are_over() {
        let retired = |days, look| key("old", Algorithm::Rsa, KeyState::Retired, days, look);
        assert_eq!(plan(&[retired(7, Look::Absent)], &settings(), NOW), [Step::Forget("old".to_owned())]);
        assert_eq!(plan(&[retired(6, Look::Absent)], &settings(), NOW), []);
        assert_eq!(plan(&[retired(70, seen(1))], &settings(), NOW), []);
        assert_eq!(plan(&[retired(70, Look::Unknown(String::new()))], &settings(), NOW), []);
    }
}
