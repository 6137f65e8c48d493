//! Filters that speak the milter protocol: rspamd, ClamAV, OpenDKIM and their like, asked before the 250; and those that are asked over HTTP ([`http`]).
//!
//! [`Milters`] are those of one visit. A milter is connected to when a letter begins and keeps its connection for the next. It hears of the
//! peer, the sender and each recipient when they come; the letter it gets when all of it has come, with what another milter changed. Then its
//! changes are made: fields, the body, sender and recipients, quarantine.
//!
//! It is never asked without a deadline. What it says is bounded and cannot break a line, end a header or leave a bare line feed. If it is lost its
//! `on-failure` decides; but once it has begun to change a letter the letter is put off, since half a change is another letter.

mod change;
mod health;
mod http;
mod letter;
mod link;
mod packet;
mod settings;

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use posthouse_dns::Resolver;
use posthouse_mail::{Address, Status};
use posthouse_mailauth::iprev::{self, Iprev, IprevResult};
use posthouse_runtime::clock;
use posthouse_smtp::server::{Reason, Verdict};

use self::link::{Link, LinkError};
use self::packet::{
    Answer, NO_CONNECT, NO_HELO, NO_MAIL, NO_RCPT, SILENT_CONNECT, SILENT_HELO, SILENT_MAIL, SILENT_RCPT, packet, texts,
};
use crate::context::{Context, ListenerKind};
use crate::settings::Settings;

pub use health::{FailingFilter, Health};
pub(crate) use http::About;
pub use http::{FilterForm, HttpFilterSettings, HttpFilters, Send};
pub(crate) use letter::{Held, Seen};
pub use settings::{MilterAddress, MilterAddressError, MilterSettings, OnFailure};

/// The milters of a visit.
pub(crate) struct Milters {
    settings: Arc<Settings>,
    health: Health,
    all: Vec<Milter>,
    /// The filters over HTTP, by their places in the settings.
    over_http: Vec<usize>,
    /// What the DNS says of the peer's name, once it was asked.
    reverse: Option<Iprev>,
}

/// What milters are told of the peer.
pub(crate) struct Facts<'a> {
    pub(crate) hostname: &'a str,
    pub(crate) peer: SocketAddr,
    /// What the DNS says of its name.
    pub(crate) reverse: &'a Iprev,
    pub(crate) helo: &'a str,
    pub(crate) tls: Option<&'a str>,
    pub(crate) account: Option<String>,
    /// `<>`, or the address in brackets.
    pub(crate) sender: String,
}

struct Milter {
    /// Which of the settings is its.
    place: usize,
    state: State,
}

enum State {
    /// Not connected.
    Idle,
    /// It has heard of the peer, and of a letter as well where `begun` is set.
    Open { link: Link, begun: bool },
    /// It has no more to say about this letter.
    Content(Link),
    /// It has no more to say in this visit: it said so, or cannot be asked and need not be.
    Gone,
    /// It refuses the peer, whatever the peer sends.
    Refusing(Verdict),
    /// It throws the letter away.
    Discarding(Link),
}

impl Milters {
    /// Those that see letters of this listener; none: no milters.
    pub(crate) fn new(context: &Context, kind: ListenerKind) -> Option<Self> {
        let (settings, health) = (&context.settings, context.filters.health().clone());
        let all = settings.milter.iter().enumerate().filter(|(_, milter)| milter.listeners.contains(&kind));
        let all: Vec<_> = all.map(|(place, _)| Milter { place, state: State::Idle }).collect();
        let over_http = Self::places_over_http(&settings.http_filter, kind);
        let is_any = !all.is_empty() || !over_http.is_empty();
        is_any.then(|| Self { settings: Arc::clone(settings), health, all, over_http, reverse: None })
    }

    /// What the DNS says of the peer's name: asked once in a visit, and not for ever.
    pub(crate) async fn reverse(&mut self, resolver: &Resolver, peer: IpAddr) -> Iprev {
        if let Some(known) = &self.reverse {
            return known.clone();
        }
        let asked = clock::timeout(self.settings.senders.timeout.duration(), iprev::check(resolver.as_ref(), peer)).await;
        self.reverse.insert(asked.unwrap_or_else(|_| Iprev::too_slow())).clone()
    }

    /// MAIL came.
    pub(crate) async fn sender(&mut self, facts: &Facts<'_>) -> Result<(), Verdict> {
        for milter in &mut self.all {
            if let Some(settings) = self.settings.milter.get(milter.place) {
                let done = milter.sender(settings, facts).await;
                milter.settle(settings, &self.health, done)?;
            }
        }
        Ok(())
    }

    /// RCPT came.
    pub(crate) async fn recipient(&mut self, recipient: &Address) -> Result<(), Verdict> {
        for milter in &mut self.all {
            if let Some(settings) = self.settings.milter.get(milter.place) {
                let done = milter.recipient(recipient).await;
                milter.settle(settings, &self.health, done)?;
            }
        }
        Ok(())
    }

    /// The letter that was begun is given up.
    pub(crate) fn abandon(&mut self) {
        for milter in &mut self.all {
            milter.state = match std::mem::replace(&mut milter.state, State::Idle) {
                State::Open { link, .. } | State::Content(link) | State::Discarding(link) => State::Open { link, begun: true },
                state @ (State::Idle | State::Gone | State::Refusing(_)) => state,
            };
        }
    }
}

/// What one step came to: `Ok(Err(_))` is a refusal of the milter's.
type Done = Result<Result<(), Verdict>, LinkError>;

impl Milter {
    /// A failure becomes what the operator wants of it.
    fn settle(&mut self, settings: &MilterSettings, health: &Health, done: Done) -> Result<(), Verdict> {
        match done {
            Ok(said) => {
                if matches!(self.state, State::Open { .. } | State::Content(_) | State::Discarding(_)) {
                    health.answered(&settings.name);
                }
                said
            }
            Err(error) => {
                self.state = State::Gone;
                let verdict = failed(health, (&settings.name, &settings.address), settings.on_failure, &error);
                if verdict.is_err() {
                    // The next letter finds out anew whether it is there.
                    self.state = State::Idle;
                }
                verdict
            }
        }
    }

    async fn sender(&mut self, settings: &MilterSettings, facts: &Facts<'_>) -> Done {
        let mut link = match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => match greet(settings, facts).await? {
                Ok(link) => link,
                Err(state) => {
                    self.state = state;
                    return Ok(self.standing());
                }
            },
            State::Open { mut link, begun } => {
                if begun {
                    link.send(&packet(b'A', &[])).await?;
                }
                link
            }
            // The letter before was not given up, and is over.
            State::Content(link) | State::Discarding(link) => link,
            state @ (State::Gone | State::Refusing(_)) => {
                self.state = state;
                return Ok(self.standing());
            }
        };
        let answer = if link.has(NO_MAIL) {
            Answer::Continue
        } else {
            let mut packets = Vec::new();
            if let Some(account) = &facts.account {
                packets.extend(macros(b'M', &[("{auth_authen}", account), ("{auth_type}", "PLAIN")]));
            }
            packets.extend(macros(b'M', &[("{mail_addr}", facts.sender.trim_matches(['<', '>']))]));
            packets.extend(packet(b'M', &[&texts([facts.sender.as_bytes()])]));
            link.ask(&packets, SILENT_MAIL).await?
        };
        self.proceed(link, answer)
    }

    async fn recipient(&mut self, recipient: &Address) -> Done {
        let (mut link, begun) = match std::mem::replace(&mut self.state, State::Idle) {
            State::Open { link, begun } => (link, begun),
            state @ (State::Idle | State::Content(_) | State::Gone | State::Refusing(_) | State::Discarding(_)) => {
                self.state = state;
                return Ok(self.standing());
            }
        };
        if link.has(NO_RCPT) {
            self.state = State::Open { link, begun };
            return Ok(Ok(()));
        }
        let mut packets = macros(b'R', &[("{rcpt_addr}", &recipient.to_string())]);
        packets.extend(packet(b'R', &[&texts([format!("<{recipient}>").as_bytes()])]));
        let answer = link.ask(&packets, SILENT_RCPT).await?;
        if let Answer::Refuse(verdict) = answer {
            // This one recipient is refused, and the letter goes on.
            self.state = State::Open { link, begun };
            return Ok(Err(verdict));
        }
        self.proceed(link, answer)
    }

    fn proceed(&mut self, link: Link, answer: Answer) -> Done {
        self.state = match answer {
            Answer::Continue => State::Open { link, begun: true },
            Answer::Accept => State::Content(link),
            Answer::Discard => State::Discarding(link),
            Answer::Refuse(verdict) => {
                self.state = State::Open { link, begun: true };
                return Ok(Err(verdict));
            }
            Answer::Options { .. } | Answer::Skip | Answer::Progress | Answer::Change(_) => return Err(LinkError::OutOfOrder),
        };
        Ok(Ok(()))
    }

    fn standing(&self) -> Result<(), Verdict> {
        if let State::Refusing(verdict) = &self.state { Err(verdict.clone()) } else { Ok(()) }
    }
}

/// Connects, and tells of the peer.
async fn greet(settings: &MilterSettings, facts: &Facts<'_>) -> Result<Result<Link, State>, LinkError> {
    let mut link = Link::open(settings).await?;
    let (peer, port) = (facts.peer.ip().to_string(), facts.peer.port());
    // A name that does not lead back to the address is none; sendmail gives the address literal then.
    let name = facts.reverse.name.clone().unwrap_or_else(|| format!("[{peer}]"));
    let family = if facts.peer.is_ipv4() { b"4" } else { b"6" };
    if !link.has(NO_CONNECT) {
        let known = [
            ("j", facts.hostname),
            ("{daemon_name}", facts.hostname),
            ("{client_addr}", &peer),
            ("{client_port}", &port.to_string()),
            ("{client_name}", &name),
            ("{client_resolve}", resolved(facts.reverse.result)),
            ("_", &format!("{name} [{peer}]")),
            ("v", "Posthouse"),
        ];
        let mut packets = macros(b'C', &known);
        let address = texts([peer.as_bytes()]);
        packets.extend(packet(b'C', &[&texts([name.as_bytes()]), family, &port.to_be_bytes(), &address]));
        if let Some(state) = opening(link.ask(&packets, SILENT_CONNECT).await?)? {
            return Ok(Err(state));
        }
    }
    if !link.has(NO_HELO) {
        let mut packets = Vec::new();
        if let Some(tls) = facts.tls {
            let (version, cipher) = tls.split_once(' ').unwrap_or((tls, ""));
            packets.extend(macros(b'H', &[("{tls_version}", version), ("{cipher}", cipher)]));
        }
        packets.extend(packet(b'H', &[&texts([facts.helo.as_bytes()])]));
        if let Some(state) = opening(link.ask(&packets, SILENT_HELO).await?)? {
            return Ok(Err(state));
        }
    }
    Ok(Ok(link))
}

/// In sendmail's words.
fn resolved(result: IprevResult) -> &'static str {
    match result {
        IprevResult::Pass => "OK",
        IprevResult::Fail => "FORGED",
        IprevResult::Temperror => "TEMP",
        IprevResult::Permerror => "FAIL",
    }
}

/// What an answer about the peer means for the whole visit; `None`: go on.
fn opening(answer: Answer) -> Result<Option<State>, LinkError> {
    Ok(match answer {
        Answer::Continue => None,
        Answer::Accept => Some(State::Gone),
        Answer::Refuse(verdict) => Some(State::Refusing(verdict)),
        Answer::Discard | Answer::Options { .. } | Answer::Skip | Answer::Progress | Answer::Change(_) => {
            return Err(LinkError::OutOfOrder);
        }
    })
}

/// What milters know by name, for the command that follows.
fn macros(command: u8, known: &[(&str, &str)]) -> Vec<u8> {
    let pairs = texts(known.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    packet(b'D', &[&[command], &pairs])
}

/// The filter cannot be asked.
fn failed(
    health: &Health,
    (name, address): (&str, &dyn Display),
    on_failure: OnFailure,
    error: &dyn Display,
) -> Result<(), Verdict> {
    health.failed(name, &error.to_string());
    tracing::warn!(filter = name, %address, %error, ?on_failure, "a filter fails");
    match on_failure {
        OnFailure::Accept => Ok(()),
        OnFailure::Defer => Err(put_off()),
        OnFailure::Reject => {
            Err(Verdict::Reject(Reason::new(554, Status::permanent(7, 1), "a filter that must be asked does not answer")))
        }
    }
}

/// RFC 3463 §3.8: X.7.1 would say that the letter was refused; X.3.0 is a fault of the system.
fn put_off() -> Verdict {
    Verdict::Defer(Reason::new(451, Status::temporary(3, 0), "a filter does not answer, try again later"))
}
