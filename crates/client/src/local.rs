//! The Posthouse of this machine: letters are handed to it over a socket file.
//!
//! There is no password and no TLS: nothing leaves the machine, and the kernel says who hands a letter in. What that user may write as is the server's to
//! say.

use std::path::{Path, PathBuf};

use posthouse_runtime::local::LocalStream;
use posthouse_runtime::net::Stream;

use crate::connection::Connection;
use crate::error::ClientError;
use crate::message::Message;
use crate::report::{RecipientReport, SendReport};
use crate::target::{Security, Target, Transcript};
use crate::transport::{self, Sending, Transport};

/// What we call ourselves; the server knows better who we are.
const HELO: &str = "localhost";

/// Hands letters to the Posthouse that runs on this machine.
///
/// ```no_run
/// use posthouse_client::{LocalServer, Message, block_on};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let message = Message::builder().from("cron@example.org").to("root@example.org").subject("Disks").text("full").build()?;
/// let report = block_on(LocalServer::new().send(&message))??;
/// assert!(report.is_complete());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LocalServer {
    path: PathBuf,
    transcript: Option<Transcript>,
}

/// Another socket file, and a connection of one's own.
///
/// ```no_run
/// use std::path::Path;
/// use std::sync::Arc;
/// use posthouse_client::{ClientError, LocalServer};
///
/// # async fn example() -> Result<(), ClientError> {
/// let server = LocalServer::at(Path::new("mail/submit.sock")).transcript(Arc::new(|line| eprintln!("{line}")));
/// println!("{} and not {}", server.path().display(), LocalServer::SOCKET);
/// let connection = server.open().await?;
/// println!("{}", connection.capabilities().name);
/// connection.quit().await;
/// # Ok(())
/// # }
/// ```
impl LocalServer {
    /// Where a server has its socket file unless it is told otherwise.
    pub const SOCKET: &str = "/run/posthouse/submit.sock";

    /// The one with the usual socket file, [`Self::SOCKET`].
    #[must_use]
    pub fn new() -> Self {
        Self::at(Path::new(Self::SOCKET))
    }

    /// The one with this socket file (`socket` in `[intake.local]`).
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), transcript: None }
    }

    /// Shows the dialogue to somebody.
    #[must_use]
    pub fn transcript(mut self, transcript: Transcript) -> Self {
        self.transcript = Some(transcript);
        self
    }

    /// Its socket file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a connection, to send with it oneself.
    ///
    /// # Errors
    /// [`ClientError::Local`] when none runs, and what the dialogue gives.
    pub async fn open(&self) -> Result<Connection, ClientError> {
        let stream = LocalStream::connect(&self.path).await;
        let stream = stream.map_err(|cause| ClientError::Local { path: self.path.clone(), cause })?;
        let mut target = Target::new(self.path.display().to_string(), Vec::new(), Security::Plain, HELO);
        target.transcript.clone_from(&self.transcript);
        Connection::open_over(&target, Stream::of_local(stream)).await
    }

    /// Hands over one letter and tells what became of each recipient. When one is accepted the letter is on stable storage.
    ///
    /// # Errors
    /// [`ClientError`]: nobody got it.
    pub async fn send(&self, message: &Message) -> Result<SendReport, ClientError> {
        let mut connection = self.open().await?;
        let results = connection.send(message.envelope(), &mut message.body()).await?;
        connection.quit().await;
        let each = message.envelope().recipients.iter().zip(results);
        let recipients = each.map(|(recipient, result)| RecipientReport::new(recipient.address.clone(), result));
        Ok(transport::report(&self.path.display().to_string(), recipients.collect(), message))
    }
}

impl Default for LocalServer {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for LocalServer {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(LocalServer::send(self, message))
    }
}

impl std::fmt::Debug for LocalServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalServer").field("path", &self.path).finish_non_exhaustive()
    }
}
