//! What octets travel over where there is no TLS: TCP, a socket of this machine, or a simulated world's network.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

#[cfg(feature = "sim")]
use crate::sim::net::SimStream;

/// See the module.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    Local(UnixStream),
    #[cfg(feature = "sim")]
    Sim(SimStream),
}

impl AsyncRead for Plain {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Local(local) => Pin::new(local).poll_read(context, buffer),
            #[cfg(feature = "sim")]
            Self::Sim(sim) => Pin::new(sim).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(context, octets),
            Self::Local(local) => Pin::new(local).poll_write(context, octets),
            #[cfg(feature = "sim")]
            Self::Sim(sim) => Pin::new(sim).poll_write(context, octets),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(context, slices),
            Self::Local(local) => Pin::new(local).poll_write_vectored(context, slices),
            #[cfg(feature = "sim")]
            Self::Sim(sim) => Pin::new(sim).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            Self::Local(local) => local.is_write_vectored(),
            #[cfg(feature = "sim")]
            Self::Sim(sim) => sim.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Local(local) => Pin::new(local).poll_flush(context),
            #[cfg(feature = "sim")]
            Self::Sim(sim) => Pin::new(sim).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Local(local) => Pin::new(local).poll_shutdown(context),
            #[cfg(feature = "sim")]
            Self::Sim(sim) => Pin::new(sim).poll_shutdown(context),
        }
    }
}
