//! Sending letters.
//!
//! A [`Mailer`] keeps connections for the letters to come, within the bounds that its builder was given. Certificates are verified and passwords protected unless a
//! method whose name begins with `danger_` was called. It retries nothing that a server has answered: what failed for now is in the report. The exceptions lose and
//! double nothing: recipients a server does not take because there are too many are sent to in further rounds, and a letter that a connection was lost for
//! before anybody can have had it goes over another one, once.

mod batch;
mod builder;
mod direct;
mod pace;
mod places;
mod pool;
mod server;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use posthouse_mailauth::mta_sts::Policies;
use posthouse_runtime::sync::mpsc;
use posthouse_runtime::task;

use crate::connection::Connection;
use crate::error::ClientError;
use crate::message::Message;
use crate::report::SendReport;
use crate::url::ServerUrl;
use batch::Batch;
pub use builder::{MailerBuilder, MailerError};
pub use direct::DirectBuilder;
use direct::{Direct, Source};
use pool::Pool;

/// Letters for each connection that is opened for a batch: few letters are not worth many connections.
const LETTERS_PER_CONNECTION_MIN: usize = 4;

/// Where tokens come from.
#[derive(Clone)]
struct Token(Arc<dyn Fn() -> Fetched + Send + Sync>);

/// A token on its way, or why there is none.
type Fetched = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Sends letters through one server, or through the first of several that can be reached, or straight to the mail hosts of the recipients' domains. Cheap to clone; clones share the connections.
///
/// ```no_run
/// use posthouse_client::{Mailer, Message};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mailer = Mailer::builder("smtps://alice@mail.example.org")?.password("secret").build()?;
/// let message = Message::builder().from("alice@example.org").to("bob@example.net").text("Hi.").build()?;
/// let report = mailer.send(&message).await?;
/// assert!(report.is_complete());
/// mailer.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Mailer {
    way: Way,
}

/// To whom letters are given.
#[derive(Clone)]
enum Way {
    Servers(Arc<Pool>),
    Direct(Arc<Direct>),
}

impl Mailer {
    /// A mailer for a server without login. Nothing is connected yet.
    ///
    /// ```
    /// let mailer = posthouse_client::Mailer::connect("smtp://localhost:2525")?;
    /// assert_eq!(mailer.url().map(|url| url.port()), Some(2525));
    /// # Ok::<(), posthouse_client::MailerError>(())
    /// ```
    ///
    /// # Errors
    /// [`MailerError`].
    pub fn connect(url: &str) -> Result<Self, MailerError> {
        Self::builder(url)?.build()
    }

    /// Begins a mailer for the server at a URL ([`ServerUrl`]).
    ///
    /// ```
    /// use posthouse_client::Mailer;
    ///
    /// let mailer = Mailer::builder("smtp+starttls://alice@mail.example.org")?.password("secret").connections(8).build()?;
    /// # Ok::<(), posthouse_client::MailerError>(())
    /// ```
    ///
    /// # Errors
    /// [`MailerError::Url`].
    pub fn builder(url: &str) -> Result<MailerBuilder, MailerError> {
        MailerBuilder::new(url)
    }

    /// Begins a mailer that gives letters straight to the mail hosts of the recipients' domains, as a server does: their MX records are looked up, what they promise of
    /// TLS is obeyed (DANE, MTA-STS), and REQUIRETLS. `helo` is our name, which hosts compare with our address; see [`DirectBuilder`] for all else.
    ///
    /// What a host cannot take now is not tried again: for that there has to be a queue, and somebody must still be there when it is sent. Many networks let nobody
    /// but their servers through to port 25.
    ///
    /// ```no_run
    /// use posthouse_client::{Mailer, Message};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let mailer = Mailer::direct("app.example.org").policies_in("/var/lib/app").build()?;
    /// let message = Message::builder().from("app@example.org").to("bob@example.net").to("eve@example.com").text("Hi.").build()?;
    /// for recipient in mailer.send(&message).await?.recipients {
    ///     let host = recipient.via.as_ref().map_or("nobody", |via| &via.server);
    ///     println!("{recipient} (by {host})");
    /// }
    /// mailer.close().await;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "direct")]
    #[must_use]
    pub fn direct(helo: &str) -> DirectBuilder {
        DirectBuilder::new(helo.to_owned(), Source::Fetched(None))
    }

    /// The same with somebody who knows the MTA-STS policies of domains (RFC 8461), so that the feature `direct` is not needed. With
    /// [`NoPolicies`](crate::mx::NoPolicies) nobody promises anything by that way: only DANE protects.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use posthouse_client::{Mailer, mx::NoPolicies};
    ///
    /// let mailer = Mailer::direct_with("app.example.org", Arc::new(NoPolicies)).require_tls().connections(8);
    /// ```
    #[must_use]
    pub fn direct_with(helo: &str, policies: Arc<dyn Policies>) -> DirectBuilder {
        DirectBuilder::new(helo.to_owned(), Source::Given(policies))
    }

    /// The server; of several the first. None where letters go straight to the recipients' hosts.
    ///
    /// ```
    /// let mailer = posthouse_client::Mailer::connect("smtp://localhost")?;
    /// assert_eq!(mailer.url().map(ToString::to_string).as_deref(), Some("smtp://localhost:25"));
    /// # Ok::<(), posthouse_client::MailerError>(())
    /// ```
    #[must_use]
    pub fn url(&self) -> Option<&ServerUrl> {
        match &self.way {
            Way::Servers(pool) => Some(pool.servers.first()),
            Way::Direct(_) => None,
        }
    }

    /// Sends one letter and tells what became of each recipient.
    ///
    /// ```no_run
    /// # async fn example(mailer: posthouse_client::Mailer, message: posthouse_client::Message) -> Result<(), posthouse_client::ClientError> {
    /// for recipient in mailer.send(&message).await?.failed() {
    ///     eprintln!("{recipient} ({})", recipient.advice());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError`]: nobody got it.
    pub async fn send(&self, message: &Message) -> Result<SendReport, ClientError> {
        let pool = match &self.way {
            Way::Servers(pool) => pool,
            Way::Direct(direct) => return direct.send(message).await,
        };
        let _place = pool.places.place().await?;
        let (ended, mut results) = mpsc::unbounded_channel();
        let batch = Batch::new(Box::new(std::iter::once(message.clone())), ended);
        if let Err((job, error)) = pool.work(&batch).await {
            batch.failed(job, error);
        }
        drop(batch);
        let ended = results.recv().await.map(|(_, result)| result);
        ended.unwrap_or_else(|| Err(self.lost()))
    }

    /// Sends several letters, over as many connections as there may be; the results are in the letters' order.
    ///
    /// ```no_run
    /// # async fn example(mailer: posthouse_client::Mailer, letters: Vec<posthouse_client::Message>) {
    /// let sent = mailer.send_all(&letters).await.iter().filter(|result| result.is_ok()).count();
    /// println!("{sent} of {}", letters.len());
    /// # }
    /// ```
    pub async fn send_all(&self, messages: &[Message]) -> Vec<Result<SendReport, ClientError>> {
        let mut results: Vec<Option<_>> = messages.iter().map(|_| None).collect();
        self.send_each(messages.to_vec(), |index, result| {
            if let Some(slot) = results.get_mut(index) {
                *slot = Some(result);
            }
        })
        .await;
        results.into_iter().map(|result| result.unwrap_or_else(|| Err(self.lost()))).collect()
    }

    /// Sends letters while they are being made: any number, a few of which are in memory at a time. `done` is told of each by its number, from 0, in the order in
    /// which they end.
    ///
    /// ```no_run
    /// use posthouse_client::Message;
    ///
    /// # async fn example(mailer: posthouse_client::Mailer, addresses: Vec<String>) {
    /// let letters = addresses.into_iter().filter_map(|to| {
    ///     Message::builder().from("news@example.org").to(&to).subject("News").text("All is well.").build().ok()
    /// });
    /// mailer.send_each(letters, |number, result| println!("{number}: {}", result.is_ok())).await;
    /// # }
    /// ```
    pub async fn send_each<I>(&self, letters: I, mut done: impl FnMut(usize, Result<SendReport, ClientError>))
    where
        I: IntoIterator<Item = Message>,
        I::IntoIter: Send + 'static,
    {
        let letters = letters.into_iter();
        let pool = match &self.way {
            Way::Servers(pool) => pool,
            Way::Direct(direct) => return Arc::clone(direct).send_each(letters, done).await,
        };
        let at_least = letters.size_hint().1.unwrap_or(usize::MAX);
        let wanted = at_least.div_ceil(LETTERS_PER_CONNECTION_MIN).min(pool.connections_max());
        let (ended, mut results) = mpsc::unbounded_channel();
        let batch = Arc::new(Batch::new(Box::new(letters), ended));
        let mut place = match pool.places.place().await {
            Ok(place) => Some(place),
            Err(error) => return refuse_all(&batch, error, &mut results, &mut done),
        };
        let mut workers = 0;
        while workers < wanted {
            let Some(place) = place.take().or_else(|| pool.places.free_place()) else { break };
            let (pool, batch) = (Arc::clone(pool), Arc::clone(&batch));
            workers += 1;
            batch.join();
            task::spawn("letters", async move {
                let _place = place;
                loop {
                    match pool.work(&batch).await {
                        Ok(()) if batch.leave() => break,
                        Ok(()) => {}
                        Err((job, error)) => {
                            batch.no_connection(job, error);
                            break;
                        }
                    }
                }
            });
        }
        // The last worker to end closes the channel.
        drop(batch);
        while let Some((index, result)) = results.recv().await {
            done(index, result);
        }
    }

    /// Opens a connection of its own, logged in, to send with it oneself.
    ///
    /// ```no_run
    /// # async fn example(mailer: posthouse_client::Mailer) -> Result<(), posthouse_client::ClientError> {
    /// let connection = mailer.open().await?;
    /// println!("{:?}", connection.capabilities());
    /// connection.quit().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::NoServer`] of a mailer that delivers directly.
    pub async fn open(&self) -> Result<Connection, ClientError> {
        match &self.way {
            Way::Servers(pool) => pool.servers.open().await,
            Way::Direct(_) => Err(ClientError::NoServer),
        }
    }

    /// Closes the connections that rest, in good order. The mailer can be used on; a dropped one just breaks them off, which loses nothing.
    ///
    /// ```no_run
    /// # async fn example(mailer: posthouse_client::Mailer) {
    /// mailer.close().await;
    /// # }
    /// ```
    pub async fn close(&self) {
        match &self.way {
            Way::Servers(pool) => pool.close().await,
            Way::Direct(direct) => direct.close().await,
        }
    }

    /// A letter that nobody told the end of.
    fn lost(&self) -> ClientError {
        ClientError::NoAddress { name: self.url().map_or_else(String::new, |url| url.host().to_owned()) }
    }
}

fn refuse_all(
    batch: &Batch,
    error: ClientError,
    results: &mut mpsc::UnboundedReceiver<batch::Ended>,
    done: &mut dyn FnMut(usize, Result<SendReport, ClientError>),
) {
    if let Some(job) = batch.take() {
        batch.fail_from(job, error);
    }
    while let Ok((index, result)) = results.try_recv() {
        done(index, result);
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("url", &self.url()).finish_non_exhaustive()
    }
}
