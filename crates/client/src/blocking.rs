//! The same without `async`, for programs that have no use for it.
//!
//! A mailer here has a thread of its own on which the asynchronous one lives, with its connections; a call hands it its work and waits. Not to be called from
//! asynchronous code: it would hold up everything else on its thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc as std_mpsc;

use posthouse_runtime::sync::mpsc;
use posthouse_runtime::{block_on, task};

use crate::error::ClientError;
use crate::folder::Folder;
use crate::message::Message;
use crate::report::SendReport;
use crate::transport::Memory;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A [`Mailer`](crate::Mailer) whose methods return when they are done. Clones share thread and connections.
///
/// ```no_run
/// use posthouse_client::{Mailer, Message, blocking};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mailer = blocking::Mailer::from(Mailer::builder("smtps://alice@mail.example.org")?.password("secret").build()?);
/// let message = Message::builder().from("alice@example.org").to("bob@example.net").text("Hi.").build()?;
/// println!("{}", mailer.send(&message)?.is_complete());
/// mailer.close();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Mailer {
    mailer: crate::Mailer,
    /// None when the system had no thread to give.
    work: Option<mpsc::UnboundedSender<Work>>,
}

impl Mailer {
    /// Sends one letter and tells what became of each recipient.
    ///
    /// ```no_run
    /// # fn example(mailer: posthouse_client::blocking::Mailer, message: posthouse_client::Message) -> Result<(), posthouse_client::ClientError> {
    /// for recipient in &mailer.send(&message)?.recipients {
    ///     println!("{recipient}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError`]: nobody got it.
    pub fn send(&self, message: &Message) -> Result<SendReport, ClientError> {
        let (mailer, message) = (self.mailer.clone(), message.clone());
        self.run(async move { mailer.send(&message).await })?
    }

    /// Sends several letters, over as many connections as there may be; the results are in the letters' order.
    ///
    /// ```no_run
    /// # fn example(mailer: posthouse_client::blocking::Mailer, letters: Vec<posthouse_client::Message>) -> Result<(), posthouse_client::ClientError> {
    /// let sent = mailer.send_all(&letters)?.iter().filter(|result| result.is_ok()).count();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Runtime`] before the first; what becomes of each is in its own result.
    pub fn send_all(&self, messages: &[Message]) -> Result<Vec<Result<SendReport, ClientError>>, ClientError> {
        let (mailer, messages) = (self.mailer.clone(), messages.to_vec());
        self.run(async move { mailer.send_all(&messages).await })
    }

    /// Sends letters while they are being made; `done` is called on this thread, in the order in which they end.
    ///
    /// ```no_run
    /// # fn example(mailer: posthouse_client::blocking::Mailer, letters: Vec<posthouse_client::Message>) -> Result<(), posthouse_client::ClientError> {
    /// mailer.send_each(letters, |number, result| println!("{number}: {}", result.is_ok()))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Runtime`] before the first.
    pub fn send_each<I>(
        &self,
        letters: I,
        mut done: impl FnMut(usize, Result<SendReport, ClientError>),
    ) -> Result<(), ClientError>
    where
        I: IntoIterator<Item = Message>,
        I::IntoIter: Send + 'static,
    {
        let (mailer, letters) = (self.mailer.clone(), letters.into_iter());
        let (told, results) = std_mpsc::channel();
        self.start(async move {
            mailer
                .send_each(letters, |number, result| {
                    // Whoever waited has gone.
                    let _ = told.send((number, result));
                })
                .await;
        })?;
        results.into_iter().for_each(|(number, result)| done(number, result));
        Ok(())
    }

    /// Closes the connections that rest, in good order.
    ///
    /// ```no_run
    /// # fn example(mailer: posthouse_client::blocking::Mailer) {
    /// mailer.close();
    /// # }
    /// ```
    pub fn close(&self) {
        let mailer = self.mailer.clone();
        // Without a thread there are no connections.
        let _ = self.run(async move { mailer.close().await });
    }

    fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<T, ClientError> {
        let (told, result) = std_mpsc::sync_channel(1);
        self.start(async move {
            // Whoever waited has gone.
            let _ = told.send(work.await);
        })?;
        result.recv().map_err(|_| no_thread())
    }

    fn start(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<(), ClientError> {
        let sender = self.work.as_ref().ok_or_else(no_thread)?;
        sender.send(Box::pin(work)).map_err(|_| no_thread())
    }
}

/// Somewhere letters can be given, as [`crate::Transport`]: [`Mailer`], [`Memory`], [`Folder`].
///
/// ```
/// use posthouse_client::{ClientError, Memory, Message, blocking};
///
/// fn greet(transport: &dyn blocking::Transport, whom: &str) -> Result<bool, ClientError> {
///     let message = Message::builder().from("us@example.org").to(whom).subject("Welcome").text("Hello!").build().unwrap();
///     Ok(transport.send(&message)?.is_complete())
/// }
///
/// let memory = Memory::new();
/// assert!(greet(&memory, "bob@example.net")?);
/// assert!(memory.letters()[0].is_for("bob@example.net"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Transport: Send + Sync {
    /// Sends one letter and tells what became of each recipient.
    ///
    /// # Errors
    /// [`ClientError`]: nobody got it.
    fn send(&self, message: &Message) -> Result<SendReport, ClientError>;
}

impl Transport for Mailer {
    fn send(&self, message: &Message) -> Result<SendReport, ClientError> {
        Mailer::send(self, message)
    }
}

impl Transport for Memory {
    fn send(&self, message: &Message) -> Result<SendReport, ClientError> {
        block_on(crate::Transport::send(self, message)).map_err(ClientError::Runtime)?
    }
}

impl Transport for Folder {
    fn send(&self, message: &Message) -> Result<SendReport, ClientError> {
        block_on(crate::Transport::send(self, message)).map_err(ClientError::Runtime)?
    }
}

impl From<crate::Mailer> for Mailer {
    fn from(mailer: crate::Mailer) -> Self {
        let (work, mut line) = mpsc::unbounded_channel::<Work>();
        let thread = task::thread("mailer", move || {
            // Ends when the last clone is dropped. Without an event queue the line is dropped, and every call is told.
            let _ = block_on(async move {
                while let Some(work) = line.recv().await {
                    task::spawn("mailer", work);
                }
            });
        });
        Self { mailer, work: thread.is_ok().then_some(work) }
    }
}

fn no_thread() -> ClientError {
    ClientError::Runtime(std::io::Error::other("there is no thread for the mailer"))
}
