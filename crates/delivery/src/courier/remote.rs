//! To another host: the ones of a domain in turn, or the smarthost.
//!
//! Recipients with the same destination travel in one transaction. The next host is tried when one cannot be reached, or takes none of them
//! for now; a permanent answer to a recipient, and any answer once the host took somebody, is the last word of this round. A letter whose fate is
//! unknown is given to nobody else.

use std::collections::HashMap;

use posthouse_client::mx::{self, Kept, Plan, Promises, unreachable};
use posthouse_client::{ClientError, Connection, RecipientResult, Security, Target, Timeouts};
use posthouse_journal::{Event, Outcome};
use posthouse_mail::{ByMode, Domain, Envelope, Notify, Recipient, Reply, ReversePath};
use posthouse_mailauth::tls_rpt::Session;
use posthouse_mailauth::transport::{Decision, Reason, TlsPolicy};
use posthouse_queue::{Feedback, Lease, RecipientState};
use posthouse_runtime::tls::TlsInfo;

use crate::bounce::address;
use crate::context::{Context, now};
use crate::courier::session;
use crate::forward;
use crate::outcome::{self, Attempt, AttemptResult, Hop, Verdict};
use crate::report;
use crate::source::Source;
use crate::way::{Destination, Manner, Way};

/// Why a host took none of the recipients, so that the next may be tried.
struct Miss {
    reply: Reply,
    hop: Hop,
    /// Whether it came to the letter.
    in_letter: bool,
}

/// How the visit to a host ended.
enum Visit {
    /// Every recipient has its result.
    Over,
    Missed(Miss),
    /// What the destination or the operator asks leaves this host out: it does not count as tried.
    LeftOut(Miss),
}

/// How handing over ended.
enum Handed {
    /// Every recipient has its result, after so many transactions.
    All(u32),
    /// Some have; the connection takes no more.
    Some,
    /// The host takes none of them now.
    Nobody(Box<Miss>),
}

/// What is asked of the connection to a host; undecided for a smarthost, of which the settings say all.
struct Ask {
    security: Security,
    decision: Option<Decision>,
}

/// One letter under way to one destination.
struct Journey<'a> {
    context: &'a Context,
    way: &'a Way,
    manner: Manner,
    source: Source,
    promises: Promises,
    /// Whether the destination may be told how its TLS goes.
    is_reported: bool,
    lease: &'a Lease,
    /// The sender that hosts are told.
    sender: ReversePath,
    /// What the timeline says of it.
    told: Option<String>,
    /// The recipients that have no result yet.
    open: Vec<usize>,
    /// What each of those was told by the last host that would not take it for now.
    put_off: HashMap<usize, (Reply, Hop)>,
    attempts: Vec<Attempt>,
}

/// Carries the letter to a destination for these recipients: one attempt each, or none where the destination is crowded.
pub(crate) async fn deliver(
    context: &Context,
    way: &Way,
    lease: &Lease,
    destination: Destination,
    indexes: Vec<usize>,
) -> (Vec<Attempt>, Feedback) {
    let (manner, source) = (way.manner(&destination, &context.settings), way.source(lease));
    let (put_off, attempts) = (HashMap::new(), Vec::new());
    let wish = mx::wish(&lease.letter().envelope);
    let promises = Promises { destination: destination.name().clone(), are_hosts_vouched: true, sts: None, wish };
    let (is_reported, open) = (false, indexes);
    let (sender, told) = forward::sender(context, lease, now()).await;
    let mut journey =
        Journey { context, way, manner, source, promises, is_reported, lease, sender, told, open, put_off, attempts };
    let hosts = match &destination {
        Destination::Smarthost(host) => vec![host.clone()],
        Destination::Host(hop) => vec![hop.host.clone()],
        Destination::Domain(domain) => {
            match mx::hosts(domain, Some(&context.hostname), &context.resolver).await {
                Plan::Hosts { names, are_vouched } => {
                    journey.promises.are_hosts_vouched = are_vouched;
                    // RFC 8460 §3: what becomes of a report is in no report itself.
                    if !journey.is_report() {
                        journey.promises.sts = context.sts.policy(domain).await;
                        journey.is_reported = true;
                    }
                    names
                }
                // That a domain takes no mail is an answer; that nobody says whether it does is none.
                Plan::Never(reply) => {
                    return (journey.end(Miss { reply, hop: Hop::default(), in_letter: false }), Feedback::Answered);
                }
                Plan::Later(reply) => {
                    let attempts = journey.end(Miss { reply: reply.clone(), hop: Hop::default(), in_letter: false });
                    return (attempts, Feedback::Unreachable(reply));
                }
            }
        }
    };
    // If any host failed only for now, the letter waits; the last such answer is the one to tell.
    let mut last: Option<Miss> = None;
    let mut hosts = hosts.into_iter().peekable();
    let mut tries = context.settings.hosts_max.max(1);
    while let Some(host) = hosts.next() {
        let (began, before) = (Some(now()), journey.attempts.len());
        let visit = journey.visit(&host).await;
        journey.attempts.iter_mut().skip(before).for_each(|attempt| attempt.hop.began = began);
        let mut miss = match visit {
            Visit::Over => {
                let feedback = over(&journey.attempts);
                return (journey.attempts, feedback);
            }
            Visit::Missed(miss) => {
                tries -= 1;
                miss
            }
            // RFC 8461 §5.1: such hosts are no candidates, and must not take the place of those that are.
            Visit::LeftOut(miss) => miss,
        };
        miss.hop.began = began;
        let is_last = tries == 0 || hosts.peek().is_none();
        let is_lesser = miss.reply.is_permanent() && last.as_ref().is_some_and(|last| last.reply.is_temporary());
        if is_lesser || !is_last {
            journey.note(&miss);
        }
        if !is_lesser {
            last = Some(miss);
        }
        if is_last {
            break;
        }
    }
    let miss =
        last.unwrap_or_else(|| Miss { reply: unreachable(1, "no host could be tried"), hop: Hop::default(), in_letter: false });
    let feedback = miss.feedback();
    (journey.end(miss), feedback)
}

impl Journey<'_> {
    /// Gives every recipient without a result its own last answer, or this one.
    fn end(mut self, miss: Miss) -> Vec<Attempt> {
        for index in std::mem::take(&mut self.open) {
            let own = self.put_off.remove(&index).filter(|(_, hop)| hop.host == miss.hop.host);
            let (reply, mut hop) = own.unwrap_or_else(|| (miss.reply.clone(), miss.hop.clone()));
            hop.began = miss.hop.began;
            self.attempts.push(Attempt { index, result: outcome::refused(reply), hop });
        }
        self.attempts
    }

    /// Writes down a host that was passed over.
    fn note(&self, miss: &Miss) {
        let outcome = Outcome::Deferred;
        for &index in &self.open {
            let own = self.put_off.get(&index).filter(|(_, hop)| hop.host == miss.hop.host);
            let (to, reply) = (address(self.lease, index), own.map_or(&miss.reply, |(reply, _)| reply).to_string());
            let Hop { host, address, source, sender, tls, policy, .. } = miss.hop.clone();
            let also = Vec::new();
            let event = Event::Attempt { to, also, host, address, source, sender, tls, policy, reply, outcome, next: None };
            self.context.note_since(self.lease.id(), event, miss.hop.began.unwrap_or_else(now));
        }
    }

    async fn visit(&mut self, host: &Domain) -> Visit {
        let ask = match self.ask(host).await {
            Ok(ask) => ask,
            Err(visit) => return *visit,
        };
        let line = self.line(host, &ask);
        let mut kept = self.way.pool().take(&line);
        loop {
            let (mut connection, letters, fresh) = match kept.take() {
                Some(Kept { connection, letters, .. }) => (connection, letters, false),
                None => match self.connect(host, &ask).await {
                    Ok(connection) => (connection, 0, true),
                    Err(miss) => return Visit::Missed(miss),
                },
            };
            match self.hand_over(host, &ask, &mut connection).await {
                Ok(Handed::All(sent)) => {
                    self.way.pool().put(&line, connection, letters + sent).await;
                    return Visit::Over;
                }
                // The rest goes over a new connection.
                Ok(Handed::Some) => connection.quit().await,
                Ok(Handed::Nobody(miss)) => {
                    connection.quit().await;
                    return Visit::Missed(*miss);
                }
                // A connection that rested may have been closed meanwhile: that says nothing of the host.
                Err(_) if !fresh => {}
                Err(error) => return Visit::Missed(missed(host, &ask, &error)),
            }
        }
    }

    /// What is asked of the connection to a host.
    async fn ask(&self, host: &Domain) -> Result<Ask, Box<Visit>> {
        if let Some(security) = &self.manner.security {
            return Ok(Ask { security: security.clone(), decision: None });
        }
        let transport = self.way.transport();
        let decision = if self.is_report() {
            // RFC 8460 §3, RFC 8689 §5: a report on TLS arrives where TLS is what does not work.
            Decision { policy: TlsPolicy::Opportunistic, reason: Reason::Nobody, is_trial: false }
        } else {
            transport.decide(&self.promises, host, self.manner.port, &self.context.resolver).await
        };
        match transport.security(&decision, &self.promises, host) {
            Ok(security) => Ok(Ask { security, decision: Some(decision) }),
            Err(reply) => {
                self.tell(session::refused(&self.promises, &decision, host));
                let hop = Hop { policy: Some(mx::words(&decision, None)), ..named(host) };
                let miss = Miss { reply, hop, in_letter: false };
                Err(Box::new(if mx::leaves_out(&decision) { Visit::LeftOut(miss) } else { Visit::Missed(miss) }))
            }
        }
    }

    /// Where connections rest that may carry this letter: to the same host and port, from the same addresses, and with the same asked of them.
    fn line(&self, host: &Domain, ask: &Ask) -> String {
        let asked = ask.decision.as_ref().map(|decision| &decision.policy);
        format!("{host}:{} {asked:?} {:?}", self.manner.port, self.source.name)
    }

    async fn connect(&self, host: &Domain, ask: &Ask) -> Result<Connection, Miss> {
        let Manner { port, credentials, .. } = &self.manner;
        let addresses = mx::addresses(host, *port, &self.context.resolver);
        let mut addresses = addresses.await.map_err(|reply| Miss { reply, hop: named(host), in_letter: false })?;
        addresses.truncate(self.context.settings.addresses_max.max(1));
        let mut target = Target::new(
            host.as_str(),
            addresses,
            ask.security.clone(),
            self.source.hostname.as_ref().unwrap_or(&self.context.hostname).as_str(),
        );
        target.sources.clone_from(&self.source.addresses);
        target.timeouts = Timeouts { connect: self.context.settings.connect_timeout.0, ..Timeouts::default() };
        target.tls_name = ask.decision.as_ref().and_then(mx::tls_name);
        target.credentials.clone_from(credentials);
        target.known = self.way.pool().known(host.as_str());
        let opened = Connection::open(&target).await;
        if let Some(decision) = &ask.decision {
            self.tell(session::of(&self.promises, decision, host, &opened));
        }
        let connection = opened.map_err(|error| missed(host, ask, &error))?;
        if let Some(why) = connection.tls_fallback() {
            tracing::warn!(%host, why, "TLS was offered and did not work; the letter goes in clear");
        }
        Ok(connection)
    }

    /// Whether the letter is a report.
    fn is_report(&self) -> bool {
        report::is_report(&self.lease.letter().origin.listener)
    }

    fn tell(&self, session: Option<Session>) {
        if let Some(session) = session.filter(|_| self.is_reported) {
            self.context.ledger.note(session);
        }
    }

    /// Sends until no recipient is left, or the host takes no more over this connection.
    async fn hand_over(&mut self, host: &Domain, ask: &Ask, connection: &mut Connection) -> Result<Handed, ClientError> {
        if let Some(reply) = connection.lacks_tls(&self.lease.letter().envelope) {
            let hop = Hop { speaks: false, ..hop(host, ask, connection) };
            return Ok(Handed::Nobody(Box::new(Miss { reply, hop, in_letter: true })));
        }
        let mut sent = 0;
        while !self.open.is_empty() {
            if !connection.is_reusable() {
                return Ok(Handed::Some);
            }
            let results = connection.send(&self.envelope(connection), &mut self.lease.body()).await?;
            let source = self.source.words(connection.local().ip());
            let hop = Hop { source, sender: self.told.clone(), ..hop(host, ask, connection) };
            if let Some(reply) = self.put_off_all(&results, &hop) {
                let hop = Hop { throttles: outcome::throttles(&reply), ..hop };
                return Ok(Handed::Nobody(Box::new(Miss { reply, hop, in_letter: true })));
            }
            let asked = self.open.len();
            for (index, result) in std::mem::take(&mut self.open).into_iter().zip(results) {
                let speaks = matches!(result, RecipientResult::Accepted(_) | RecipientResult::Refused(_));
                match outcome::of(result) {
                    Verdict::Over(result) => {
                        let throttles = speaks && result.reply().is_some_and(outcome::throttles);
                        self.attempts.push(Attempt { index, result, hop: Hop { speaks, throttles, ..hop.clone() } });
                    }
                    Verdict::Again => self.open.push(index),
                }
            }
            if connection.refused_chunks() {
                return Ok(Handed::Some);
            }
            if self.open.len() == asked {
                let reply = unreachable(2, "the host takes no recipient of this letter now");
                return Ok(Handed::Nobody(Box::new(Miss { reply, hop: Hop { speaks: false, ..hop }, in_letter: true })));
            }
            sent += 1;
        }
        Ok(Handed::All(sent))
    }

    /// Whether the host refused every recipient, each for now: then another may take them. Gives the first answer.
    fn put_off_all(&mut self, results: &[RecipientResult], hop: &Hop) -> Option<Reply> {
        let replies: Vec<&Reply> = results.iter().map_while(for_now).collect();
        let first = replies.first().filter(|_| replies.len() == self.open.len())?;
        let answers = self.open.iter().zip(&replies).map(|(&index, &reply)| (index, (reply.clone(), hop.clone())));
        self.put_off.extend(answers);
        Some((*first).clone())
    }

    fn envelope(&self, connection: &Connection) -> Envelope {
        let (states, envelope) = (self.lease.recipients(), &self.lease.letter().envelope);
        let offered = connection.capabilities();
        let is_deaf = envelope.deliver_by.is_some_and(|by| by.mode == ByMode::Notify) && !offered.deliver_by && offered.dsn;
        let recipient = |state: &RecipientState| match &state.recipient {
            recipient if is_deaf => Recipient { notify: with_delay(recipient.notify), ..recipient.clone() },
            recipient => recipient.clone(),
        };
        let recipients = self.open.iter().filter_map(|&index| states.get(index)).map(recipient).collect();
        Envelope { recipients, reverse_path: self.sender.clone(), ..envelope.clone() }
    }
}

/// RFC 2852 §4.1.4.2: a host that knows nothing of the deadline, and reports, is asked to report a delay to who wants to hear anything.
fn with_delay(notify: Option<Notify>) -> Option<Notify> {
    let notify = notify.unwrap_or(Notify { failure: true, ..Notify::default() });
    Some(Notify { delay: notify != Notify::default(), ..notify })
}

/// What a visit that came to its end says of the site: it answered, unless it asked for fewer letters and took none of this one.
fn over(attempts: &[Attempt]) -> Feedback {
    let throttled = |attempt: &Attempt| match &attempt.result {
        AttemptResult::Deferred(reply) if attempt.hop.throttles => Some(reply.clone()),
        AttemptResult::Deferred(_) | AttemptResult::Delivered(_) | AttemptResult::Failed(_) => None,
    };
    let is_taken = attempts.iter().any(|attempt| matches!(attempt.result, AttemptResult::Delivered(_)));
    match attempts.iter().find_map(throttled) {
        Some(reply) if !is_taken => Feedback::Throttled(reply),
        Some(_) | None => Feedback::Answered,
    }
}

impl Miss {
    /// What it says of the site. A host that took the connection and turned the letter away has answered.
    fn feedback(&self) -> Feedback {
        if self.hop.throttles {
            Feedback::Throttled(self.reply.clone())
        } else if self.in_letter {
            Feedback::Answered
        } else {
            Feedback::Unreachable(self.reply.clone())
        }
    }
}

fn for_now(result: &RecipientResult) -> Option<&Reply> {
    match result {
        RecipientResult::Refused(reply) if reply.is_temporary() => Some(reply),
        RecipientResult::Refused(_)
        | RecipientResult::Accepted(_)
        | RecipientResult::Unsendable(_)
        | RecipientResult::Unknown(_)
        | RecipientResult::NotTried(_) => None,
    }
}

/// A host that was never spoken to.
fn named(host: &Domain) -> Hop {
    Hop { host: Some(host.to_string()), ..Hop::default() }
}

fn hop(host: &Domain, ask: &Ask, connection: &Connection) -> Hop {
    Hop {
        host: Some(host.to_string()),
        address: Some(connection.peer()),
        source: None,
        sender: None,
        tls: connection.tls().map(TlsInfo::to_string),
        policy: ask.decision.as_ref().map(|decision| mx::words(decision, Some(connection))),
        began: None,
        takes_dsn: connection.capabilities().dsn,
        takes_deliver_by: connection.capabilities().deliver_by,
        speaks: true,
        throttles: false,
    }
}

/// A dialogue that came to nothing.
fn missed(host: &Domain, ask: &Ask, error: &ClientError) -> Miss {
    let address =
        if let ClientError::Session { address, .. } | ClientError::Tls { address, .. } = error { Some(*address) } else { None };
    let (reply, speaks) = mx::answer(error).map_or_else(|ours| (ours, false), |theirs| (theirs, true));
    let throttles = speaks && outcome::throttles(&reply);
    let policy = ask.decision.as_ref().map(|decision| mx::words(decision, None));
    Miss { reply, hop: Hop { address, policy, speaks, throttles, ..named(host) }, in_letter: false }
}
