//! A stream as a library polls it, in the words of `std` alone.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Stream, Transport};

impl Stream {
    /// Reads into `buffer`; 0 octets at the end of the stream. For libraries that bring their own buffers; ours use [`Stream::read`].
    ///
    /// # Errors
    /// As [`Stream::read`].
    pub fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(buffer);
        ready!(match &mut self.transport {
            Transport::Plain(plain) => Pin::new(plain).poll_read(context, &mut into),
            Transport::Server(secured) => Pin::new(&mut secured.tls).poll_read(context, &mut into),
            Transport::Client(secured) => Pin::new(&mut secured.tls).poll_read(context, &mut into),
        })?;
        Poll::Ready(Ok(into.filled().len()))
    }

    /// Writes a part of `octets`.
    ///
    /// # Errors
    /// The connection broke.
    pub fn poll_write(&mut self, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.writing()).poll_write(context, octets)
    }

    /// Hands over what was written.
    ///
    /// # Errors
    /// The connection broke.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.writing()).poll_flush(context)
    }

    /// Says that nothing more is written.
    ///
    /// # Errors
    /// The connection broke.
    pub fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.writing()).poll_shutdown(context)
    }

    fn writing(&mut self) -> &mut (dyn AsyncWrite + Unpin) {
        match &mut self.transport {
            Transport::Plain(plain) => plain,
            Transport::Server(secured) => &mut secured.tls,
            Transport::Client(secured) => &mut secured.tls,
        }
    }
}
