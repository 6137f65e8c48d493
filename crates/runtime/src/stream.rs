//! Bytes that come in chunks: how a letter travels from where it is stored to where it goes.

use std::future::Future;
use std::io;
use std::pin::Pin;

use bytes::Bytes;

/// The octets one chunk of a [`ByteSource`] has at most.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;

/// The next chunk, or `None` at the end.
pub type NextChunk<'a> = Pin<Box<dyn Future<Output = io::Result<Option<Bytes>>> + Send + 'a>>;

/// The octets of one letter, chunk by chunk, so that its size never shows in memory.
pub trait ByteSource: Send {
    /// The octets still to come at the start; known before the first chunk (SIZE is announced with it).
    fn len(&self) -> u64;

    /// Whether there are none at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next chunk, at most [`CHUNK_BYTES_MAX`] octets and never empty; `None` at the end and ever after.
    ///
    /// An error means that the rest cannot be read: nothing that came before may be taken for the whole.
    fn next(&mut self) -> NextChunk<'_>;
}

impl<T: ByteSource + ?Sized> ByteSource for &mut T {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn next(&mut self) -> NextChunk<'_> {
        (**self).next()
    }
}

/// A [`ByteSource`] over octets in memory.
#[derive(Debug, Clone)]
pub struct Buffered {
    rest: Bytes,
    len: u64,
}

impl Buffered {
    /// All of `bytes`.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let rest = bytes.into();
        let len = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        Self { rest, len }
    }
}

impl ByteSource for Buffered {
    fn len(&self) -> u64 {
        self.len
    }

    fn next(&mut self) -> NextChunk<'_> {
        let chunk = self.rest.split_to(self.rest.len().min(CHUNK_BYTES_MAX));
        Box::pin(std::future::ready(Ok((!chunk.is_empty()).then_some(chunk))))
    }
}

/// Reads a source to its end into memory; for letters that are known to be small.
///
/// # Errors
/// The source's own, and [`io::ErrorKind::FileTooLarge`] once there are more than `bytes_max` octets.
pub async fn collect(source: &mut dyn ByteSource, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut whole = Vec::new();
    while let Some(chunk) = source.next().await? {
        if whole.len() + chunk.len() > bytes_max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {bytes_max} octets")));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests;
