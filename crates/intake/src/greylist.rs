//! Greylisting that learns: whoever is new is asked to come again, once.
//!
//! A server that tries again is a server. The first try of a network, sender and recipient is put off; one after the delay is taken, and from then on
//! everything from that network in the name of the sender's domain. So is a network whose letters SPF or DKIM has vouched for, and one that a list knows
//! as good. Nothing is put off twice for the same reason, and nobody for longer than the delay.
//!
//! The state is a file of bounded size, written now and then: what is lost by a crash is a minute of it, and costs one more try.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthouse_config::Period;
use posthouse_mail::UnixMillis;
use posthouse_runtime::{snapshot, task};
use schemars::JsonSchema;
use serde::Deserialize;

/// The entries of each kind: 16 octets each in the file.
const ENTRIES_MAX: usize = 200_000;
/// How often the file is written, at most.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// The file's first line; the entries follow.
const HEAD: &[u8] = b"posthouse greylist 1\n";

/// `[intake.greylist]`: whoever is new is asked to come again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GreylistSettings {
    /// Whose first letter is put off on `mx` listeners: `off` nobody's; `listed` those that a list in the DNS has something against, but not enough to
    /// refuse them; `all` everybody's but those that a list knows as good.
    pub policy: GreylistPolicy,
    /// How long a sender has to wait before it is believed.
    pub delay: Period,
    /// After this time without a second try the first is forgotten.
    pub forget: Period,
    /// How long a network and a sender's domain stay known after their last letter.
    pub known_for: Period,
}

/// Whose first letter is put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GreylistPolicy {
    /// Nobody's.
    #[default]
    Off,
    /// Those with a score.
    Listed,
    /// Everybody's.
    All,
}

impl Default for GreylistSettings {
    fn default() -> Self {
        Self { policy: GreylistPolicy::Off, delay: Period::minutes(5), forget: Period::days(1), known_for: Period::days(40) }
    }
}

/// What is known of who came before. A clone is another handle to the same.
#[derive(Clone, Default)]
pub(crate) struct Greylist(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// `None`: in memory alone.
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When a network, sender and recipient were first seen, in seconds.
    waiting: HashMap<u64, u32>,
    /// When a network and a sender's domain were last seen.
    known: HashMap<u64, u32>,
    changed: bool,
    saved: u64,
}

/// Who sends what to whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contact<'a> {
    pub(crate) peer: IpAddr,
    pub(crate) sender: &'a str,
    pub(crate) recipient: &'a str,
}

impl Greylist {
    /// Reads what was kept. A file that cannot be read is as none: everybody is new once more.
    pub(crate) fn open(path: &Path) -> Self {
        let state = match snapshot::read(path) {
            Ok(Some(octets)) => State::decode(&octets).unwrap_or_else(|| {
                tracing::warn!(path = %path.display(), "the greylist is damaged and begins anew");
                State::default()
            }),
            Ok(None) => State::default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the greylist cannot be read and begins anew");
                State::default()
            }
        };
        Self(Arc::new(Inner { path: Some(path.to_owned()), state: Mutex::new(state) }))
    }

    /// How many wait, and how many are known.
    pub(crate) fn count(&self) -> (usize, usize) {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        (state.waiting.len(), state.known.len())
    }

    /// Whether the letter may come now; if not, how long until it may.
    pub(crate) fn admit(&self, settings: &GreylistSettings, contact: Contact<'_>, now: UnixMillis) -> Result<(), Duration> {
        let (pair, triple) = (contact.pair(), contact.triple());
        let seconds = seconds(now);
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let within = |then: u32, period: &Period| u64::from(seconds.saturating_sub(then)) < period.duration().as_secs();
        if state.known.get(&pair).is_some_and(|last| within(*last, &settings.known_for)) {
            state.known.insert(pair, seconds);
            state.changed = true;
            return Ok(());
        }
        let first = state.waiting.get(&triple).copied().filter(|first| within(*first, &settings.forget));
        let Some(first) = first else {
            bound(&mut state.waiting);
            state.waiting.insert(triple, seconds);
            state.changed = true;
            return Err(settings.delay.duration());
        };
        let waited = Duration::from_secs(u64::from(seconds.saturating_sub(first)));
        match settings.delay.duration().checked_sub(waited).filter(|left| !left.is_zero()) {
            Some(left) => Err(left),
            None => {
                state.waiting.remove(&triple);
                bound(&mut state.known);
                state.known.insert(pair, seconds);
                state.changed = true;
                Ok(())
            }
        }
    }

    /// A letter was vouched for: its network and domain are known from now on.
    pub(crate) fn learn(&self, contact: Contact<'_>, now: UnixMillis) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        bound(&mut state.known);
        state.known.insert(contact.pair(), seconds(now));
        state.changed = true;
    }

    /// Writes the file, if it is time.
    pub(crate) fn save_soon(&self, now: UnixMillis) {
        let Some(path) = self.0.path.clone() else { return };
        let octets = {
            let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            let due =
                state.changed && now.0.saturating_sub(state.saved) >= u64::try_from(SAVE_EVERY.as_millis()).unwrap_or(u64::MAX);
            if !due {
                return;
            }
            (state.changed, state.saved) = (false, now.0);
            state.encode()
        };
        let _saving = task::spawn("greylist", async move {
            let saved = task::blocking(move || snapshot::write(&path, &octets).map_err(|error| (path, error))).await;
            if let Err((path, error)) = saved {
                tracing::warn!(path = %path.display(), %error, "the greylist cannot be written");
            }
        });
    }
}

impl Contact<'_> {
    fn pair(self) -> u64 {
        let domain = self.sender.rsplit_once('@').map_or("", |(_, domain)| domain);
        digest(&[&network(self.peer), &domain.to_lowercase()])
    }

    fn triple(self) -> u64 {
        digest(&[&network(self.peer), &self.sender.to_lowercase(), &self.recipient.to_lowercase()])
    }
}

impl State {
    fn encode(&self) -> Vec<u8> {
        let mut octets = HEAD.to_vec();
        for (mark, entries) in [(b'w', &self.waiting), (b'k', &self.known)] {
            for (key, at) in entries {
                octets.push(mark);
                octets.extend_from_slice(&key.to_le_bytes());
                octets.extend_from_slice(&at.to_le_bytes());
            }
        }
        octets
    }

    fn decode(octets: &[u8]) -> Option<Self> {
        let mut rest = octets.strip_prefix(HEAD)?;
        let mut state = Self::default();
        while let Some((entry, behind)) = rest.split_first_chunk::<13>() {
            let [mark, key @ .., a, b, c, d] = *entry;
            let entries = match mark {
                b'w' => &mut state.waiting,
                b'k' => &mut state.known,
                _ => return None,
            };
            if entries.len() < ENTRIES_MAX {
                entries.insert(u64::from_le_bytes(key), u32::from_le_bytes([a, b, c, d]));
            }
            rest = behind;
        }
        rest.is_empty().then_some(state)
    }
}

impl fmt::Debug for Greylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Greylist").field("path", &self.0.path).finish_non_exhaustive()
    }
}

/// Makes room: the older half goes.
fn bound(entries: &mut HashMap<u64, u32>) {
    if entries.len() < ENTRIES_MAX {
        return;
    }
    let mut times: Vec<u32> = entries.values().copied().collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    entries.retain(|_, at| *at > median);
}

/// Big senders try again from a neighbour of the host that tried first.
fn network(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(v4) => format!("{:08x}", v4.to_bits() >> 8),
        IpAddr::V6(v6) => format!("{:016x}", v6.to_bits() >> 64),
    }
}

/// FNV-1a: the same in every process and version, and nobody gains by a collision but one skipped delay.
fn digest(parts: &[&str]) -> u64 {
    struct Fnv(u64);
    impl std::hash::Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, octets: &[u8]) {
            for octet in octets {
                self.0 = (self.0 ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    for part in parts {
        part.as_bytes().hash(&mut hasher);
    }
    hasher.finish()
}

fn seconds(now: UnixMillis) -> u32 {
    u32::try_from(now.0 / 1000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const DAY: u64 = 24 * 60 * MINUTE;
    const START: UnixMillis = UnixMillis(1_800_000_000_000);

    fn contact<'a>(peer: &str, sender: &'a str, recipient: &'a str) -> Contact<'a> {
        Contact { peer: peer.parse().unwrap(), sender, recipient }
    }

    fn at(millis: u64) -> UnixMillis {
        UnixMillis(START.0 + millis)
    }

    #[test]
    fn who_comes_again_after_the_delay_is_known_from_then_on() {
        let (grey, settings) = (Greylist::default(), GreylistSettings::default());
        let letter = contact("192.0.2.1", "news@shop.example", "alice@a.test");
        let neighbour = contact("192.0.2.77", "News@Shop.example", "Alice@a.test");
        assert_eq!(grey.admit(&settings, letter, at(0)), Err(Duration::from_secs(300)));
        assert_eq!(grey.admit(&settings, letter, at(MINUTE)), Err(Duration::from_secs(240)), "too early is not counted anew");
        assert_eq!(grey.admit(&settings, neighbour, at(5 * MINUTE)), Ok(()), "from the next machine of the same pool");
        let other = contact("192.0.2.9", "orders@shop.example", "bob@a.test");
        assert_eq!(grey.admit(&settings, other, at(6 * MINUTE)), Ok(()), "the domain is known there");
        assert!(grey.admit(&settings, contact("198.51.100.1", "orders@shop.example", "bob@a.test"), at(6 * MINUTE)).is_err());
        assert_eq!(grey.admit(&settings, other, at(39 * DAY)), Ok(()));
        assert_eq!(grey.admit(&settings, other, at(78 * DAY)), Ok(()), "each letter keeps it known");
        assert!(grey.admit(&settings, other, at(120 * DAY)).is_err());
    }

    #[test]
    fn who_never_comes_again_is_forgotten_and_who_was_vouched_for_never_waits() {
        let (grey, settings) = (Greylist::default(), GreylistSettings::default());
        let letter = contact("2001:db8::1", "", "alice@a.test");
        assert!(grey.admit(&settings, letter, at(0)).is_err());
        assert_eq!(grey.admit(&settings, letter, at(2 * DAY)), Err(Duration::from_secs(300)));
        let good = contact("198.51.100.1", "x@good.example", "alice@a.test");
        grey.learn(good, at(0));
        assert_eq!(grey.admit(&settings, good, at(0)), Ok(()));
    }

    #[test]
    fn what_is_known_outlives_a_restart_and_damage_only_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("greylist");
        let settings = GreylistSettings::default();
        let (known, waiting) =
            (contact("192.0.2.1", "x@a.example", "alice@a.test"), contact("192.0.2.1", "x@b.example", "alice@a.test"));
        let grey = Greylist::open(&path);
        grey.learn(known, at(0));
        grey.admit(&settings, waiting, at(0)).unwrap_err();
        snapshot::write(&path, &grey.0.state.lock().unwrap().encode()).unwrap();
        let grey = Greylist::open(&path);
        assert_eq!(grey.admit(&settings, known, at(MINUTE)), Ok(()));
        assert_eq!(grey.admit(&settings, waiting, at(5 * MINUTE)), Ok(()));
        for damage in [&b"not a greylist"[..], b"posthouse greylist 1\nx", b"posthouse greylist 1\nq123456789012"] {
            snapshot::write(&path, damage).unwrap();
            assert!(Greylist::open(&path).admit(&settings, known, at(MINUTE)).is_err(), "{damage:?}");
        }
    }

    #[test]
    fn a_million_strangers_take_no_more_than_their_share() {
        let (grey, settings) = (Greylist::default(), GreylistSettings::default());
        for n in 0..500_000_u32 {
            let peer = IpAddr::V4((n << 8).into());
            let stranger = Contact { peer, sender: "x@y.example", recipient: "alice@a.test" };
            grey.admit(&settings, stranger, at(u64::from(n) * 1000 / 50)).unwrap_err();
        }
        let state = grey.0.state.lock().unwrap();
        assert!(state.waiting.len() <= ENTRIES_MAX);
        assert!(state.encode().len() < 3_000_000);
    }
}
