//! Our streams as the library reads and writes them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use posthouse_runtime::net::Stream;

/// What one read takes; the library asks again for more.
const READ_BYTES: usize = 8 * 1024;

pub(crate) struct Io(pub(crate) Stream);

impl Read for Io {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let mut octets = [0; READ_BYTES];
        let room = buffer.remaining().min(READ_BYTES);
        let count = ready!(self.0.poll_read(context, octets.get_mut(..room).unwrap_or_default()))?;
        buffer.put_slice(octets.get(..count).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(context)
    }
}
