//! The way to a domain's own mail hosts: which they are, what is asked of the connection to each, and connections that rest between letters.
//!
//! [`Mailer::direct_with`](crate::Mailer::direct_with) and the delivery of `posthouse serve` are both made of it, so that a letter is never less safe with the
//! one than with the other. It is for those who deliver themselves; [`Mailer`](crate::Mailer) is for everybody else.
//!
//! ```
//! use std::sync::Arc;
//! use posthouse_client::mx::{self, Means, Plan, Promises};
//! use posthouse_client::{Connection, Roots, Target, dns, mail::TlsWish};
//!
//! async fn open(domain: &posthouse_client::mail::Domain, resolver: &dns::Resolver) -> Result<Connection, Box<dyn std::error::Error>> {
//!     let Plan::Hosts { names, are_vouched } = mx::hosts(domain, None, resolver).await else { return Err("no mail host".into()) };
//!     let means = Means::new(Roots::Platform)?;
//!     let promises =
//!         Promises { destination: domain.clone(), are_hosts_vouched: are_vouched, sts: None, wish: TlsWish::default() };
//!     for host in names {
//!         let (decision, _) = promises.decide(&host, 25, None, resolver).await;
//!         let Ok(security) = means.security(&decision, &promises, &host) else { continue };
//!         let Ok(addresses) = mx::addresses(&host, 25, resolver).await else { continue };
//!         let mut target = Target::new(host.as_str(), addresses, security, "app.example.org");
//!         target.tls_name = mx::tls_name(&decision);
//!         if let Ok(connection) = Connection::open(&target).await {
//!             return Ok(connection);
//!         }
//!     }
//!     Err("none of them answers".into())
//! }
//!
//! let zone: dns::Resolver = Arc::new(dns::Zone::of("example.net MX 0 .")?);
//! assert!(posthouse_client::block_on(open(&"example.net".parse()?, &zone))?.is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Connections rest between letters, by host and by what was asked of them:
//!
//! ```
//! use std::time::Duration;
//! use posthouse_client::mx::{self, Kept, Pool};
//! use posthouse_client::{ClientError, Connection, Message, RecipientResult, Target, block_on, mail::Reply};
//!
//! /// The results, or what the host or we have to say against it.
//! async fn send(pool: &Pool, target: &mut Target, message: &Message) -> Result<Vec<RecipientResult>, Reply> {
//!     let told = |error: ClientError| mx::answer(&error).unwrap_or_else(|ours| ours);
//!     let host = target.name.clone();
//!     let (mut connection, letters) = match pool.take(&host) {
//!         Some(Kept { connection, letters, .. }) => (connection, letters),
//!         None => {
//!             target.known = pool.known(&host);
//!             (Connection::open(target).await.map_err(told)?, 0)
//!         }
//!     };
//!     let results = connection.send(message.envelope(), &mut message.body()).await.map_err(told)?;
//!     pool.put(&host, connection, letters + 1).await;
//!     Ok(results)
//! }
//!
//! let pool = Pool::new(100, Duration::from_secs(5));
//! block_on(pool.close())?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What is told of a host:
//!
//! ```
//! use posthouse_client::mx::{self, Means, Promises};
//! use posthouse_client::{Connection, Roots, dns, mail::Domain};
//!
//! async fn told(promises: &Promises, host: &Domain, connection: &Connection, resolver: &dns::Resolver) -> String {
//!     let (decision, _) = promises.decide(host, 25, None, resolver).await;
//!     if mx::leaves_out(&decision) {
//!         return mx::unreachable(4, "the domain's policy does not name this host").to_string();
//!     }
//!     mx::outcome(connection).unwrap_or_else(|| mx::words(&decision, Some(connection)))
//! }
//!
//! let means = Means::new(Roots::Platform)?;
//! if let Err(why) = means.check() {
//!     println!("certificates cannot be verified here: {why}");
//! }
//! let message = posthouse_client::Message::builder().from("a@x.example").to("b@y.example").text("Hi.").build()?;
//! assert_eq!(mx::wish(message.envelope()), message.envelope().tls);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod hosts;
mod policy;
mod pool;

use posthouse_mail::{Reply, Status};

use crate::error::ClientError;

pub use hosts::{Plan, addresses, hosts};
pub use policy::{Means, Promises, leaves_out, outcome, tls_name, wish, words};
pub use pool::{Kept, Pool};
pub use posthouse_mailauth::mta_sts::{NoPolicies, Policies};

/// A temporary trouble of the way there: no answer, no connection (RFC 3463 §3.5, X.4.x).
#[must_use]
pub fn unreachable(detail: u16, text: &str) -> Reply {
    Reply::new(451, Status::temporary(4, detail), text)
}

/// What a dialogue that came to nothing means: in the server's words, or ours for what happened on the way (RFC 3463 §3.5: X.4.1 no answer, X.4.2 bad
/// connection).
///
/// # Errors
/// Ours.
pub fn answer(error: &ClientError) -> Result<Reply, Reply> {
    let was_reached = matches!(error, ClientError::Session { .. } | ClientError::Tls { .. });
    error.reply().cloned().ok_or_else(|| unreachable(if was_reached { 2 } else { 1 }, &error.to_string()))
}
