//! A small POP3 client (RFC 1939) over TLS: logs in and reads the newest letter.
//!
//! Its own protocol code, so that the server is read by something that does not share its mistakes. Every reply has a limit and a
//! deadline. It never deletes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use thiserror::Error;

use posthouse_runtime::clock;
use posthouse_runtime::log::one_line;
use posthouse_runtime::net::Stream;
use posthouse_runtime::tls::{ClientTls, TlsError};

/// How long the server may take for one reply.
const REPLY_MAX: Duration = Duration::from_secs(10);
/// The octets of one line of a reply (RFC 2449 §4 says 512) and of a whole letter here.
const LINE_BYTES_MAX: usize = 1024;
const LETTER_BYTES_MAX: usize = 1024 * 1024;

/// Why a letter could not be read.
#[derive(Debug, Error)]
pub(super) enum Pop3Error {
    /// No connection, or it broke.
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server took too long.
    #[error("the server did not answer `{0}` in time")]
    Timeout(&'static str),
    /// `-ERR`.
    #[error("the server refused {command}: {reply}")]
    Refused {
        /// What was asked, without its arguments: they may be secret.
        command: &'static str,
        /// Its words.
        reply: String,
    },
    /// Not what the protocol allows.
    #[error("the server does not speak POP3: {0}")]
    Protocol(String),
}

/// A session that is logged in.
#[derive(Debug)]
pub(super) struct Pop3 {
    stream: Stream,
    unread: BytesMut,
}

impl Pop3 {
    /// Connects to a port with TLS from the start (RFC 8314 §3.2) and logs in.
    pub(super) async fn open(
        address: SocketAddr,
        tls: &ClientTls,
        name: &str,
        login: &str,
        password: &str,
    ) -> Result<Self, Pop3Error> {
        let stream = within("connect", Stream::connect(address, None)).await??;
        let stream = stream.into_tls_client(tls, name).await?;
        let mut session = Self { stream, unread: BytesMut::new() };
        session.reply("greeting").await?;
        session.command("USER", &format!("USER {login}")).await?;
        session.command("PASS", &format!("PASS {password}")).await?;
        Ok(session)
    }

    /// Reads letter `number` (from 1): its octets as they were stored.
    pub(super) async fn retrieve(&mut self, number: usize) -> Result<Vec<u8>, Pop3Error> {
        self.command("RETR", &format!("RETR {number}")).await?;
        let mut letter = Vec::new();
        loop {
            let line = self.line("RETR").await?;
            // RFC 1939 §3: a line of one dot ends it, and a dot at a line's start was doubled.
            if line == b"." {
                return Ok(letter);
            }
            letter.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            letter.extend_from_slice(b"\r\n");
            if letter.len() > LETTER_BYTES_MAX {
                return Err(Pop3Error::Protocol("the letter does not end".to_owned()));
            }
        }
    }

    /// Takes leave.
    pub(super) async fn quit(mut self) -> Result<(), Pop3Error> {
        self.command("QUIT", "QUIT").await?;
        self.stream.close().await;
        Ok(())
    }

    async fn command(&mut self, command: &'static str, line: &str) -> Result<String, Pop3Error> {
        within(command, self.stream.write_all(format!("{line}\r\n").as_bytes())).await??;
        self.reply(command).await
    }

    /// The text behind `+OK`.
    async fn reply(&mut self, command: &'static str) -> Result<String, Pop3Error> {
        let line = self.line(command).await?;
        let text = one_line(&String::from_utf8_lossy(&line)).into_owned();
        if let Some(rest) = text.strip_prefix("+OK") {
            return Ok(rest.trim_start().to_owned());
        }
        match text.strip_prefix("-ERR") {
            Some(rest) => Err(Pop3Error::Refused { command, reply: rest.trim_start().to_owned() }),
            None => Err(Pop3Error::Protocol(text)),
        }
    }

    /// One line without its CRLF.
    async fn line(&mut self, command: &'static str) -> Result<Vec<u8>, Pop3Error> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.unread.split_to(end).to_vec();
                let _crlf = self.unread.split_to(2);
                return Ok(line);
            }
            if self.unread.len() > LINE_BYTES_MAX {
                return Err(Pop3Error::Protocol("a line does not end".to_owned()));
            }
            if within(command, self.stream.read(&mut self.unread)).await?? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

async fn within<F: Future>(what: &'static str, future: F) -> Result<F::Output, Pop3Error> {
    clock::timeout(REPLY_MAX, future).await.map_err(|_| Pop3Error::Timeout(what))
}

#[cfg(test)]
mod tests;
