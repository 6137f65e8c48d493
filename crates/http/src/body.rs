//! What is sent with a request: octets in memory, or a letter chunk by chunk.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use posthouse_runtime::stream::ByteSource;
use posthouse_runtime::sync::mpsc;

/// A body of a known length.
pub(crate) struct Outgoing {
    left: u64,
    rest: Rest,
}

enum Rest {
    Whole(Bytes),
    Fed(mpsc::Receiver<io::Result<Bytes>>),
}

impl Outgoing {
    pub(crate) fn whole(octets: Bytes) -> Self {
        Self { left: u64::try_from(octets.len()).unwrap_or(u64::MAX), rest: Rest::Whole(octets) }
    }

    /// One that is given its chunks by [`feed`].
    pub(crate) fn fed(len: u64) -> (Self, mpsc::Sender<io::Result<Bytes>>) {
        let (sender, chunks) = mpsc::channel(1);
        (Self { left: len, rest: Rest::Fed(chunks) }, sender)
    }
}

/// Gives the body its chunks, until there are no more or nobody wants them.
pub(crate) async fn feed(source: &mut dyn ByteSource, chunks: mpsc::Sender<io::Result<Bytes>>) {
    while let Some(chunk) = source.next().await.transpose() {
        let is_last = chunk.is_err();
        if chunks.send(chunk).await.is_err() || is_last {
            return;
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let chunk = match &mut this.rest {
            Rest::Whole(octets) if octets.is_empty() => None,
            Rest::Whole(octets) => Some(Ok(std::mem::take(octets))),
            Rest::Fed(chunks) => ready!(chunks.poll_recv(context)),
        };
        Poll::Ready(match chunk {
            Some(Ok(octets)) => {
                this.left = this.left.saturating_sub(u64::try_from(octets.len()).unwrap_or(u64::MAX));
                Some(Ok(Frame::data(octets)))
            }
            Some(Err(error)) => Some(Err(error)),
            // Half a letter is another letter.
            None if this.left > 0 => Some(Err(io::ErrorKind::UnexpectedEof.into())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
