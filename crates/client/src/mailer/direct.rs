//! Straight to the mail hosts of the recipients' domains, as a server does it.
//!
//! Recipients of one domain travel together, those of different domains side by side: a domain that is down holds nobody else up. The next host is tried when one cannot be
//! reached, may not be used, or takes none of them for now; a permanent answer to a recipient, and any answer once the host took somebody, is the last word. A letter whose
//! fate is unknown is given to nobody else. Nothing is tried again later: that is the caller's, who is told.

mod builder;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use posthouse_dns::Resolver;
use posthouse_mail::{Domain, Envelope, Reply, Status};
use posthouse_mailauth::mta_sts::Policies;
use posthouse_mailauth::transport::{Decision, Demand};
use posthouse_runtime::sync::mpsc;
use posthouse_runtime::tls::TlsInfo;
use posthouse_runtime::{clock, join, task};
use posthouse_smtp::client::RecipientResult;

use super::pace::Pace;
use super::places::Places;
use crate::connection::Connection;
use crate::error::ClientError;
use crate::message::Message;
use crate::mx::{self, Kept, Means, Plan, Promises};
use crate::report::{RecipientReport, SendReport, Via};
use crate::target::{Security, Target};
pub use builder::DirectBuilder;
pub(super) use builder::Source;

/// The hosts of a domain that are tried.
const HOSTS_MAX: usize = 5;
/// The addresses of each of them.
const ADDRESSES_MAX: usize = 6;
/// The domains of one letter that are served side by side; so many places are taken for it at most.
const DOMAINS_AT_ONCE_MAX: usize = 16;

/// What is needed to do it.
pub(super) struct Direct {
    resolver: Resolver,
    policies: Arc<dyn Policies>,
    means: Means,
    demand: Option<Demand>,
    port: u16,
    /// What all hosts have in common.
    model: Target,
    at_rest: mx::Pool,
    places: Places,
    connections_max: usize,
    pace: Pace,
}

/// A letter under way to one domain.
struct Errand<'a> {
    direct: &'a Direct,
    message: &'a Message,
    promises: Promises,
    /// The recipients without an end.
    open: Vec<usize>,
    /// What each of those was told by the last host that would not take it for now.
    put_off: HashMap<usize, End>,
    ends: Vec<(usize, End)>,
}

/// What became of one recipient, and who was spoken to.
type End = (RecipientResult, Option<Arc<Via>>);

/// Something under way, of a type that can be named.
type Carried<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a host took none of the recipients, so that the next may be tried.
struct Miss {
    result: RecipientResult,
    via: Option<Arc<Via>>,
    is_permanent: bool,
    /// What the destination asks leaves this host out: it does not count as tried (RFC 8461 §5.1).
    is_left_out: bool,
}

/// How handing over ended.
enum Handed {
    /// Every recipient has its end, after so many transactions.
    All(u32),
    /// Some have; the connection takes no more.
    Some,
    /// The host takes none of them now.
    Nobody(Miss),
}

impl Direct {
    /// Sends one letter to everybody.
    pub(super) async fn send(&self, message: &Message) -> Result<SendReport, ClientError> {
        while let Err(wait) = self.pace.take(clock::now()) {
            clock::sleep(wait).await;
        }
        let recipients = &message.envelope().recipients;
        let mut domains: Vec<(&Domain, Vec<usize>)> = Vec::new();
        let mut places: HashMap<&Domain, usize> = HashMap::new();
        for (index, recipient) in recipients.iter().enumerate() {
            let domain = recipient.address.domain();
            let place = *places.entry(domain).or_insert(domains.len());
            match domains.get_mut(place) {
                Some((_, indexes)) => indexes.push(index),
                None => domains.push((domain, vec![index])),
            }
        }
        let errands = domains.into_iter().map(|(domain, open)| -> Carried<'_, _> { Box::pin(self.carry(message, domain, open)) });
        let errands: Vec<_> = errands.collect();
        let carried = task::side_by_side(errands, DOMAINS_AT_ONCE_MAX).await;
        let mut ends: HashMap<usize, End> = HashMap::new();
        let (mut busy, mut any) = (None, false);
        for carried in carried {
            match carried {
                Ok(carried) => {
                    any = true;
                    ends.extend(carried);
                }
                Err(error) => busy = Some(error),
            }
        }
        match busy {
            Some(error) if !any => Err(error),
            busy => Ok(report(message, ends, busy.as_ref())),
        }
    }

    /// Sends letters while they are being made.
    pub(super) async fn send_each(
        self: Arc<Self>,
        letters: impl Iterator<Item = Message>,
        mut done: impl FnMut(usize, Result<SendReport, ClientError>),
    ) {
        let (ended, mut results) = mpsc::unbounded_channel();
        let at_once_max = self.connections_max;
        let each = letters.enumerate().map(move |(number, letter)| -> Carried<'static, ()> {
            let (direct, ended) = (Arc::clone(&self), ended.clone());
            Box::pin(async move {
                // The receiver waits below.
                let _ = ended.send((number, direct.send(&letter).await));
            })
        });
        // The last sender goes with the last letter.
        let telling = async {
            while let Some((number, result)) = results.recv().await {
                done(number, result);
            }
        };
        join!(task::side_by_side(each, at_once_max), telling);
    }

    pub(super) async fn close(&self) {
        self.at_rest.close().await;
    }

    /// Carries the letter to the recipients of one domain. The error if nothing was begun because too many wait already.
    async fn carry(&self, message: &Message, domain: &Domain, open: Vec<usize>) -> Result<Vec<(usize, End)>, ClientError> {
        let _place = self.places.place().await?;
        let promises =
            Promises { destination: domain.clone(), are_hosts_vouched: true, sts: None, wish: mx::wish(message.envelope()) };
        let mut errand = Errand { direct: self, message, promises, open, put_off: HashMap::new(), ends: Vec::new() };
        // A program that sends is no mail host: even the best one may be this very machine.
        match mx::hosts(domain, None, &self.resolver).await {
            Plan::Hosts { names, are_vouched } => {
                errand.promises.are_hosts_vouched = are_vouched;
                errand.promises.sts = self.policies.policy(domain).await;
                Ok(errand.visit_all(&names).await)
            }
            Plan::Never(reply) | Plan::Later(reply) => Ok(errand.end(&Miss::ours(reply, None))),
        }
    }
}

impl Errand<'_> {
    async fn visit_all(mut self, hosts: &[Domain]) -> Vec<(usize, End)> {
        let mut last: Option<Miss> = None;
        let mut tries = HOSTS_MAX;
        for host in hosts {
            if tries == 0 {
                break;
            }
            let Some(miss) = self.visit(host).await else { return self.ends };
            tries -= usize::from(!miss.is_left_out);
            // If any host failed only for now, that is what it is; the last such answer is the one to tell.
            if !(miss.is_permanent && last.as_ref().is_some_and(|last| !last.is_permanent)) {
                last = Some(miss);
            }
        }
        let miss = last.unwrap_or_else(|| Miss::ours(mx::unreachable(1, "no host could be tried"), None));
        self.end(&miss)
    }

    /// Gives every recipient without an end the own last answer of that host, or this one.
    fn end(mut self, miss: &Miss) -> Vec<(usize, End)> {
        for index in std::mem::take(&mut self.open) {
            let own = self.put_off.remove(&index).filter(|(_, via)| *via == miss.via);
            self.ends.push((index, own.unwrap_or_else(|| (miss.result.clone(), miss.via.clone()))));
        }
        self.ends
    }

    /// One host. Nothing when every recipient has its end.
    async fn visit(&mut self, host: &Domain) -> Option<Miss> {
        let direct = self.direct;
        let (decision, _) = self.promises.decide(host, direct.port, direct.demand.as_ref(), &direct.resolver).await;
        let security = match direct.means.security(&decision, &self.promises, host) {
            Ok(security) => security,
            Err(reply) => {
                let via = Some(Arc::new(via(host, &decision, None)));
                return Some(Miss { is_left_out: mx::leaves_out(&decision), ..Miss::ours(reply, via) });
            }
        };
        // The same host, with the same asked of the connection to it.
        let line = format!("{host} {:?}", decision.policy);
        let mut kept = direct.at_rest.take(&line);
        loop {
            let (mut connection, letters, fresh) = match kept.take() {
                Some(Kept { connection, letters, .. }) => (connection, letters, false),
                None => match self.connect(host, &decision, security.clone()).await {
                    Ok(connection) => (connection, 0, true),
                    Err(miss) => return Some(miss),
                },
            };
            match self.hand_over(host, &decision, &mut connection).await {
                Ok(Handed::All(sent)) => {
                    direct.at_rest.put(&line, connection, letters.saturating_add(sent)).await;
                    return None;
                }
                // The rest goes over a new connection.
                Ok(Handed::Some) => connection.quit().await,
                Ok(Handed::Nobody(miss)) => {
                    connection.quit().await;
                    return Some(miss);
                }
                // What cannot be read here can be read for no other host either.
                Err(error @ ClientError::Read(_)) => {
                    let reply = Reply::new(451, Status::temporary(3, 0), &error.to_string());
                    self.all_end(&RecipientResult::Unsendable(reply), None);
                    return None;
                }
                // A connection that rested may have been closed meanwhile: that says nothing of the host.
                Err(_) if !fresh => {}
                Err(error) => return Some(Miss::of(&error, host, &decision)),
            }
        }
    }

    async fn connect(&self, host: &Domain, decision: &Decision, security: Security) -> Result<Connection, Miss> {
        let direct = self.direct;
        let addresses = mx::addresses(host, direct.port, &direct.resolver).await;
        let mut addresses = addresses.map_err(|reply| Miss::ours(reply, Some(Arc::new(via(host, decision, None)))))?;
        addresses.truncate(ADDRESSES_MAX);
        let tls_name = mx::tls_name(decision);
        let known = direct.at_rest.known(host.as_str());
        let target = Target { name: host.as_str().to_owned(), tls_name, addresses, security, known, ..direct.model.clone() };
        Connection::open(&target).await.map_err(|error| Miss::of(&error, host, decision))
    }

    /// Sends until no recipient is left, or the host takes no more over this connection.
    async fn hand_over(
        &mut self,
        host: &Domain,
        decision: &Decision,
        connection: &mut Connection,
    ) -> Result<Handed, ClientError> {
        let via = Some(Arc::new(via(host, decision, Some(connection))));
        if let Some(reply) = connection.lacks_tls(self.message.envelope()) {
            return Ok(Handed::Nobody(Miss::ours(reply, via)));
        }
        let mut sent = 0;
        while !self.open.is_empty() {
            if !connection.is_reusable() {
                return Ok(Handed::Some);
            }
            let results = connection.send(&self.envelope(), &mut self.message.body()).await?;
            if let Some(reply) = self.put_off_all(&results, via.as_ref()) {
                return Ok(Handed::Nobody(Miss::theirs(reply, via)));
            }
            let asked = self.open.len();
            for (index, result) in std::mem::take(&mut self.open).into_iter().zip(results) {
                match result {
                    RecipientResult::NotTried(_) => self.open.push(index),
                    RecipientResult::Accepted(_)
                    | RecipientResult::Refused(_)
                    | RecipientResult::Unsendable(_)
                    | RecipientResult::Unknown(_) => self.ends.push((index, (result, via.clone()))),
                }
            }
            if connection.refused_chunks() {
                return Ok(Handed::Some);
            }
            if self.open.len() == asked {
                let reply = mx::unreachable(2, "the host takes no recipient of this letter now");
                return Ok(Handed::Nobody(Miss::ours(reply, via)));
            }
            sent += 1;
        }
        Ok(Handed::All(sent))
    }

    /// Whether the host refused every recipient, each for now: then another may take them. Gives the first answer.
    fn put_off_all(&mut self, results: &[RecipientResult], via: Option<&Arc<Via>>) -> Option<Reply> {
        let for_now = |result: &RecipientResult| matches!(result, RecipientResult::Refused(reply) if reply.is_temporary());
        let RecipientResult::Refused(first) = results.first().filter(|_| results.iter().all(for_now))? else { return None };
        let answers = self.open.iter().zip(results).map(|(&index, result)| (index, (result.clone(), via.cloned())));
        self.put_off.extend(answers);
        Some(first.clone())
    }

    fn all_end(&mut self, result: &RecipientResult, via: Option<&Arc<Via>>) {
        let open = std::mem::take(&mut self.open);
        self.ends.extend(open.into_iter().map(|index| (index, (result.clone(), via.cloned()))));
    }

    fn envelope(&self) -> Envelope {
        let whole = self.message.envelope();
        let recipients = self.open.iter().filter_map(|&index| whole.recipients.get(index)).cloned().collect();
        Envelope { recipients, ..whole.clone() }
    }
}

impl Miss {
    /// In our words.
    fn ours(reply: Reply, via: Option<Arc<Via>>) -> Self {
        let is_permanent = reply.is_permanent();
        Self { is_permanent, result: RecipientResult::Unsendable(reply), via, is_left_out: false }
    }

    /// In the host's.
    fn theirs(reply: Reply, via: Option<Arc<Via>>) -> Self {
        Self { result: RecipientResult::Refused(reply.clone()), ..Self::ours(reply, via) }
    }

    /// A dialogue that came to nothing.
    fn of(error: &ClientError, host: &Domain, decision: &Decision) -> Self {
        let peer = if let ClientError::Session { address, .. } | ClientError::Tls { address, .. } = error {
            Some(*address)
        } else {
            None
        };
        let via = Some(Arc::new(Via { peer, ..via(host, decision, None) }));
        match mx::answer(error) {
            Ok(reply) => Self::theirs(reply, via),
            Err(reply) => Self::ours(reply, via),
        }
    }
}

fn via(host: &Domain, decision: &Decision, connection: Option<&Connection>) -> Via {
    Via {
        server: host.as_str().to_owned(),
        peer: connection.map(Connection::peer),
        tls: connection.and_then(Connection::tls).map(TlsInfo::to_string),
        policy: mx::words(decision, connection),
    }
}

fn report(message: &Message, mut ends: HashMap<usize, End>, busy: Option<&ClientError>) -> SendReport {
    let recipient = |(index, recipient): (usize, &posthouse_mail::Recipient)| {
        let (result, via) = ends.remove(&index).unwrap_or_else(|| {
            let why = busy.map_or_else(|| "the letter was not sent".to_owned(), ToString::to_string);
            (RecipientResult::NotTried(why), None)
        });
        RecipientReport { via, ..RecipientReport::new(recipient.address.clone(), result) }
    };
    let recipients: Vec<_> = message.envelope().recipients.iter().enumerate().map(recipient).collect();
    let mut met: Vec<&Arc<Via>> = Vec::new();
    for via in recipients.iter().filter_map(|recipient| recipient.via.as_ref()) {
        if !met.contains(&via) {
            met.push(via);
        }
    }
    let names: Vec<&str> = met.iter().map(|via| via.server.as_str()).collect();
    let only = if let [only] = met[..] { Some(only) } else { None };
    SendReport {
        server: names.join(", "),
        peer: only.and_then(|via| via.peer),
        tls: only.and_then(|via| via.tls.clone()),
        message_id: message.message_id().map(str::to_owned),
        recipients,
    }
}
