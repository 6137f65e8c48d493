//! The network: connections as two pipes of segments that take their time.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use super::event::Event;
use super::host::{Host, Place};
use super::state::State;

mod stream;

pub(crate) use stream::{SimListener, SimStream, connect};

/// What one direction holds that has not been read: two socket buffers.
const PIPE_BYTES_MAX: usize = 128 * 1024;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who opened it.
    Client,
    /// Who was called.
    Server,
}

impl Side {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// Connections that wait to be accepted.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(super) place: Place,
    queue: VecDeque<usize>,
    acceptor: Option<Waker>,
}

#[derive(Debug)]
pub(crate) struct Connection {
    client: End,
    server: End,
}

/// An end, with what is under way to it.
#[derive(Debug)]
struct End {
    place: Place,
    address: SocketAddr,
    incoming: VecDeque<Segment>,
    incoming_bytes: usize,
    reader: Option<Waker>,
    /// Who waits at the other end to send more to this one.
    sender: Option<Waker>,
    /// When the last segment arrives here: none overtakes another.
    last: Duration,
    /// This end sends no more.
    is_shut: bool,
    is_closed: bool,
    is_broken: bool,
}

#[derive(Debug)]
struct Segment {
    at: Duration,
    what: What,
}

#[derive(Debug)]
enum What {
    Data(Bytes),
    Fin,
    Reset,
}

/// What a look into a pipe found.
pub(super) enum Looked {
    Ready(io::Result<Bytes>),
    /// Something arrives then.
    At(Duration),
    Nothing,
}

/// What a call for a connection found.
pub(super) enum Knocked {
    /// Somebody listens.
    Open,
    /// Nobody does, and the host says so.
    Refused,
    /// No answer.
    Silence,
}

impl Connection {
    fn end(&self, side: Side) -> &End {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

impl End {
    fn new(place: Place, address: SocketAddr) -> Self {
        Self {
            place,
            address,
            incoming: VecDeque::new(),
            incoming_bytes: 0,
            reader: None,
            sender: None,
            last: Duration::ZERO,
            is_shut: false,
            is_closed: false,
            is_broken: false,
        }
    }

    fn push(&mut self, at: Duration, what: What) {
        self.last = self.last.max(at);
        if let What::Data(octets) = &what {
            self.incoming_bytes += octets.len();
        }
        self.incoming.push_back(Segment { at: self.last, what });
        self.wake_reader();
    }

    /// A reset overtakes everything.
    fn reset(&mut self, at: Duration) {
        self.clear();
        self.incoming.push_back(Segment { at, what: What::Reset });
        self.wake();
    }

    fn clear(&mut self) {
        self.incoming.clear();
        self.incoming_bytes = 0;
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake(&mut self) {
        self.wake_reader();
        if let Some(waker) = self.sender.take() {
            waker.wake();
        }
    }
}

impl State {
    fn latency(&mut self) -> Duration {
        let weather = self.weather;
        let spread = weather.latency_max.saturating_sub(weather.latency_min);
        let stall = if self.chance.happens(weather.stalls) { self.chance.up_to(weather.stall_max) } else { Duration::ZERO };
        weather.latency_min + self.chance.up_to(spread) + stall
    }

    pub(super) fn listen(&mut self, place: Place, address: SocketAddr) -> io::Result<SocketAddr> {
        let own = self.address(place).ok_or(io::ErrorKind::AddrNotAvailable)?;
        if address.ip() != own && !address.ip().is_unspecified() {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let address = SocketAddr::new(own, address.port());
        if self.listeners.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        self.listeners.insert(address, Listening { place, queue: VecDeque::new(), acceptor: None });
        Ok(address)
    }

    pub(super) fn listen_no_more(&mut self, place: Place, address: SocketAddr, now: Duration) {
        if self.listeners.get(&address).is_none_or(|listening| listening.place != place) {
            return;
        }
        for id in self.listeners.remove(&address).map(|listening| listening.queue).unwrap_or_default() {
            self.close(id, Side::Server, now);
        }
    }

    pub(super) fn accept(&mut self, address: SocketAddr, context: &Context<'_>) -> Poll<usize> {
        let Some(listening) = self.listeners.get_mut(&address) else { return Poll::Pending };
        match listening.queue.pop_front() {
            Some(id) => Poll::Ready(id),
            None => {
                listening.acceptor = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn knock(&self, place: Place, address: SocketAddr) -> Knocked {
        let Some(server) = self.at(address.ip()) else { return Knocked::Silence };
        if self.is_cut(place.host, server) || !self.is_up(server) {
            Knocked::Silence
        } else if self.listeners.contains_key(&address) {
            Knocked::Open
        } else {
            Knocked::Refused
        }
    }

    pub(super) fn connect(&mut self, place: Place, local: SocketAddr, address: SocketAddr, now: Duration) -> Option<usize> {
        let id = self.connections.len();
        let listening = self.listeners.get_mut(&address)?;
        listening.queue.push_back(id);
        if let Some(waker) = listening.acceptor.take() {
            waker.wake();
        }
        let server = listening.place;
        self.connections.push(Connection { client: End::new(place, local), server: End::new(server, address) });
        self.note(now, Event::Connected { id, client: Host::of(place), server: Host::of(server), address });
        Some(id)
    }

    pub(super) fn addresses(&self, id: usize, side: Side) -> Option<(SocketAddr, SocketAddr)> {
        let connection = self.connections.get(id)?;
        Some((connection.end(side).address, connection.end(side.other()).address))
    }

    pub(super) fn read(&mut self, id: usize, side: Side, room: usize, now: Duration, context: &Context<'_>) -> Looked {
        let Some(connection) = self.connections.get(id) else { return Looked::Nothing };
        let is_cut = self.is_cut(connection.client.place.host, connection.server.place.host);
        let Some(connection) = self.connections.get_mut(id) else { return Looked::Nothing };
        let end = connection.end_mut(side);
        if end.is_broken {
            return Looked::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        match end.incoming.front_mut().filter(|_| !is_cut) {
            None => {
                end.reader = Some(context.waker().clone());
                Looked::Nothing
            }
            Some(segment) if segment.at > now => Looked::At(segment.at),
            Some(Segment { what: What::Fin, .. }) => Looked::Ready(Ok(Bytes::new())),
            Some(Segment { what: What::Reset, .. }) => {
                end.is_broken = true;
                Looked::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Some(Segment { what: What::Data(octets), .. }) => {
                let some = octets.split_to(octets.len().min(room));
                if octets.is_empty() {
                    end.incoming.pop_front();
                }
                end.incoming_bytes -= some.len();
                if let Some(waker) = end.sender.take() {
                    waker.wake();
                }
                self.note(now, Event::Read { id, side, count: some.len() });
                Looked::Ready(Ok(some))
            }
        }
    }

    pub(super) fn write(
        &mut self,
        id: usize,
        side: Side,
        octets: &[u8],
        now: Duration,
        context: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let latency = self.latency();
        let (breaks, segment_max) = (self.weather.breaks, self.weather.segment_max.max(1));
        let Some(connection) = self.connections.get(id) else { return Poll::Pending };
        let there = connection.end(side.other()).place;
        let (is_there, is_up) = (self.is_alive(there), self.is_up(there.host));
        let Some(connection) = self.connections.get_mut(id) else { return Poll::Pending };
        let here = connection.end_mut(side);
        if here.is_broken || here.is_shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let there = connection.end_mut(side.other());
        let is_gone = there.is_closed || (!is_there && is_up);
        if !is_gone && there.incoming_bytes >= PIPE_BYTES_MAX {
            there.sender = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = octets.len().min(segment_max).min(PIPE_BYTES_MAX);
        let some = Bytes::copy_from_slice(octets.get(..count).unwrap_or(octets));
        if is_gone {
            // Nobody knows of this connection over there.
            connection.end_mut(side).reset(now + latency);
        } else {
            there.push(now + latency, What::Data(some.clone()));
        }
        self.note(now, Event::Sent { id, side, octets: some });
        if self.chance.happens(breaks) {
            self.break_connection(id, now);
        }
        Poll::Ready(Ok(count))
    }

    pub(super) fn shut(&mut self, id: usize, side: Side, now: Duration) {
        let latency = self.latency();
        let Some(connection) = self.connections.get_mut(id) else { return };
        if std::mem::replace(&mut connection.end_mut(side).is_shut, true) {
            return;
        }
        let there = connection.end_mut(side.other());
        if !there.is_closed {
            there.push(now + latency, What::Fin);
        }
        self.note(now, Event::Shut { id, side });
    }

    /// An end goes away: in order, or with a reset when it leaves something unread (RFC 2525 §2.17). One without power says nothing.
    pub(super) fn close(&mut self, id: usize, side: Side, now: Duration) {
        let latency = self.latency();
        let Some(connection) = self.connections.get(id) else { return };
        let is_alive = self.is_alive(connection.end(side).place);
        let Some(connection) = self.connections.get_mut(id) else { return };
        let here = connection.end_mut(side);
        if std::mem::replace(&mut here.is_closed, true) {
            return;
        }
        let (is_shut, unread) = (std::mem::replace(&mut here.is_shut, true), here.incoming_bytes > 0);
        here.clear();
        here.wake();
        if !is_alive {
            return;
        }
        let there = connection.end_mut(side.other());
        if unread {
            there.reset(now + latency);
        } else if !is_shut {
            there.push(now + latency, What::Fin);
        }
        self.note(now, Event::Closed { id, side, reset: unread });
    }

    pub(super) fn break_connection(&mut self, id: usize, now: Duration) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.client.reset(now);
        connection.server.reset(now);
        self.note(now, Event::Broken { id });
    }

    /// The connections whose ends are both open.
    pub(super) fn standing(&self) -> Vec<(usize, Host, Host)> {
        let all = self.connections.iter().enumerate();
        let standing = all.filter(|(_, connection)| {
            let ends = [&connection.client, &connection.server];
            ends.iter().all(|end| !end.is_closed && !end.is_broken && self.is_alive(end.place))
        });
        standing.map(|(id, connection)| (id, Host::of(connection.client.place), Host::of(connection.server.place))).collect()
    }

    pub(super) fn wake_all(&mut self) {
        for connection in &mut self.connections {
            connection.client.wake();
            connection.server.wake();
        }
    }

    pub(super) fn local_for(&mut self, place: Place, source: Option<IpAddr>) -> io::Result<SocketAddr> {
        self.local(place, source).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }
}
