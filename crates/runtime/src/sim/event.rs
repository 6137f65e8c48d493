//! What happens in a world, for its trace and for those who judge it afterwards.

use std::fmt;
use std::net::SocketAddr;

use bytes::Bytes;

use super::host::Host;
use super::net::Side;

/// One thing that happened. Octets are kept whole, so that a judge can read every dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A connection stands.
    Connected {
        /// Its number, by which the other events name it.
        id: usize,
        /// Who opened it.
        client: Host,
        /// Who was called.
        server: Host,
        /// At which address.
        address: SocketAddr,
    },
    /// An end handed octets to the network.
    Sent {
        /// The connection.
        id: usize,
        /// Who sent.
        side: Side,
        /// What.
        octets: Bytes,
    },
    /// An end took octets from the network.
    Read {
        /// The connection.
        id: usize,
        /// Who read.
        side: Side,
        /// How many.
        count: usize,
    },
    /// An end has said that it sends no more.
    Shut {
        /// The connection.
        id: usize,
        /// Who.
        side: Side,
    },
    /// An end is gone.
    Closed {
        /// The connection.
        id: usize,
        /// Who.
        side: Side,
        /// Whether it left octets unread, so that the other end is told of a reset.
        reset: bool,
    },
    /// The network broke a connection.
    Broken {
        /// The connection.
        id: usize,
    },
    /// A link was cut.
    Cut {
        /// One end of it.
        one: Host,
        /// The other.
        other: Host,
    },
    /// A link was healed.
    Healed {
        /// One end of it.
        one: Host,
        /// The other.
        other: Host,
    },
    /// A host lost its power.
    Crashed {
        /// Which.
        host: Host,
    },
    /// A host has its power back.
    Started {
        /// Which.
        host: Host,
    },
    /// A host's wall clock was set.
    Clock {
        /// Whose.
        host: Host,
        /// How far it is from the right time.
        skew_millis: i64,
    },
    /// What somebody in the world had to say.
    Note {
        /// Who.
        host: Host,
        /// What.
        text: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { id, client, server, address } => write!(f, "#{id} {client} connects to {server} at {address}"),
            Self::Sent { id, side, octets } => {
                let shown = octets.get(..octets.len().min(200)).unwrap_or_default();
                write!(f, "#{id} {side} sends {} octets: {}", octets.len(), shown.escape_ascii())
            }
            Self::Read { id, side, count } => write!(f, "#{id} {side} reads {count} octets"),
            Self::Shut { id, side } => write!(f, "#{id} {side} sends no more"),
            Self::Closed { id, side, reset: false } => write!(f, "#{id} {side} is gone"),
            Self::Closed { id, side, reset: true } => write!(f, "#{id} {side} is gone and left something unread"),
            Self::Broken { id } => write!(f, "#{id} is broken by the network"),
            Self::Cut { one, other } => write!(f, "the link of {one} and {other} is cut"),
            Self::Healed { one, other } => write!(f, "the link of {one} and {other} is healed"),
            Self::Crashed { host } => write!(f, "{host} crashes"),
            Self::Started { host } => write!(f, "{host} starts"),
            Self::Clock { host, skew_millis } => write!(f, "the clock of {host} is {skew_millis} ms off"),
            Self::Note { host, text } => write!(f, "{host}: {text}"),
        }
    }
}
