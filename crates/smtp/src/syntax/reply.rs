//! Reading the replies of a server.
//!
//! [`ReplyParser`] takes octets as they come and gives whole replies. Its memory is bounded: a line, and the lines of one reply. An error is
//! the server's fault and final: what it says next cannot be told from what it said before, so the connection is to be closed.

use bytes::BytesMut;
use posthouse_mail::{Reply, Status};
use thiserror::Error;

use super::line::{LineError, LineScanner};

/// The octets of a reply line, CRLF included. RFC 5321 §4.5.3.1.5 says 512; some servers put long addresses into theirs.
const LINE_BYTES_MAX: usize = 2048;
/// The lines of one reply; [`Reply`] keeps the first 128.
const LINES_MAX: usize = 1024;
/// What may wait unread: the replies to a whole pipelined envelope.
const WAITING_BYTES_MAX: usize = 4 << 20;

/// Why octets are not replies.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// A line end other than CRLF, a NUL, or a line of more than 2048 octets.
    #[error("a reply line that cannot be read: {0}")]
    Line(#[from] LineError),
    /// A line that does not begin with a code of 200–599 and a space or hyphen.
    #[error("`{0}` is not an SMTP reply")]
    NotAReply(String),
    /// The lines of one reply have different codes (RFC 5321 §4.2.1).
    #[error("a reply whose lines have different codes")]
    Codes,
    /// A reply of more than 1024 lines.
    #[error("a reply of too many lines")]
    TooManyLines,
    /// More octets than any envelope's replies have.
    #[error("more replies than were asked for")]
    TooMuch,
}

/// Octets in, replies out.
#[derive(Debug, Default)]
pub struct ReplyParser {
    input: BytesMut,
    scanner: LineScanner,
    code: u16,
    lines: Vec<String>,
    failed: Option<ReplyError>,
}

impl ReplyParser {
    /// A parser that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes octets from the server.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.input.len() + bytes.len() > WAITING_BYTES_MAX {
            self.failed.get_or_insert(ReplyError::TooMuch);
        } else {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The next whole reply; `None` while it is not complete.
    ///
    /// # Errors
    /// [`ReplyError`], from then on at every call.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let next = self.read();
        if let Err(error) = &next {
            self.failed = Some(error.clone());
        }
        next
    }

    /// Whether octets wait that are not yet a reply. Between STARTTLS's reply and the handshake this must be false (RFC 3207 §4.2): such octets came in the
    /// clear and pretend not to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.lines.is_empty()
    }

    fn read(&mut self) -> Result<Option<Reply>, ReplyError> {
        while let Some(line) = self.scanner.next_line(&mut self.input, LINE_BYTES_MAX)? {
            let (code, is_last, text) = parse_line(&line)?;
            if self.lines.is_empty() {
                self.code = code;
            } else if self.code != code {
                return Err(ReplyError::Codes);
            }
            if self.lines.len() == LINES_MAX {
                return Err(ReplyError::TooManyLines);
            }
            self.lines.push(text);
            if is_last {
                return Ok(Some(assemble(code, &std::mem::take(&mut self.lines))));
            }
        }
        Ok(None)
    }
}

/// `Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF`
fn parse_line(line: &[u8]) -> Result<(u16, bool, String), ReplyError> {
    let not_a_reply = || ReplyError::NotAReply(String::from_utf8_lossy(line.get(..64).unwrap_or(line)).into_owned());
    let (code, rest) = line.split_at_checked(3).ok_or_else(not_a_reply)?;
    let code = match code {
        [first @ b'2'..=b'5', second @ b'0'..=b'9', third @ b'0'..=b'9'] => {
            u16::from(first - b'0') * 100 + u16::from(second - b'0') * 10 + u16::from(third - b'0')
        }
        _ => return Err(not_a_reply()),
    };
    let (is_last, text) = match rest.split_first() {
        None => (true, rest),
        Some((b' ', text)) => (true, text),
        Some((b'-', text)) => (false, text),
        Some(_) => return Err(not_a_reply()),
    };
    // Old servers write Latin-1; the text is for people only. Controls go before anything is read from it, as `Reply` would take them out after.
    let text = String::from_utf8_lossy(text).replace(|c: char| c.is_control(), " ");
    Ok((code, is_last, text))
}

/// Takes the status off the lines (RFC 2034 §4: it stands on each).
fn assemble(code: u16, lines: &[String]) -> Reply {
    let status = lines.first().and_then(|line| leading_status(line)).map(|(status, _)| status);
    match status {
        Some(status) => {
            let texts = lines.iter().map(|line| match leading_status(line) {
                Some((same, text)) if same == status => text,
                _ => line,
            });
            Reply::new(code, status, "").with_lines(texts)
        }
        None => Reply::bare(code, "").with_lines(lines),
    }
}

fn leading_status(line: &str) -> Option<(Status, &str)> {
    let (word, text) = line.split_once(' ').unwrap_or((line, ""));
    word.parse().ok().map(|status| (status, text))
}
