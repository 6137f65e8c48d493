//! Who is given the letters: a server, or the Posthouse of this machine.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use posthouse_client::{ClientError, Line, LocalServer, Mailer, Message, SendReport};

use super::report;
use crate::cli::Failure;
use crate::cli::data::DataArgs;
use crate::maildrop::Maildrop;

/// See the module.
pub(super) enum Way {
    /// A server, by SMTP or LMTP, or the recipients' own.
    Server(Box<Mailer>),
    /// The spool of this machine.
    Queue(LocalServer),
}

/// What became of one letter.
pub(super) enum End {
    /// It was answered for.
    Answered(SendReport),
    /// The server of this machine is down: it is in the maildrop, and goes out when it is up again.
    Kept,
}

impl Way {
    /// The Posthouse of this machine.
    pub(super) fn queue(transcript: bool) -> Self {
        let server = LocalServer::at(&socket());
        Self::Queue(if transcript { server.transcript(Arc::new(|line: &Line| report::dialogue(line))) } else { server })
    }

    /// How it is called.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Server(mailer) => mailer.url().map_or_else(|| "direct".to_owned(), ToString::to_string),
            Self::Queue(server) => server.path().display().to_string(),
        }
    }

    /// Gives it one letter. The outer error is that of the maildrop.
    pub(super) async fn send(&self, letter: &Message) -> Result<Result<End, ClientError>, Failure> {
        let sent = match self {
            Self::Server(mailer) => mailer.send(letter).await,
            Self::Queue(server) => server.send(letter).await,
        };
        match sent {
            Err(ClientError::Local { cause, .. }) if is_down(cause.kind()) => {
                Maildrop::open()?.keep(letter)?;
                Ok(Ok(End::Kept))
            }
            sent => Ok(sent.map(End::Answered)),
        }
    }

    /// Gives it letters, and tells of each by its number.
    pub(super) async fn send_each(
        &self,
        letters: impl Iterator<Item = Message> + Send + 'static,
        mut done: impl FnMut(usize, Result<End, ClientError>),
    ) -> Result<(), Failure> {
        match self {
            Self::Server(mailer) => {
                mailer.send_each(letters, |number, sent| done(number, sent.map(End::Answered))).await;
                Ok(())
            }
            Self::Queue(_) => {
                for (number, letter) in letters.enumerate() {
                    done(number, self.send(&letter).await?);
                }
                Ok(())
            }
        }
    }

    /// Closes what is open.
    pub(super) async fn close(&self) {
        if let Self::Server(mailer) = self {
            mailer.close().await;
        }
    }
}

/// The one that is named, the usual one, or that of the configuration that is used here.
fn socket() -> PathBuf {
    if let Some(named) = std::env::var_os("POSTHOUSE_SUBMIT").filter(|path| !path.is_empty()) {
        return named.into();
    }
    let usual = PathBuf::from(LocalServer::SOCKET);
    if usual.exists() {
        return usual;
    }
    let here = DataArgs::default().directory().map(|data| data.join("submit.sock"));
    here.ok().filter(|socket| socket.exists()).unwrap_or(usual)
}

fn is_down(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}
