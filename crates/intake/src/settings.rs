//! What an operator may set of accepting mail.

use std::net::IpAddr;

use posthouse_config::{ByteSize, Network, Period};
use posthouse_mail::UnixMillis;
use posthouse_runtime::clock;
use posthouse_runtime::gate::Limits;
use posthouse_sasl::{Mechanism, ScramHash};
use posthouse_smtp::server::{Profile, Protocol};
use posthouse_smtp::syntax::FutureRelease;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::context::{Context, ListenerKind};
use crate::greylist::GreylistSettings;
use crate::hellos::Hellos;
use crate::lists::Lists;
use crate::local::Local;
use crate::milter::{HttpFilterSettings, MilterSettings};
use crate::priority::PriorityMax;
use crate::rates::Rates;
use crate::senders::Senders;

/// SMTP and LMTP: what is accepted, and the limits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Networks whose letters are relayed to anybody on `mx` listeners, without a login. Nobody is trusted unless named here, this
    /// host's own addresses included.
    pub trusted_networks: Vec<Network>,
    /// Whether a client on a loopback address may log in outside TLS, for a proxy or a test on the same host.
    pub plain_login_on_loopback: bool,
    /// The largest letter.
    pub letter_size_max: ByteSize,
    /// The recipients of one letter (RFC 5321 §4.5.3.1.8 asks for 100 at least). Further ones are put off with 452, and the client sends
    /// them another copy.
    pub recipients_max: usize,
    /// The letters over one connection.
    pub letters_per_connection_max: u32,
    /// The highest priority, from 0 to 9, that a letter may ask for (MT-PRIORITY, RFC 6710) when its sender is logged in or its network trusted. The
    /// letters of all others have priority 0.
    pub priority_max: PriorityMax,
    /// How long users may have a letter held before it leaves (FUTURERELEASE, RFC 4865). "0s" does not offer it.
    pub hold_max: Period,
    /// The shortest time in which a letter may ask to be delivered or else returned (DELIVERBY, RFC 2852). "0s" is none.
    pub deliver_by_min: Period,
    /// Whether letters that are submitted, and signed with a key of their author's domain, ask for complaints of their readers (`CFBL-Address`, RFC 9477): to
    /// `reports@` that domain, where they are read. A letter that has such a field keeps its own.
    pub ask_for_complaints: bool,
    /// Hosts in front of us that may say whose connection it really is (XCLIENT). Nobody is believed unless named here.
    pub xclient_from: Vec<Network>,
    /// How much may come in a time, counted over connections.
    pub rates: Rates,
    /// Lists of addresses in the DNS.
    pub lists: Lists,
    /// Whoever is new is asked to come again.
    pub greylist: GreylistSettings,
    /// Filters that speak the milter protocol.
    pub milter: Vec<MilterSettings>,
    /// Filters that are asked over HTTP.
    pub http_filter: Vec<HttpFilterSettings>,
    /// Who really sent it: SPF, DKIM, DMARC and ARC of letters on `mx` listeners.
    pub senders: Senders,
    /// The names that other servers give themselves.
    pub hello: Hellos,
    /// Letters from the users and programs of this machine.
    pub local: Local,
    /// Connections open at a time, in all.
    pub connections_max: usize,
    /// Connections open at a time from one address (IPv6: one /64).
    pub connections_per_address_max: usize,
    /// Connections open at a time from one network (IPv4: a /24, IPv6: a /48); never less than for one address.
    pub connections_per_network_max: usize,
    /// The memory that the server may hold (resident, all parts together) before new connections are put off with 421 and new letters with 452.
    /// "0 B": no limit.
    pub memory_max: ByteSize,
    /// Commands that are none, are malformed or come out of order, before the connection is closed.
    pub bad_commands_max: u32,
    /// Commands that bring no letter nearer (NOOP, RSET, VRFY, HELP and greetings), from one letter to the next, before the connection is closed.
    pub idle_commands_max: u32,
    /// Unknown recipients over one connection, before it is closed: more are a search for addresses.
    pub refused_recipients_max: u32,
    /// Failed log-ins, before the connection is closed.
    pub failed_logins_max: u32,
    /// How long the greeting is held back on `mx` listeners. Programs that talk before it are refused; they are not mail servers. "0s" does
    /// not wait.
    pub greeting_delay: Period,
    /// How long one command may take, however slowly its octets come (RFC 5321 §4.5.3.2.7 asks for 5 minutes).
    pub command_timeout: Period,
    /// How long the next 16 KiB of a letter may take (RFC 5321 §4.5.3.2.5 asks for 3 minutes).
    pub body_timeout: Period,
    /// How long a whole letter may take.
    pub letter_timeout: Period,
    /// How long the client may take to read our replies.
    pub write_timeout: Period,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted_networks: Vec::new(),
            plain_login_on_loopback: false,
            letter_size_max: ByteSize::mib(50),
            recipients_max: 1000,
            letters_per_connection_max: 1000,
            priority_max: PriorityMax::default(),
            hold_max: Period::days(30),
            deliver_by_min: Period::seconds(0),
            ask_for_complaints: false,
            xclient_from: Vec::new(),
            rates: Rates::default(),
            lists: Lists::default(),
            greylist: GreylistSettings::default(),
            milter: Vec::new(),
            http_filter: Vec::new(),
            senders: Senders::default(),
            hello: Hellos::default(),
            local: Local::default(),
            connections_max: 10_000,
            connections_per_address_max: 50,
            connections_per_network_max: 500,
            memory_max: ByteSize::gib(4),
            bad_commands_max: 20,
            idle_commands_max: 100,
            refused_recipients_max: 100,
            failed_logins_max: 3,
            greeting_delay: Period::seconds(0),
            command_timeout: Period::minutes(5),
            body_timeout: Period::minutes(3),
            letter_timeout: Period::hours(2),
            write_timeout: Period::minutes(5),
        }
    }
}

impl Settings {
    /// How many connections may be open.
    #[must_use]
    pub fn gate(&self) -> Limits {
        Limits {
            in_all: self.connections_max,
            per_address: self.connections_per_address_max,
            per_network: self.connections_per_network_max,
        }
    }

    /// What a session that begins now offers at a listener to a peer.
    pub(crate) fn profile(&self, context: &Context, hostname: &str, kind: ListenerKind, peer: IpAddr) -> Profile {
        let (has_tls, now) = (context.tls.is_some(), UnixMillis(clock::unix_millis()));
        let (tokens, sha1) = (context.directory.takes_tokens(), context.directory.takes_scram_sha1());
        let scram = context.directory.takes_scram();
        let mechanisms = Mechanism::ALL.into_iter().filter(|mechanism| {
            kind.wants_login()
                && (tokens || !mechanism.takes_token())
                && (scram || mechanism.scram_hash().is_none())
                && (sha1 || mechanism.scram_hash() != Some(ScramHash::Sha1))
        });
        let hold_max = self.hold_max.duration().as_secs();
        Profile {
            protocol: if kind == ListenerKind::Lmtp { Protocol::Lmtp } else { Protocol::Smtp },
            hostname: hostname.to_owned(),
            starttls: has_tls && kind != ListenerKind::Local,
            mechanisms: mechanisms.collect(),
            auth_without_tls: self.plain_login_on_loopback && peer.to_canonical().is_loopback(),
            xclient: kind != ListenerKind::Local && self.xclient_from.iter().any(|network| network.contains(peer)),
            // RFC 4865 §4: to those who submit, and to nobody else.
            future_release: (kind.is_submission() && hold_max > 0).then(|| FutureRelease::from_now(now, hold_max)),
            deliver_by_seconds_min: Some(u32::try_from(self.deliver_by_min.duration().as_secs()).unwrap_or(u32::MAX)),
            letter_bytes_max: self.letter_size_max.bytes(),
            drain_bytes_max: self.letter_size_max.bytes(),
            recipients_max: self.recipients_max,
            letters_max: self.letters_per_connection_max,
            bad_commands_max: self.bad_commands_max,
            idle_commands_max: self.idle_commands_max,
            refused_recipients_max: self.refused_recipients_max,
            auth_failures_max: self.failed_logins_max,
            greeting_delay: if kind == ListenerKind::Mx { self.greeting_delay.duration() } else { std::time::Duration::ZERO },
            command_timeout: self.command_timeout.duration(),
            body_timeout: self.body_timeout.duration(),
            letter_timeout: self.letter_timeout.duration(),
            ..Profile::default()
        }
    }

    /// Whether letters of this peer are relayed to anybody.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_networks.iter().any(|network| network.contains(peer))
    }
}
