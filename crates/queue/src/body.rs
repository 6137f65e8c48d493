//! Reading records back: the one way from the index to the octets on disk, and a letter's body as a [`ByteSource`].
//!
//! Every read checks the checksums. A letter that moves to another segment while it is read is looked up again. It never
//! hands out octets that were not checked; a mismatch that does not go away is damage ([`QueueError::Damaged`]).

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use posthouse_mail::LetterId;
use posthouse_runtime::stream::{ByteSource, NextChunk};
use posthouse_runtime::task;

use crate::error::QueueError;
use crate::index::{Key, Place, Shared, Which};
use crate::layout::{self, Kind, LayoutError, LogKind, RECORD_HEADER, RecordHeader, usize_of};
use crate::ops::Handle;
use crate::storage;

/// How often a record is looked up again before its moving about is taken for a fault.
const MOVES_MAX: usize = 16;

/// A record read and checked.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) header: RecordHeader,
    pub(crate) body: Bytes,
}

/// Reads one record of a letter; `None` when it has no such record.
pub(crate) fn fetch(shared: &Shared, id: LetterId, key: Key, which: Which) -> Result<Option<Fetched>, QueueError> {
    let mut tried = None;
    for _ in 0..MOVES_MAX {
        let place = shared.index().place(key, which).map_err(|_| QueueError::Gone(id))?;
        let Some(place) = place else { return Ok(None) };
        match read(&place, which) {
            Ok(fetched) => return Ok(Some(fetched)),
            // Read twice from the same place: it is not the letter that moves.
            Err(what) if tried == Some(place.piece) => return Err(QueueError::Damaged { id, what }),
            Err(_) => tried = Some(place.piece),
        }
    }
    Err(QueueError::Damaged { id, what: "it does not stay where it is".to_owned() })
}

/// Like [`fetch`], off this thread when the record is likely not in the page cache.
pub(crate) async fn fetch_async(
    shared: &Arc<Shared>,
    id: LetterId,
    key: Key,
    which: Which,
) -> Result<Option<Fetched>, QueueError> {
    let cold = shared.index().place(key, which).ok().flatten().is_some_and(|place| place.log == LogKind::Cold);
    if !cold {
        return fetch(shared, id, key, which);
    }
    let shared = Arc::clone(shared);
    task::blocking(move || fetch(&shared, id, key, which)).await
}

fn read(place: &Place, which: Which) -> Result<Fetched, String> {
    let (header, body) = read_record(place.file.as_ref(), place.piece.offset, place.piece.len).map_err(|why| why.to_string())?;
    let fits = match which {
        Which::Letter => header.kind == Kind::Letter,
        Which::Progress => header.kind == Kind::Progress,
        Which::Chunk(index) => header.kind == Kind::Chunk && usize_of(header.number) == index,
    };
    if fits && header.id == place.id { Ok(Fetched { header, body }) } else { Err("another record stands there".to_owned()) }
}

/// Reads the record at `offset`, whose body has `len` octets, and checks it.
pub(crate) fn read_record(file: &dyn storage::File, offset: u32, len: u32) -> io::Result<(RecordHeader, Bytes)> {
    let mut octets = vec![0; usize_of(RECORD_HEADER.saturating_add(len))];
    storage::read_exact(file, &mut octets, u64::from(offset))?;
    let octets = Bytes::from(octets);
    let body = octets.slice(usize_of(RECORD_HEADER)..);
    let header = RecordHeader::decode_any(&octets).and_then(|header| {
        layout::check_body(&header, &body)?;
        Ok(header)
    });
    header.map(|header| (header, body)).map_err(damaged)
}

fn damaged(why: LayoutError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A queued letter's octets, chunk by chunk, as they were written into the draft.
#[derive(Debug)]
pub struct BodyReader {
    handle: Arc<Handle>,
    id: LetterId,
    key: Key,
    size: u64,
    chunks: usize,
    next: Next,
}

/// What is read next: the front, the chunks, the tail. Front and tail stand in one record, which is read once.
#[derive(Debug)]
enum Next {
    Front,
    Chunk(usize, Bytes),
    End,
}

impl BodyReader {
    pub(crate) fn new(handle: Arc<Handle>, id: LetterId, key: Key, size: u64, chunks: usize) -> Self {
        Self { handle, id, key, size, chunks, next: Next::Front }
    }

    pub(crate) async fn read_next(&mut self) -> Result<Option<Bytes>, QueueError> {
        loop {
            let piece = match std::mem::replace(&mut self.next, Next::End) {
                Next::Front => {
                    let body = layout::decode_letter(&self.fetch(Which::Letter).await?);
                    let body = body.map_err(|why| QueueError::Damaged { id: self.id, what: why.to_string() })?;
                    self.next = Next::Chunk(0, body.tail);
                    body.front.into()
                }
                Next::Chunk(index, tail) if index < self.chunks => {
                    let chunk = self.fetch(Which::Chunk(index)).await?;
                    self.next = Next::Chunk(index + 1, tail);
                    chunk
                }
                Next::Chunk(_, tail) => tail,
                Next::End => return Ok(None),
            };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    async fn fetch(&self, which: Which) -> Result<Bytes, QueueError> {
        let fetched = fetch_async(&self.handle.shared, self.id, self.key, which).await?;
        fetched.map(|fetched| fetched.body).ok_or(QueueError::Gone(self.id))
    }
}

impl ByteSource for BodyReader {
    fn len(&self) -> u64 {
        self.size
    }

    fn next(&mut self) -> NextChunk<'_> {
        Box::pin(async { self.read_next().await.map_err(io::Error::other) })
    }
}
