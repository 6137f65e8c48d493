//! Where letters go: to a server, or, in tests, to memory or to files.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posthouse_mail::{Reply, Status};
use posthouse_runtime::stream::ByteSource as _;
use posthouse_smtp::client::RecipientResult;

use crate::caught::Caught;
use crate::error::ClientError;
use crate::mailer::Mailer;
use crate::message::Message;
use crate::report::{RecipientReport, SendReport};

/// The end of one letter, to be waited for.
///
/// ```
/// use posthouse_client::{Memory, Message, Sending, Transport};
///
/// /// A transport of one's own: it sends a copy to another.
/// struct Copying(Memory, Memory);
///
/// impl Transport for Copying {
///     fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
///         Box::pin(async move {
///             self.1.send(message).await?;
///             self.0.send(message).await
///         })
///     }
/// }
/// ```
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<SendReport, ClientError>> + Send + 'a>>;

/// Somewhere letters can be given: [`Mailer`], [`Memory`], [`Folder`](crate::Folder).
///
/// ```
/// use posthouse_client::{ClientError, Memory, Message, Transport};
///
/// async fn greet(transport: &dyn Transport, whom: &str) -> Result<bool, ClientError> {
///     let message = Message::builder().from("us@example.org").to(whom).subject("Welcome").text("Hello!").build().unwrap();
///     Ok(transport.send(&message).await?.is_complete())
/// }
///
/// let memory = Memory::new();
/// assert!(posthouse_client::block_on(greet(&memory, "bob@example.net"))??);
/// assert_eq!(memory.letters()[0].subject().as_deref(), Some("Welcome"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Transport: Send + Sync {
    /// Sends one letter and tells what became of each recipient.
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a>;
}

impl Transport for Mailer {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(Mailer::send(self, message))
    }
}

/// Keeps letters in memory and accepts all of them, but for those it was told to refuse. Clones share the letters.
///
/// ```
/// use posthouse_client::mail::Reply;
/// use posthouse_client::{Memory, Message, blocking::Transport as _};
///
/// let memory = Memory::new();
/// memory.refuse("nobody@example.net", Reply::new(550, "5.1.1".parse()?, "no such user"));
/// let message = Message::builder().from("us@example.org").to("bob@example.net").to("nobody@example.net").text("Hi.").build()?;
/// let report = memory.send(&message)?;
/// assert_eq!(report.failed().count(), 1);
/// assert!(memory.letters()[0].is_for("bob@example.net"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, Debug)]
pub struct Memory(Arc<Mutex<Shelf>>);

#[derive(Default, Debug)]
struct Shelf {
    letters: Vec<Arc<Caught>>,
    refused: Vec<(String, Reply)>,
}

impl Memory {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The letters so far, in the order in which they came.
    #[must_use]
    pub fn letters(&self) -> Vec<Arc<Caught>> {
        self.shelf().letters.clone()
    }

    /// From now on this recipient is refused with this reply.
    pub fn refuse(&self, address: &str, reply: Reply) {
        self.shelf().refused.push((address.to_owned(), reply));
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, message: &Message, bytes: bytes::Bytes) -> SendReport {
        let mut shelf = self.shelf();
        let mut envelope = message.envelope().clone();
        let mut ends = Vec::with_capacity(envelope.recipients.len());
        envelope.recipients.retain(|recipient| {
            let address = recipient.address.to_string();
            let refusal = shelf.refused.iter().find(|(refused, _)| refused.eq_ignore_ascii_case(&address));
            let result = match refusal {
                Some((_, reply)) => RecipientResult::Refused(reply.clone()),
                None => RecipientResult::Accepted(Reply::new(250, Status::success(0, 0), "kept in memory")),
            };
            let taken = refusal.is_none();
            ends.push(RecipientReport::new(recipient.address.clone(), result));
            taken
        });
        if !envelope.recipients.is_empty() {
            shelf.letters.push(Arc::new(Caught::new(envelope, bytes)));
        }
        report("memory", ends, message)
    }
}

impl Transport for Memory {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(async move { Ok(self.keep(message, whole(message).await?)) })
    }
}

pub(crate) async fn whole(message: &Message) -> Result<bytes::Bytes, ClientError> {
    let mut body = message.body();
    let mut bytes = bytes::BytesMut::new();
    while let Some(chunk) = body.next().await.map_err(ClientError::Read)? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

pub(crate) fn report(server: &str, recipients: Vec<RecipientReport>, message: &Message) -> SendReport {
    SendReport {
        recipients,
        server: server.to_owned(),
        peer: None,
        tls: None,
        message_id: message.message_id().map(str::to_owned),
    }
}

impl fmt::Debug for dyn Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}
