//! A letter's octets, piece by piece: files are read and encoded while they are sent, so that the size of a letter never shows in memory.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use posthouse_mail::mime::{BASE64_LINE_BYTES, Content, Segment, base64_lines};
use posthouse_runtime::stream::{ByteSource, CHUNK_BYTES_MAX, NextChunk};
use posthouse_runtime::task;

/// The octets of a file that make one chunk: whole lines of base64, each 78 octets with its end.
const RAW_BYTES: usize = CHUNK_BYTES_MAX / 78 * BASE64_LINE_BYTES;
/// The chunks that are read at a time: each time costs a change of threads.
const READ_AHEAD: usize = 4;

/// Opens a file's octets; called once for each time the letter is sent.
#[derive(Clone)]
pub(super) struct Opener(pub(super) Arc<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>);

/// The octets of a [`Message`](crate::Message), header and body. Made by [`Message::body`](crate::Message::body).
///
/// ```
/// use posthouse_client::stream::ByteSource as _;
/// use posthouse_client::{Body, Message, block_on};
///
/// let message = Message::builder().from("a@x.example").to("b@y.example").text("Hi.").build()?;
/// let mut body: Body = message.body();
/// let mut octets = 0;
/// while let Some(chunk) = block_on(body.next())?? {
///     octets += chunk.len() as u64;
/// }
/// assert_eq!(octets, message.size());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Body {
    segments: Arc<[Segment]>,
    files: Arc<[Opener]>,
    len: u64,
    /// The next segment.
    at: usize,
    /// What is left of the segment at hand, as it stands.
    plain: Bytes,
    /// What is left of the file at hand, not encoded yet.
    raw: Bytes,
    file: Option<File>,
    ready: VecDeque<Bytes>,
    /// Told when all was given out.
    given: Arc<AtomicBool>,
}

/// A file that is being read.
struct File {
    reader: Box<dyn Read + Send>,
    rest: u64,
    /// It is part of the letter as it stands, and not encoded.
    is_plain: bool,
}

impl Body {
    pub(super) fn new(segments: Arc<[Segment]>, files: Arc<[Opener]>, len: u64, given: Arc<AtomicBool>) -> Self {
        let empty = Bytes::new();
        Self { segments, files, len, at: 0, plain: empty.clone(), raw: empty, file: None, ready: VecDeque::new(), given }
    }

    /// The next chunk, read on this thread.
    pub(super) fn next_now(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(chunk) = self.at_hand() {
                return Ok(Some(chunk));
            }
            if let Some(file) = self.file.take() {
                (self.file, self.ready) = file.read_some()?;
                continue;
            }
            match self.advance()? {
                Next::End => return Ok(None),
                Next::Octets => {}
                Next::File { opener, rest, is_plain } => self.file = Some(File { reader: (opener.0)()?, rest, is_plain }),
            }
        }
    }

    /// The next chunk; files are read beside the runtime.
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(chunk) = self.at_hand() {
                return Ok(Some(chunk));
            }
            if let Some(file) = self.file.take() {
                (self.file, self.ready) = task::blocking(move || file.read_some()).await?;
                continue;
            }
            match self.advance()? {
                Next::End => {
                    self.given.store(true, Ordering::SeqCst);
                    return Ok(None);
                }
                Next::Octets => {}
                Next::File { opener, rest, is_plain } => {
                    let reader = task::blocking(move || (opener.0)()).await?;
                    self.file = Some(File { reader, rest, is_plain });
                }
            }
        }
    }

    fn at_hand(&mut self) -> Option<Bytes> {
        if let Some(chunk) = self.ready.pop_front() {
            return Some(chunk);
        }
        if !self.plain.is_empty() {
            return Some(self.plain.split_to(self.plain.len().min(CHUNK_BYTES_MAX)));
        }
        (!self.raw.is_empty()).then(|| encode(&self.raw.split_to(self.raw.len().min(RAW_BYTES))))
    }

    /// Goes on to the next segment.
    fn advance(&mut self) -> io::Result<Next> {
        let Some(segment) = self.segments.get(self.at) else { return Ok(Next::End) };
        self.at += 1;
        match segment {
            Segment::Octets(octets) => self.plain = octets.clone(),
            Segment::Base64 { content: Content::Here(octets), .. } => self.raw = octets.clone(),
            Segment::Base64 { content: Content::Elsewhere { len, key }, .. } => return self.file(*key, *len, false),
            Segment::File { len, key } => return self.file(*key, *len, true),
        }
        Ok(Next::Octets)
    }

    fn file(&self, key: usize, rest: u64, is_plain: bool) -> io::Result<Next> {
        let opener = self.files.get(key).cloned().ok_or_else(|| io::Error::other("there is no such file"))?;
        Ok(Next::File { opener, rest, is_plain })
    }
}

/// What a segment leads to.
enum Next {
    End,
    Octets,
    File { opener: Opener, rest: u64, is_plain: bool },
}

impl File {
    /// The next chunks, and the file if it goes on.
    fn read_some(mut self) -> io::Result<(Option<Self>, VecDeque<Bytes>)> {
        let mut chunks = VecDeque::with_capacity(READ_AHEAD);
        let mut buffer = Vec::with_capacity(RAW_BYTES);
        while self.rest > 0 && chunks.len() < READ_AHEAD {
            let wanted = self.rest.min(u64::try_from(RAW_BYTES).unwrap_or(u64::MAX));
            buffer.clear();
            let count = (&mut self.reader).take(wanted).read_to_end(&mut buffer)?;
            if u64::try_from(count).unwrap_or(u64::MAX) < wanted {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than it was when the letter was made"));
            }
            self.rest -= wanted;
            chunks.push_back(if self.is_plain { Bytes::copy_from_slice(&buffer) } else { encode(&buffer) });
        }
        if self.rest > 0 {
            return Ok((Some(self), chunks));
        }
        if self.reader.read(&mut [0])? > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than it was when the letter was made"));
        }
        Ok((None, chunks))
    }
}

impl ByteSource for Body {
    fn len(&self) -> u64 {
        self.len
    }

    fn next(&mut self) -> NextChunk<'_> {
        Box::pin(self.next_chunk())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

fn encode(raw: &[u8]) -> Bytes {
    let mut chunk = Vec::new();
    base64_lines(raw, &mut chunk);
    chunk.into()
}
