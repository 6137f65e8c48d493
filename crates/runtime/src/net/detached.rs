//! A connection on its way to another thread.

use std::io;
use std::net::{self, SocketAddr};

use super::plain::Plain;
use super::{READ_BYTES_MIN, Stream, Transport};

/// A connection that no thread looks after.
#[derive(Debug)]
pub struct Detached {
    tcp: net::TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
}

impl Stream {
    /// Takes the connection off this thread, so that another can [`Detached::attach`] it. Only one that is new can be moved: its octets are all in the kernel still.
    ///
    /// # Errors
    /// It is not a plain TCP connection, or it is gone.
    pub fn detach(self) -> io::Result<Detached> {
        let Transport::Plain(Plain::Tcp(tcp)) = self.transport else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "only a plain TCP connection can be moved"));
        };
        Ok(Detached { tcp: tcp.into_std()?, peer: self.peer, local: self.local })
    }
}

impl Detached {
    /// The connection, on this thread from now on.
    ///
    /// # Errors
    /// The system's.
    pub fn attach(self) -> io::Result<Stream> {
        let Self { tcp, peer, local } = self;
        let tcp = tokio::net::TcpStream::from_std(tcp)?;
        Ok(Stream { transport: Transport::Plain(Plain::Tcp(tcp)), peer, local, room: READ_BYTES_MIN })
    }
}
