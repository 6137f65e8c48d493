//! A dialogue in plain words, apart from the client library's: that one would not send what it does not need.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use posthouse_client::ClientTls;
use posthouse_runtime::clock;
use posthouse_runtime::net::Stream;

/// The octets of a reply.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// The last line of a reply.
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// `250 2.1.0 ok` (RFC 2034).
    pub(super) fn is_enhanced(&self) -> bool {
        let word = self.text.get(4..).and_then(|rest| rest.split_ascii_whitespace().next()).unwrap_or_default();
        word.parse::<posthouse_mail::Status>().is_ok()
    }
}

/// A connection, and how long each answer may take.
pub(super) struct Talk {
    pub(super) stream: Stream,
    input: BytesMut,
    deadline: Instant,
    patience: Duration,
}

impl Talk {
    /// Begins on a connection that stands; the greeting is the first reply.
    pub(super) fn new(stream: Stream, patience: Duration) -> Self {
        Self { stream, input: BytesMut::new(), deadline: clock::now() + patience, patience }
    }

    /// What came before the handshake is forgotten.
    pub(super) async fn secure(self, tls: &ClientTls, name: &str) -> io::Result<Self> {
        let stream = self.stream.into_tls_client(tls, name).await.map_err(io::Error::other)?;
        Ok(Self { stream, input: BytesMut::new(), ..self })
    }

    pub(super) async fn command(&mut self, words: &str) -> io::Result<Reply> {
        self.send(&format!("{words}\r\n")).await?;
        self.reply().await
    }

    pub(super) async fn send(&mut self, octets: &str) -> io::Result<()> {
        self.deadline = clock::now() + self.patience;
        let written = clock::timeout_at(self.deadline, self.stream.write_all(octets.as_bytes())).await;
        written.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
    }

    /// One reply, its last line's text.
    pub(super) async fn reply(&mut self) -> io::Result<Reply> {
        let mut octets = 0;
        loop {
            let line = self.line().await?;
            octets += line.len();
            if octets > REPLY_BYTES_MAX {
                return Err(io::Error::new(ErrorKind::InvalidData, "a reply without an end"));
            }
            let Some(code) = line.get(..3).and_then(|code| code.parse().ok()) else {
                return Err(io::Error::new(ErrorKind::InvalidData, format!("`{line}` is no reply")));
            };
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, text: line });
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.input.iter().position(|&octet| octet == b'\n') {
                let line = self.input.split_to(end + 1);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.input.len() > REPLY_BYTES_MAX {
                return Err(io::Error::new(ErrorKind::InvalidData, "a line without an end"));
            }
            match clock::timeout_at(self.deadline, self.stream.read(&mut self.input)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0)) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(io::Error::new(ErrorKind::TimedOut, "no answer in time")),
            }
        }
    }
}
