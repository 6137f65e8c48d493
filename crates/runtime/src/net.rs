//! Sockets: listening, and streams that are plain TCP or TLS over it.
//!
//! A [`Stream`] belongs to the thread that accepted or connected it. While nothing comes in it holds no buffer. It sets no
//! deadlines but those of the TLS handshake and of [`Stream::close`]: the caller wraps its reads and writes in
//! [`crate::clock::timeout`].

use std::future::{Future as _, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::clock;
use crate::local::LocalStream;
#[cfg(feature = "sim")]
use crate::sim::{self, net::SimListener};
use crate::tls::{CertificateInfo, ClientTls, ServerTls, TlsError, TlsInfo};

mod detached;
mod plain;
mod poll;
pub mod proxy;

pub use detached::Detached;

use plain::Plain;
use proxy::{Proxied, ProxyError};

/// What the kernel holds for us of connections that nobody has accepted yet.
const BACKLOG: i32 = 1024;
/// The most one [`Stream::read`] appends.
const READ_BYTES_MAX: usize = 64 * 1024;
/// What a read asks room for at first; doubled while reads fill it.
const READ_BYTES_MIN: usize = 4 * 1024;
/// How long a whole [`Stream::close`] may take.
const CLOSE_MAX: Duration = Duration::from_secs(5);
/// How long, and for how much, a close goes on reading what the peer still sends.
const LINGER_MAX: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 1024 * 1024;
/// How long to wait before accepting again when the process is out of descriptors or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A listening socket. Clones ([`Listener::try_clone`]) share the queue of connections, so each worker may have its own.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    local: SocketAddr,
}

#[derive(Debug)]
enum Socket {
    System {
        socket: std::net::TcpListener,
        /// The same socket, known to the runtime of the thread that accepts.
        registered: OnceLock<TcpListener>,
    },
    #[cfg(feature = "sim")]
    Sim(std::sync::Arc<SimListener>),
}

impl Listener {
    /// Listens on an address; port 0 lets the system choose. An IPv6 address never takes IPv4 connections along, so that a peer's
    /// address always shows its true family to the rules that look at it.
    ///
    /// # Errors
    /// The address is in use, not ours, or needs privileges; the system's words.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        #[cfg(feature = "sim")]
        if let Some(here) = sim::here() {
            return SimListener::bind(here, address).map(|listener| Self::of_world(std::sync::Arc::new(listener)));
        }
        let socket = unbound(address)?;
        rustix::net::bind(&socket, &address)?;
        // Only now: with it, two servers could bind the same address and neither would be told.
        sockopt::set_socket_reuseport(&socket, true)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Self::from_socket(socket.into())
    }

    /// Another queue of connections at the same address, for another thread: the system shares new connections out evenly, and wakes one
    /// thread for each. A socket that another process has bound has one queue only, and this is then the same.
    ///
    /// # Errors
    /// Out of file descriptors.
    pub fn another(&self) -> io::Result<Self> {
        #[cfg(feature = "sim")]
        if matches!(self.socket, Socket::Sim(_)) {
            return self.try_clone();
        }
        let beside = || -> io::Result<Self> {
            let socket = unbound(self.local)?;
            sockopt::set_socket_reuseport(&socket, true)?;
            rustix::net::bind(&socket, &self.local)?;
            rustix::net::listen(&socket, BACKLOG)?;
            Self::from_socket(socket.into())
        };
        beside().or_else(|_| self.try_clone())
    }

    /// A socket that another process has bound for us.
    ///
    /// # Errors
    /// It does not listen.
    pub(crate) fn handed_over(socket: std::net::TcpListener) -> io::Result<Self> {
        if !sockopt::socket_acceptconn(&socket)? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a socket was handed over that does not listen"));
        }
        socket.set_nonblocking(true)?;
        Self::from_socket(socket)
    }

    /// The socket itself, to be handed over; `None` in a simulated world.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.socket {
            Socket::System { socket, .. } => Some(socket.as_fd()),
            #[cfg(feature = "sim")]
            Socket::Sim(_) => None,
        }
    }

    fn from_socket(socket: std::net::TcpListener) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self { socket: Socket::System { socket, registered: OnceLock::new() }, local })
    }

    #[cfg(feature = "sim")]
    fn of_world(listener: std::sync::Arc<SimListener>) -> Self {
        Self { local: listener.address(), socket: Socket::Sim(listener) }
    }

    /// The same socket for another thread.
    ///
    /// # Errors
    /// Out of file descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        match &self.socket {
            Socket::System { socket, .. } => Self::from_socket(socket.try_clone()?),
            #[cfg(feature = "sim")]
            Socket::Sim(listener) => Ok(Self::of_world(std::sync::Arc::clone(listener))),
        }
    }

    /// The address it listens on, with the port the system chose.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next connection. Connections that failed before they were taken are passed over, and an exhausted process waits, so an
    /// error is final. Cancel-safe. Always call it on the same thread.
    ///
    /// # Errors
    /// The socket itself is broken.
    pub async fn accept(&self) -> io::Result<Stream> {
        let (socket, registered) = match &self.socket {
            Socket::System { socket, registered } => (socket, registered),
            #[cfg(feature = "sim")]
            Socket::Sim(listener) => return Stream::of_world(listener.accept().await),
        };
        loop {
            match register(socket, registered)?.accept().await {
                Ok((tcp, peer)) => {
                    // A connection that is already gone again has no local address.
                    if let Ok(stream) = Stream::of(tcp, peer) {
                        return Ok(stream);
                    }
                }
                Err(error) if is_exhausted(&error) => {
                    tracing::warn!(listener = %self.local, %error, "cannot accept connections for now");
                    clock::sleep(EXHAUSTED_PAUSE).await;
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn register<'a>(socket: &std::net::TcpListener, registered: &'a OnceLock<TcpListener>) -> io::Result<&'a TcpListener> {
    if registered.get().is_none() {
        let known = TcpListener::from_std(socket.try_clone()?)?;
        // Set meanwhile: by this same thread, so not at all.
        let _ = registered.set(known);
    }
    registered.get().ok_or_else(|| io::Error::other("the listener is not registered"))
}

fn unbound(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    // A restarted server may take its port back while old connections linger in TIME_WAIT.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// accept(2): errors of the new connection's network that are reported on the listening socket.
fn is_of_one_connection(error: &io::Error) -> bool {
    use rustix::io::Errno;
    const PASSING: [Errno; 11] = [
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::INTR,
        Errno::PERM,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::NONET,
        Errno::HOSTUNREACH,
        Errno::NETUNREACH,
    ];
    PASSING.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// A connection: TCP, or TLS over it. `TCP_NODELAY` is set, so write what belongs together in one [`Stream::write_all`].
#[derive(Debug)]
pub struct Stream {
    transport: Transport,
    peer: SocketAddr,
    local: SocketAddr,
    /// What the next read makes room for.
    room: usize,
}

/// The TLS states are large and boxed, so that an idle plain connection stays small.
#[derive(Debug)]
enum Transport {
    Plain(Plain),
    Server(Box<Secured<tokio_rustls::server::TlsStream<Plain>>>),
    Client(Box<Secured<tokio_rustls::client::TlsStream<Plain>>>),
}

/// What [`Stream::write_or_read`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// This many octets of `bytes` were taken.
    Written(usize),
    /// This many octets came in; 0 at the end of the stream.
    Read(usize),
}

#[derive(Debug)]
struct Secured<S> {
    tls: S,
    info: TlsInfo,
}

impl Stream {
    /// Connects, from the address `source` when it is given. Without a deadline of its own the system gives up after minutes.
    ///
    /// # Errors
    /// Refused, unreachable, timed out, or `source` is not an address of this host.
    pub async fn connect(address: SocketAddr, source: Option<IpAddr>) -> io::Result<Self> {
        #[cfg(feature = "sim")]
        if let Some(here) = sim::here() {
            return Self::of_world(sim::net::connect(here, address, source).await?);
        }
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let tcp = socket.connect(address).await?;
        Self::of(tcp, address)
    }

    fn of(tcp: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        let local = tcp.local_addr()?;
        Ok(Self { transport: Transport::Plain(Plain::Tcp(tcp)), peer, local, room: READ_BYTES_MIN })
    }

    /// A connection within this machine; both its ends are called loopback.
    #[must_use]
    pub fn of_local(stream: LocalStream) -> Self {
        let here = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        Self { transport: Transport::Plain(Plain::Local(stream.into_inner())), peer: here, local: here, room: READ_BYTES_MIN }
    }

    #[cfg(feature = "sim")]
    fn of_world(stream: sim::net::SimStream) -> io::Result<Self> {
        let (local, peer) = stream.addresses()?;
        Ok(Self { transport: Transport::Plain(Plain::Sim(stream)), peer, local, room: READ_BYTES_MIN })
    }

    /// Its number in the simulated world that it is in.
    #[cfg(feature = "sim")]
    #[must_use]
    pub fn sim_connection(&self) -> Option<usize> {
        match self.plain() {
            Plain::Tcp(_) | Plain::Local(_) => None,
            Plain::Sim(stream) => Some(stream.id()),
        }
    }

    fn plain(&self) -> &Plain {
        match &self.transport {
            Transport::Plain(plain) => plain,
            Transport::Server(secured) => secured.tls.get_ref().0,
            Transport::Client(secured) => secured.tls.get_ref().0,
        }
    }

    /// Has what came in acknowledged now and not up to 40 ms later, for one who has nothing to say and waits for more: a peer without `TCP_NODELAY` holds its next
    /// words back until then. It lasts for a few segments only, and where the system has no such thing the peer is waited for.
    pub fn acknowledge(&self) {
        match self.plain() {
            #[cfg(target_os = "linux")]
            Plain::Tcp(tcp) => {
                let _ = tcp.set_quickack(true);
            }
            #[cfg(not(target_os = "linux"))]
            Plain::Tcp(_) => {}
            Plain::Local(_) => {}
            #[cfg(feature = "sim")]
            Plain::Sim(_) => {}
        }
    }

    /// Reads the PROXY header that must come first, and is from then on the connection of the client that it names. Nothing behind the header is
    /// read. Sets no deadline.
    ///
    /// # Errors
    /// Something else came, or nothing more; the connection is of no use.
    pub async fn proxied(mut self) -> io::Result<Self> {
        let Transport::Plain(plain) = &mut self.transport else { return Err(io::ErrorKind::Unsupported.into()) };
        let no_header = |error: ProxyError| io::Error::new(io::ErrorKind::InvalidData, error);
        let mut first = [0; proxy::SIGNATURE.len()];
        plain.read_exact(&mut first).await?;
        let proxied = if first == proxy::SIGNATURE {
            let mut fixed = [0; proxy::FIXED_BYTES];
            let (signature, behind) = fixed.split_at_mut(first.len());
            signature.copy_from_slice(&first);
            plain.read_exact(behind).await?;
            let mut rest = vec![0; proxy::rest_length(&fixed).map_err(no_header)?];
            plain.read_exact(&mut rest).await?;
            proxy::read_binary(&fixed, &rest)
        } else if first.starts_with(b"PROXY ") {
            let mut line = first.to_vec();
            while line.last() != Some(&b'\n') && line.len() < proxy::TEXT_BYTES_MAX {
                line.push(plain.read_u8().await?);
            }
            proxy::read_text(&line)
        } else {
            Err(ProxyError::Missing)
        };
        if let Proxied::For { client, local } = proxied.map_err(no_header)? {
            (self.peer, self.local) = (client, local);
        }
        Ok(self)
    }

    /// The other end.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// This end.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// What the TLS handshake agreed on; `None` on a plain connection.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Server(secured) => Some(&secured.info),
            Transport::Client(secured) => Some(&secured.info),
        }
    }

    /// The certificates that the other end showed, its own first; none on a plain connection.
    #[must_use]
    pub fn peer_certificates(&self) -> Vec<CertificateInfo> {
        let shown = match &self.transport {
            Transport::Plain(_) => None,
            Transport::Server(secured) => secured.tls.get_ref().1.peer_certificates(),
            Transport::Client(secured) => secured.tls.get_ref().1.peer_certificates(),
        };
        shown.unwrap_or_default().iter().filter_map(CertificateInfo::of).collect()
    }

    /// Appends what has come in to `buffer`: between 1 and 65,536 octets, or 0 at the end of the stream. Cancel-safe: a dropped
    /// read has taken nothing. While it waits an empty `buffer` is given back to the allocator.
    ///
    /// # Errors
    /// The connection broke; over TLS also when it ended without `close_notify`, as a cut connection does.
    pub async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        let room = self.room;
        let count = match &mut self.transport {
            Transport::Plain(plain) => read_some(plain, buffer, room).await,
            Transport::Server(secured) => read_some(&mut secured.tls, buffer, room).await,
            Transport::Client(secured) => read_some(&mut secured.tls, buffer, room).await,
        }?;
        // Commands are small and letters are large: the room follows what comes in.
        self.room = if count >= room {
            room * 2
        } else if count < room / 4 {
            room / 2
        } else {
            room
        }
        .clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        Ok(count)
    }

    /// Writes all of `bytes` and hands it to the network. Not cancel-safe: after a dropped or failed write the stream can only be
    /// dropped.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.transport {
            Transport::Plain(plain) => plain.write_all(bytes).await,
            Transport::Server(secured) => {
                secured.tls.write_all(bytes).await?;
                secured.tls.flush().await
            }
            Transport::Client(secured) => {
                secured.tls.write_all(bytes).await?;
                secured.tls.flush().await
            }
        }
    }

    /// Writes a part of `bytes`, or appends to `buffer` what came in, whichever can be done first; with no `bytes` left, hands over what was
    /// written. For one who must not wait with a full hand while the peer waits for its own words to be read (RFC 2920 §3.1).
    /// As with [`Stream::write_all`], after a dropped or failed call the stream can only be dropped.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn write_or_read(&mut self, bytes: &[u8], buffer: &mut BytesMut) -> io::Result<Moved> {
        match &mut self.transport {
            Transport::Plain(plain) => poll_fn(|context| poll_both(plain, bytes, buffer, context)).await,
            Transport::Server(secured) => poll_fn(|context| poll_both(&mut secured.tls, bytes, buffer, context)).await,
            Transport::Client(secured) => poll_fn(|context| poll_both(&mut secured.tls, bytes, buffer, context)).await,
        }
    }

    /// Ends the connection in order: `close_notify` over TLS, then FIN, then reads for a moment what the peer had under way,
    /// because closing over unread data resets the connection and can take the last reply with it. At most five seconds; afterwards the stream can only be dropped.
    pub async fn close(&mut self) {
        let _ = clock::timeout(CLOSE_MAX, async {
            let shut = match &mut self.transport {
                Transport::Plain(plain) => plain.shutdown().await,
                Transport::Server(secured) => secured.tls.shutdown().await,
                Transport::Client(secured) => secured.tls.shutdown().await,
            };
            if shut.is_ok() {
                let _ = clock::timeout(LINGER_MAX, self.linger()).await;
            }
        })
        .await;
    }

    async fn linger(&mut self) {
        let plain = match &mut self.transport {
            Transport::Plain(plain) => plain,
            Transport::Server(secured) => secured.tls.get_mut().0,
            Transport::Client(secured) => secured.tls.get_mut().0,
        };
        let mut unread = BytesMut::new();
        let mut taken = 0;
        while let Ok(count @ 1..) = read_some(plain, &mut unread, READ_BYTES_MIN).await {
            taken += count;
            if taken > LINGER_BYTES_MAX {
                break;
            }
            unread.clear();
        }
    }

    /// Takes the server's part of a TLS handshake, for at most 30 seconds.
    ///
    /// The plain stream is consumed. After STARTTLS the caller must also drop whatever plaintext it has read and not yet used
    /// (RFC 3207 §4.2): octets that came before the handshake were not protected by it.
    ///
    /// # Errors
    /// [`TlsError`]; the connection is closed. Also when there is TLS on it already.
    pub async fn into_tls_server(self, tls: &ServerTls) -> Result<Self, TlsError> {
        let (peer, local) = (self.peer, self.local);
        let (stream, info) = tls.accept(self.into_plain()?).await?;
        Ok(Self { transport: Transport::Server(Box::new(Secured { tls: stream, info })), peer, local, room: READ_BYTES_MIN })
    }

    /// Takes the client's part of a TLS handshake with the server called `name` (a host name or an IP address), for at most 30
    /// seconds. As with [`Stream::into_tls_server`] the caller drops plaintext it has buffered.
    ///
    /// # Errors
    /// [`TlsError`]; the connection is closed. Also when there is TLS on it already.
    pub async fn into_tls_client(self, tls: &ClientTls, name: &str) -> Result<Self, TlsError> {
        let (peer, local) = (self.peer, self.local);
        let (stream, info) = tls.connect(self.into_plain()?, name).await?;
        Ok(Self { transport: Transport::Client(Box::new(Secured { tls: stream, info })), peer, local, room: READ_BYTES_MIN })
    }

    fn into_plain(self) -> Result<Plain, TlsError> {
        match self.transport {
            Transport::Plain(plain) => Ok(plain),
            Transport::Server(_) | Transport::Client(_) => Err(TlsError::AlreadySecure),
        }
    }
}

/// One read of at most `room` octets that holds no memory while it waits.
pub(crate) async fn read_some<S: AsyncRead + Unpin>(source: &mut S, buffer: &mut BytesMut, room: usize) -> io::Result<usize> {
    poll_fn(|context| poll_read_some(source, buffer, room, context)).await
}

fn poll_read_some<S: AsyncRead + Unpin>(
    source: &mut S,
    buffer: &mut BytesMut,
    room: usize,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    buffer.reserve(room);
    let polled = {
        let mut limited = (&mut *buffer).limit(room);
        let read: Pin<&mut _> = pin!(source.read_buf(&mut limited));
        read.poll(context)
    };
    if polled.is_pending() && buffer.is_empty() {
        *buffer = BytesMut::new();
    }
    polled
}

/// Reading comes first: a peer that cannot get rid of its words may have stopped listening to ours.
fn poll_both<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    bytes: &[u8],
    buffer: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<io::Result<Moved>> {
    if let Poll::Ready(read) = poll_read_some(stream, buffer, READ_BYTES_MIN, context) {
        return Poll::Ready(read.map(Moved::Read));
    }
    if bytes.is_empty() {
        ready!(Pin::new(stream).poll_flush(context))?;
        return Poll::Ready(Ok(Moved::Written(0)));
    }
    match ready!(Pin::new(stream).poll_write(context, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        count => Poll::Ready(Ok(Moved::Written(count))),
    }
}

/// Whether connections can come from this address: whether it is one of this host's.
///
/// # Errors
/// The system's words.
pub fn can_leave_by(address: IpAddr) -> io::Result<()> {
    #[cfg(feature = "sim")]
    if sim::here().is_some() {
        return Ok(());
    }
    let address = SocketAddr::new(address, 0);
    rustix::net::bind(&unbound(address)?, &address)?;
    Ok(())
}

/// Whether this host has IPv6 on its loopback interface.
#[must_use]
pub fn has_ipv6_loopback() -> bool {
    Listener::bind(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0)).is_ok()
}

#[cfg(test)]
mod tests;
