//! To another host: the ones of a domain in turn, or the smarthost.
//!
//! Recipients with the same destination travel in one transaction. The next host is tried when one cannot be reached or turns us away
//! as a whole; what it says of a recipient is the last word of this round. A letter whose fate is unknown is given to nobody else.

use posthouse_client::{ClientError, Connection, Target, Timeouts};
use posthouse_mail::{Domain, Envelope, Reply};
use posthouse_queue::Lease;
use posthouse_runtime::tls::TlsInfo;

use crate::context::Context;
use crate::courier::pool::Kept;
use crate::outcome::{self, Attempt, AttemptResult, Hop, Verdict, unreachable};
use crate::plan::{self, Plan};
use crate::way::{Destination, Way};

/// Why a host did not take the letter.
struct Miss {
    reply: Reply,
    host: String,
}

/// One letter under way to one destination.
struct Journey<'a> {
    context: &'a Context,
    way: &'a Way,
    lease: &'a Lease,
    /// The recipients that have no result yet.
    open: Vec<usize>,
    attempts: Vec<Attempt>,
}

/// Carries the letter to a destination for these recipients: one attempt each.
pub(crate) async fn deliver(
    context: &Context,
    way: &Way,
    lease: &Lease,
    destination: Destination,
    indexes: Vec<usize>,
) -> Vec<Attempt> {
    let mut journey = Journey { context, way, lease, open: indexes, attempts: Vec::new() };
    let hosts = match &destination {
        Destination::Smarthost(host) => vec![host.clone()],
        Destination::Domain(domain) => {
            match plan::hosts(domain, &context.hostname, context.settings.hosts_max, &context.resolver).await {
                Plan::Hosts(hosts) => hosts,
                Plan::Never(reply) => return journey.end(AttemptResult::Failed(reply), None),
                Plan::Later(reply) => return journey.end(AttemptResult::Deferred(reply), None),
            }
        }
    };
    // If any host failed only for now, the letter waits; the last such answer is the one to tell.
    let mut last: Option<Miss> = None;
    for host in hosts {
        match journey.try_host(&host).await {
            Ok(()) => break,
            Err(miss) if last.as_ref().is_some_and(|last| last.reply.is_temporary()) && miss.reply.is_permanent() => {}
            Err(miss) => last = Some(miss),
        }
    }
    let miss = last.unwrap_or_else(|| Miss { reply: unreachable(1, "no host could be tried"), host: String::new() });
    journey.end(outcome::refused(miss.reply), Some(miss.host).filter(|host| !host.is_empty()))
}

impl Journey<'_> {
    /// Gives every recipient without a result this one.
    fn end(mut self, result: AttemptResult, host: Option<String>) -> Vec<Attempt> {
        let hop = Hop { host, ..Hop::default() };
        let rest = std::mem::take(&mut self.open);
        self.attempts.extend(rest.into_iter().map(|index| Attempt { index, result: result.clone(), hop: hop.clone() }));
        self.attempts
    }

    async fn try_host(&mut self, host: &Domain) -> Result<(), Miss> {
        let miss = |reply| Miss { reply, host: host.to_string() };
        let _place = self.way.pool().place(host.as_str()).await;
        let mut kept = self.way.pool().take(host.as_str());
        loop {
            let (mut connection, letters, fresh) = match kept.take() {
                Some(Kept { connection, letters, .. }) => (connection, letters, false),
                None => (self.open(host).await?, 0, true),
            };
            match self.hand_over(host, &mut connection).await {
                Ok(sent) if self.open.is_empty() => {
                    self.way.pool().put(host.as_str(), connection, letters + sent).await;
                    return Ok(());
                }
                // It took some and closed; the rest goes over a new connection.
                Ok(1..) => connection.quit().await,
                Ok(_none) => {
                    connection.quit().await;
                    return Err(miss(unreachable(2, "the host takes no recipient of this letter now")));
                }
                // A connection that rested may have been closed meanwhile: that says nothing of the host.
                Err(_) if !fresh => {}
                Err(error) => return Err(miss(reply_of(&error))),
            }
        }
    }

    async fn open(&self, host: &Domain) -> Result<Connection, Miss> {
        let miss = |reply| Miss { reply, host: host.to_string() };
        let port = self.way.port(&self.context.settings);
        let addresses = plan::addresses(host, port, &self.context.resolver).await.map_err(miss)?;
        let mut target = Target::new(host.as_str(), addresses, self.way.security(), self.context.hostname.as_str());
        target.timeouts = Timeouts { connect: self.context.settings.connect_timeout.0, ..Timeouts::default() };
        target.credentials = self.way.credentials();
        let connection = Connection::open(&target).await.map_err(|error| miss(reply_of(&error)))?;
        if let Some(why) = connection.tls_fallback() {
            tracing::warn!(host = %host, why, "TLS was offered and did not work; the letter goes in clear");
        }
        Ok(connection)
    }

    /// Sends until no recipient is left, or the host takes no more over this connection. Gives the transactions that carried somebody.
    async fn hand_over(&mut self, host: &Domain, connection: &mut Connection) -> Result<u32, ClientError> {
        let mut sent = 0;
        while !self.open.is_empty() && connection.is_reusable() {
            let envelope = self.envelope();
            let results = connection.send(&envelope, &mut self.lease.body()).await?;
            let hop = hop(host, connection);
            let mut rest = Vec::new();
            for (index, result) in std::mem::take(&mut self.open).into_iter().zip(results) {
                match outcome::of(result) {
                    Verdict::Over(result) => self.attempts.push(Attempt { index, result, hop: hop.clone() }),
                    Verdict::Again => rest.push(index),
                }
            }
            let progress = rest.len() < envelope.recipients.len();
            self.open = rest;
            if !progress {
                break;
            }
            sent += 1;
        }
        Ok(sent)
    }

    fn envelope(&self) -> Envelope {
        let states = self.lease.recipients();
        let recipients = self.open.iter().filter_map(|&index| states.get(index)).map(|state| state.recipient.clone()).collect();
        Envelope { recipients, ..self.lease.letter().envelope.clone() }
    }
}

fn hop(host: &Domain, connection: &Connection) -> Hop {
    Hop {
        host: Some(host.to_string()),
        address: Some(connection.peer()),
        tls: connection.tls().map(TlsInfo::to_string),
        takes_dsn: connection.capabilities().dsn,
    }
}

/// The server's words, or ours for what happened on the way (RFC 3463 §3.5: X.4.1 no answer, X.4.2 bad connection).
fn reply_of(error: &ClientError) -> Reply {
    match error.reply() {
        Some(reply) => reply.clone(),
        None => unreachable(if matches!(error, ClientError::Connect { .. }) { 1 } else { 2 }, &error.to_string()),
    }
}
