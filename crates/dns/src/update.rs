//! Changes of our own zones: UPDATE (RFC 2136) signed with TSIG (RFC 8945).
//!
//! Each change goes to the primary server of the zone, over TCP, in one message: all of it is done or nothing. It counts as done only when the
//! server says so and signs that; whatever else comes, or nothing, is an error, and doing it again does no harm. It changes texts (TXT) and
//! TLSA records alone, each by its value: what others have put at the name stays.

mod settings;
mod tsig;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use posthouse_mail::UnixMillis;
use posthouse_runtime::net::Stream;
use posthouse_runtime::{clock, random};
use thiserror::Error;

use crate::answer::Resolver;
use crate::record::{Kind, Name, Record};
use tsig::{Key, Signature};

pub use settings::UpdateSettings;
pub use tsig::Algorithm as TsigAlgorithm;
pub use wire::{Change, Data};

/// How long a server may take for all of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many aliases are followed from a name to where its records are.
const ALIASES_MAX: usize = 8;

/// The zones that may be changed. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Updates(Arc<Vec<Server>>);

#[derive(Debug)]
struct Server {
    zones: Vec<Name>,
    address: SocketAddr,
    key: Key,
    ttl: u32,
    settle: Duration,
}

/// Why a change was not made. It is as before, or done and not known to be.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// Not one of ours.
    #[error("{0} lies in no zone of `dns-update`")]
    NoZone(Name),
    /// There is no connection, or it broke.
    #[error("the name server {server} of {zone} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        server: SocketAddr,
        /// For which zone.
        zone: Name,
        /// The system's words.
        why: std::io::Error,
    },
    /// It says nothing.
    #[error("the name server {server} of {zone} does not answer within {} s", PATIENCE.as_secs())]
    Silent {
        /// Where.
        server: SocketAddr,
        /// For which zone.
        zone: Name,
    },
    /// It does not do it.
    #[error("the name server {server} does not change {zone}: {why}")]
    Refused {
        /// Where.
        server: SocketAddr,
        /// The zone.
        zone: Name,
        /// What it said, and what to do.
        why: String,
    },
}

impl Updates {
    /// Reads the settings.
    ///
    /// # Errors
    /// Which of them is wrong, at which key, and what.
    pub fn new(all: &[UpdateSettings]) -> Result<Self, (usize, &'static str, String)> {
        let servers = all.iter().enumerate().map(|(place, settings)| {
            let (zones, key) = settings.read().map_err(|(at, why)| (place, at, why))?;
            let ttl = u32::try_from(settings.ttl.duration().as_secs()).unwrap_or(u32::MAX).max(1);
            Ok(Server { zones, address: settings.server, key, ttl, settle: settings.settle.duration() })
        });
        servers.collect::<Result<_, _>>().map(|servers| Self(Arc::new(servers)))
    }

    /// Whether a name can be changed.
    #[must_use]
    pub fn covers(&self, name: &Name) -> bool {
        self.find(name).is_some()
    }

    /// Where the records of a name are: behind its aliases, which often lead to a zone that is made to be changed (RFC 8555 §8.4 follows them). What cannot be
    /// found out now leads nowhere.
    pub async fn place(&self, resolver: &Resolver, name: &Name) -> Name {
        let mut place = name.clone();
        for _ in 0..ALIASES_MAX {
            let Ok(answer) = resolver.records(&place, Kind::Cname).await else { break };
            let alias = answer.value.into_iter().find_map(|record| if let Record::Alias(to) = record { Some(to) } else { None });
            let Some(to) = alias else { break };
            place = to;
        }
        place
    }

    /// How long all servers of the zone take to have a change.
    #[must_use]
    pub fn settles_in(&self, name: &Name) -> Duration {
        self.find(name).map_or(Duration::ZERO, |(server, _)| server.settle)
    }

    /// How long after a change everybody knows it: all servers of the zone have it, and nobody keeps what was before. RFC 7671 §8.1 has two TTLs wait.
    #[must_use]
    pub fn known_in(&self, name: &Name) -> Duration {
        self.find(name).map_or(Duration::ZERO, |(server, _)| server.settle + Duration::from_secs(u64::from(server.ttl) * 2))
    }

    /// Makes one change.
    ///
    /// # Errors
    /// [`UpdateError`].
    pub async fn change(&self, change: Change) -> Result<(), UpdateError> {
        let (server, zone) = self.find(change.name()).ok_or_else(|| UpdateError::NoZone(change.name().clone()))?;
        let done = clock::timeout(PATIENCE, server.change(zone, &[change])).await;
        done.unwrap_or_else(|_| Err(UpdateError::Silent { server: server.address, zone: zone.clone() }))
    }

    fn find(&self, name: &Name) -> Option<(&Server, &Name)> {
        let all = self.0.iter().flat_map(|server| server.zones.iter().map(move |zone| (server, zone)));
        all.filter(|(_, zone)| name.is_within(zone)).max_by_key(|(_, zone)| zone.label_count())
    }
}

impl Server {
    async fn change(&self, zone: &Name, changes: &[Change]) -> Result<(), UpdateError> {
        let [high, low, ..] = random::u64().to_be_bytes();
        let id = u16::from_be_bytes([high, low]);
        let mut message = wire::request(id, zone, changes, self.ttl);
        let mac = self.key.sign(&mut message, now());
        let unreachable = |why| UpdateError::Unreachable { server: self.address, zone: zone.clone(), why };
        let octets = self.exchange(&message).await.map_err(unreachable)?;
        let refused = |why| UpdateError::Refused { server: self.address, zone: zone.clone(), why };
        judge(&octets, id, &self.key, &mac, now()).map_err(refused)
    }

    /// RFC 1035 §4.2.2: over TCP each message has its length in front.
    async fn exchange(&self, message: &[u8]) -> std::io::Result<BytesMut> {
        let mut stream = Stream::connect(self.address, None).await?;
        let length = u16::try_from(message.len()).map_err(|_| std::io::Error::other("the change is too large"))?;
        stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
        let mut heard = BytesMut::new();
        loop {
            let whole = wire::number_at(&heard, 0).map_or(2, |length| 2 + usize::from(length));
            if heard.len() >= whole.max(3) {
                heard.truncate(whole);
                return Ok(heard.split_off(2));
            }
            if stream.read(&mut heard).await? == 0 {
                return Err(std::io::Error::other("it closed the connection without an answer"));
            }
        }
    }
}

/// Whether the answer says, and proves, that it is done; else why not.
fn judge(octets: &[u8], id: u16, key: &Key, mac: &[u8], now: u64) -> Result<(), String> {
    let answer = wire::answer(octets, id).ok_or("what it answered is no answer to an update")?;
    let Some(signature) = answer.signature else {
        // Only what is signed is believed, but what an unsigned refusal says is most likely so.
        return Err(match answer.code {
            0 => "its answer is not signed, so nobody knows whose it is".to_owned(),
            code => words(code),
        });
    };
    let signature = Signature::read(signature).ok_or("the signature of its answer cannot be read")?;
    match signature.error {
        0 => {}
        tsig::BAD_KEY => return Err(format!("it knows no key `{}` for {} (`key-name`, `algorithm`)", key.name, key.algorithm)),
        tsig::BAD_SIGNATURE => return Err(format!("its key `{}` has another secret", key.name)),
        tsig::BAD_TIME => {
            let clock = |seconds| UnixMillis(u64::saturating_mul(seconds, 1000)).to_rfc3339_seconds();
            let theirs = signature.their_time().map_or_else(|| "another one".to_owned(), clock);
            return Err(format!("its clock shows {theirs} and ours {}; one of them must be set", clock(now)));
        }
        error => return Err(format!("it does not take the signature (TSIG error {error})")),
    }
    if !key.verifies(&answer.unsigned, &signature, mac) {
        return Err("the signature of its answer is wrong, so nobody knows whose it is".to_owned());
    }
    if signature.time.abs_diff(now) > u64::from(tsig::FUDGE_SECONDS) {
        return Err("its answer was signed at another time: it is old, or one of the clocks must be set".to_owned());
    }
    if answer.code == 0 { Ok(()) } else { Err(words(answer.code)) }
}

/// What a code means (RFC 2136 §2.2), and what to do.
fn words(code: u16) -> String {
    match code {
        1 => "it does not understand the update (FORMERR)".to_owned(),
        2 => "it has failed (SERVFAIL); its log says why".to_owned(),
        4 => "it takes no updates (NOTIMP)".to_owned(),
        5 => "it refuses (REFUSED): the key has no right to change this name there (`update-policy`, `allow-update`)".to_owned(),
        9 => "it is not the zone's server, or does not know the key (NOTAUTH)".to_owned(),
        10 => "it says that the name is not in the zone (NOTZONE)".to_owned(),
        code => format!("it answers with code {code}"),
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    clock::unix_millis() / 1000
}

#[cfg(test)]
mod tests;
