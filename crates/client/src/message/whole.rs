//! Letters that are read whole from somewhere, of any size: what is beyond the first megabyte waits in a temporary file until it is sent.

use std::io::{self, Read, Write as _};
use std::sync::Arc;

use posthouse_mail::header::end_of_header;
use posthouse_mail::mime::{self, Segment};
use posthouse_mail::{Address, BodyKind, ReversePath};

use super::{MESSAGE_BYTES_MAX, Message, MessageError, file};

/// What is kept in memory; the header has to be in it.
const MEMORY_BYTES_MAX: usize = 1024 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;

impl Message {
    /// As [`Message::from_eml`], from a file, a pipe or whatever else can be read, without having the letter in memory: what is beyond its first megabyte waits in a
    /// temporary file.
    ///
    /// ```
    /// use posthouse_client::Message;
    ///
    /// let letter = std::io::Cursor::new("Subject: Hello\n\nHi.\n");
    /// let message = Message::from_eml_reader(letter, "alice@example.org".parse()?, vec!["bob@example.net".parse()?])?;
    /// assert_eq!(message.to_bytes()?, "Subject: Hello\r\n\r\nHi.\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`MessageError`]; a header that does not end within the first megabyte is [`MessageError::TooLarge`].
    pub fn from_eml_reader(letter: impl Read, from: ReversePath, to: Vec<Address>) -> Result<Self, MessageError> {
        let unread = |error: io::Error| MessageError::Read(error.to_string());
        let mut lines = Lines { letter, held: false, chunk: vec![0; CHUNK_BYTES] };
        let mut head = Vec::new();
        while head.len() < MEMORY_BYTES_MAX {
            match lines.next().map_err(unread)? {
                Some(octets) => head.extend_from_slice(&octets),
                None => return Self::from_eml(&head, from, to),
            }
        }
        if end_of_header(&head).is_none() {
            return Err(MessageError::TooLarge);
        }
        let mut file = file::spool().map_err(unread)?;
        let mut tail = Tail { ends_line: head.ends_with(b"\r\n"), ..Tail::default() };
        while let Some(octets) = lines.next().map_err(unread)? {
            tail.add(&octets)?;
            file.write_all(&octets).map_err(unread)?;
        }
        if !tail.ends_line {
            tail.add(b"\r\n")?;
            file.write_all(b"\r\n").map_err(unread)?;
        }
        file.flush().map_err(unread)?;
        // The first part has no end of a line behind its last octet, which `from_eml` would add.
        let mut message = Self::from_eml(whole_lines(&head), from, to)?;
        let rest = head.get(whole_lines(&head).len()..).unwrap_or_default().to_vec();
        if tail.eight_bit || !rest.is_ascii() {
            message.envelope.body = BodyKind::EightBitMime;
        }
        let tail_at = Segment::File { len: tail.len, key: 0 };
        let segments = message.segments.iter().cloned().chain([Segment::Octets(rest.into()), tail_at]);
        message.segments = segments.collect();
        message.size = message.segments.iter().map(Segment::len).fold(0, u64::saturating_add);
        if message.size > MESSAGE_BYTES_MAX {
            return Err(MessageError::TooLarge);
        }
        message.files = Arc::new([file::opener(file)]);
        Ok(message)
    }

    /// Writes the whole letter as it is sent, piece by piece.
    ///
    /// ```
    /// # use posthouse_client::Message;
    /// let message = Message::builder().from("a@x.example").to("b@y.example").text("Hi.").build()?;
    /// let mut file = Vec::new();
    /// message.write_to(&mut file)?;
    /// assert_eq!(file, message.to_bytes()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A file of the letter cannot be read any more or is not what it was, or `out` takes no more.
    pub fn write_to(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut body = self.body();
        while let Some(chunk) = body.next_now()? {
            out.write_all(&chunk)?;
        }
        Ok(())
    }
}

/// As far as the last end of a line.
fn whole_lines(octets: &[u8]) -> &[u8] {
    let end = octets.iter().rposition(|&octet| octet == b'\n').map_or(0, |at| at + 1);
    octets.get(..end).unwrap_or_default()
}

/// What is known of the octets in the file.
#[derive(Default)]
struct Tail {
    len: u64,
    eight_bit: bool,
    ends_line: bool,
}

impl Tail {
    fn add(&mut self, octets: &[u8]) -> Result<(), MessageError> {
        if octets.contains(&0) {
            return Err(MessageError::Nul);
        }
        self.len = self.len.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        self.eight_bit |= !octets.is_ascii();
        self.ends_line = octets.ends_with(b"\r\n");
        if self.len > MESSAGE_BYTES_MAX { Err(MessageError::TooLarge) } else { Ok(()) }
    }
}

/// What is read, with CRLF at the end of each line.
struct Lines<R> {
    letter: R,
    /// A CR came last: whether an LF follows is not known yet.
    held: bool,
    chunk: Vec<u8>,
}

impl<R: Read> Lines<R> {
    /// The next octets, which part no CRLF; nothing at the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let count = match self.letter.read(&mut self.chunk) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut octets = if std::mem::take(&mut self.held) { vec![b'\r'] } else { Vec::new() };
            octets.extend_from_slice(self.chunk.get(..count).unwrap_or_default());
            if count == 0 {
                return Ok((!octets.is_empty()).then(|| mime::to_crlf(&octets)));
            }
            if octets.last() == Some(&b'\r') {
                octets.pop();
                self.held = true;
            }
            if !octets.is_empty() {
                return Ok(Some(mime::to_crlf(&octets)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
