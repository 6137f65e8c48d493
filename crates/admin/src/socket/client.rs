//! The asking side.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use serde::de::DeserializeOwned;

use posthouse_runtime::clock;
use posthouse_runtime::local::LocalStream;

use super::protocol::{LINE_BYTES_MAX, Line, Order, Request, SOCKET, VERSION};
use crate::error::{AdminError, Kind};

/// How long the server may think about the next line: it may have to read a million letters first.
const PATIENCE: Duration = Duration::from_secs(300);

/// A connection to a running server.
#[derive(Debug)]
pub struct Client {
    stream: LocalStream,
    input: BytesMut,
    path: PathBuf,
}

/// A part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// One of what was asked for.
    Item(T),
    /// That was all; `more`: that the limit let through.
    End {
        /// There would have been more.
        more: bool,
    },
}

impl Client {
    /// Connects to the server that runs on a data directory; `None` when none does.
    ///
    /// # Errors
    /// [`AdminError::Socket`]: it runs and cannot be asked.
    pub async fn connect(data: &Path) -> Result<Option<Self>, AdminError> {
        let path = data.join(SOCKET);
        match LocalStream::connect(&path).await {
            Ok(stream) => Ok(Some(Self { stream, input: BytesMut::new(), path })),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
            Err(cause) => Err(AdminError::Socket { path, cause }),
        }
    }

    /// Asks. Then [`Client::next`] is called until the end.
    ///
    /// # Errors
    /// [`AdminError::Socket`].
    pub async fn ask(&mut self, order: Order) -> Result<(), AdminError> {
        let request = Request { v: VERSION, order };
        let mut line = serde_json::to_vec(&request).map_err(|error| self.broken(error.into()))?;
        line.push(b'\n');
        let sent = clock::timeout(PATIENCE, self.stream.write_all(&line)).await;
        sent.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())).map_err(|error| self.broken(error))
    }

    /// The next part of the answer.
    ///
    /// # Errors
    /// [`AdminError::Answered`]: what the server says; [`AdminError::Socket`].
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Answer<T>, AdminError> {
        let line = self.line().await.map_err(|error| self.broken(error))?;
        match serde_json::from_slice(&line) {
            Ok(Line::Item(item)) => Ok(Answer::Item(item)),
            Ok(Line::End { more }) => Ok(Answer::End { more }),
            Ok(Line::Error { kind, text }) => Err(AdminError::Answered { kind, text }),
            Err(error) => Err(AdminError::Answered {
                kind: Kind::Protocol,
                text: format!("the server's answer cannot be understood ({error}); is it of another version?"),
            }),
        }
    }

    /// Asks for something that has one item.
    ///
    /// # Errors
    /// As [`Client::ask`] and [`Client::next`].
    pub async fn one<T: DeserializeOwned>(&mut self, order: Order) -> Result<T, AdminError> {
        self.ask(order).await?;
        let mut found = None;
        while let Answer::Item(item) = self.next().await? {
            found = Some(item);
        }
        found.ok_or_else(|| AdminError::Answered { kind: Kind::Protocol, text: "the server's answer is empty".to_owned() })
    }

    /// Asks for something that has no item.
    ///
    /// # Errors
    /// As [`Client::ask`] and [`Client::next`].
    pub async fn done(&mut self, order: Order) -> Result<(), AdminError> {
        self.ask(order).await?;
        while let Answer::Item(_) = self.next::<serde::de::IgnoredAny>().await? {}
        Ok(())
    }

    async fn line(&mut self) -> io::Result<BytesMut> {
        let mut looked_at = 0;
        loop {
            let fresh = self.input.get(looked_at..).unwrap_or_default();
            if let Some(end) = fresh.iter().position(|&byte| byte == b'\n') {
                return Ok(self.input.split_to(looked_at + end + 1));
            }
            looked_at = self.input.len();
            if looked_at > LINE_BYTES_MAX {
                return Err(io::Error::new(ErrorKind::InvalidData, "a line without an end"));
            }
            let read = clock::timeout(PATIENCE, self.stream.read(&mut self.input)).await;
            if read.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server went away"));
            }
        }
    }

    fn broken(&self, cause: io::Error) -> AdminError {
        AdminError::Socket { path: self.path.clone(), cause }
    }
}
