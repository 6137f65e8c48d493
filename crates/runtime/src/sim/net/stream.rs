//! The ends of connections as the rest of this crate holds them.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::{Knocked, Looked, Side};
use crate::sim::host::Place;
use crate::sim::{Here, World};

/// The waits between calls that nobody answers (tcp(7): `tcp_syn_retries`).
const CALLS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct SimStream {
    world: Arc<World>,
    id: usize,
    side: Side,
    arrival: Option<Pin<Box<Sleep>>>,
}

/// Who takes calls at an address.
#[derive(Debug)]
pub(crate) struct SimListener {
    world: Arc<World>,
    place: Place,
    address: SocketAddr,
}

impl SimListener {
    pub(crate) fn bind(here: Here, address: SocketAddr) -> io::Result<Self> {
        let address = here.world.state().listen(here.place, address)?;
        Ok(Self { world: here.world, place: here.place, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn accept(&self) -> SimStream {
        let id = poll_fn(|context| self.world.state().accept(self.address, context)).await;
        SimStream::new(Arc::clone(&self.world), id, Side::Server)
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let now = self.world.elapsed();
        self.world.state().listen_no_more(self.place, self.address, now);
    }
}

/// Calls an address until it answers.
pub(crate) async fn connect(here: Here, address: SocketAddr, source: Option<IpAddr>) -> io::Result<SimStream> {
    let Here { world, place } = here;
    let local = world.state().local_for(place, source)?;
    for wait in CALLS {
        let way = world.state().latency();
        tokio::time::sleep(way).await;
        let now = world.elapsed();
        let knocked = world.state().knock(place, address);
        match knocked {
            Knocked::Open => {
                let id = world.state().connect(place, local, address, now);
                let Some(id) = id else { return Err(io::ErrorKind::ConnectionRefused.into()) };
                let stream = SimStream::new(Arc::clone(&world), id, Side::Client);
                let way = world.state().latency();
                tokio::time::sleep(way).await;
                return Ok(stream);
            }
            Knocked::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
            Knocked::Silence => tokio::time::sleep(Duration::from_secs(wait)).await,
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

impl SimStream {
    fn new(world: Arc<World>, id: usize, side: Side) -> Self {
        Self { world, id, side, arrival: None }
    }

    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// This end's address, and the other's.
    pub(crate) fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        self.world.state().addresses(self.id, self.side).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        let now = self.world.elapsed();
        self.world.state().close(self.id, self.side, now);
    }
}

impl AsyncRead for SimStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let now = self.world.elapsed();
            let looked = self.world.state().read(self.id, self.side, buffer.remaining(), now, context);
            match looked {
                Looked::Ready(read) => {
                    buffer.put_slice(&read?);
                    return Poll::Ready(Ok(()));
                }
                Looked::Nothing => return Poll::Pending,
                Looked::At(when) => {
                    let at = self.world.instant(when);
                    let sleep = self.arrival.insert(Box::pin(tokio::time::sleep_until(at)));
                    ready!(sleep.as_mut().poll(context));
                    self.arrival = None;
                }
            }
        }
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let now = self.world.elapsed();
        self.world.state().write(self.id, self.side, octets, now, context)
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = self.world.elapsed();
        self.world.state().shut(self.id, self.side, now);
        Poll::Ready(Ok(()))
    }
}
