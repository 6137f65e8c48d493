//! Reports to domains that ask for them, once a day: what those on TLS and those on authors (DMARC) have in common; reports on single letters; and letters to the
//! operator.
//!
//! A report is queued under an id that its day, domain and address give, and what it was made of is let go only then: a crash between the two
//! makes the same letter again, which the queue takes once. Reports have no sender, so nobody is told of those that do not arrive, and they are
//! in no report themselves: nothing can go round.

pub(crate) mod alarm;
pub(crate) mod dmarc;
pub(crate) mod failure;
pub(crate) mod tls;

use std::time::Duration;

use bytes::Bytes;
use posthouse_directory::DirectoryError;
use posthouse_journal::Event;
use posthouse_mail::{Address, Domain, Envelope, LetterId, LocalPart, Recipient, ReversePath, UnixMillis};
use posthouse_queue::{Letter, Origin};
use posthouse_reports::Sent;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::{clock, select};
use sha2::{Digest as _, Sha256};

use crate::context::{Context, now};
use crate::{derive, sign};

const DAY: Duration = Duration::from_hours(24);
/// How often it is looked whether a report is due.
const LOOK_EVERY: Duration = Duration::from_mins(15);
/// RFC 8460 §4.1: reports of a day come spread over the first hours of the next, for everybody's day ends at once.
const SPREAD_MINUTES: u64 = 4 * 60;
/// How long it is tried to find out whether a domain wants a report, and to give it.
const TRIED_FOR: Duration = Duration::from_hours(3 * 24);

/// What becomes of one day of one domain.
pub(crate) enum End {
    /// It is reported, or nobody wants to know.
    Over,
    /// It is tried again.
    Later(String),
}

/// Something that is reported by the day.
pub(crate) trait Daily: Sync {
    /// As the log and the timeline name it, and the origin of its letters.
    const KIND: &'static str;

    /// The days that are over and not reported, with their domains.
    fn over(&self, now: UnixMillis) -> impl Future<Output = Result<Vec<(UnixMillis, Domain)>, String>> + Send;

    /// Reports a day of a domain.
    fn report(&self, day: UnixMillis, domain: &Domain, now: UnixMillis) -> impl Future<Output = End> + Send;

    /// Lets it go.
    fn let_go(&self, day: UnixMillis, domain: &Domain) -> impl Future<Output = Result<(), String>> + Send;
}

/// Sends what is due, until `shutdown`.
pub(crate) async fn run(daily: impl Daily, shutdown: Shutdown) {
    loop {
        select! {
            () = send_due(&daily, now()) => {}
            () = shutdown.requested() => return,
        }
        select! {
            () = clock::sleep(LOOK_EVERY) => {}
            () = shutdown.requested() => return,
        }
    }
}

/// Sends what is due at `now`.
pub(crate) async fn send_due<D: Daily>(daily: &D, now: UnixMillis) {
    let kind = D::KIND;
    let days = match daily.over(now).await {
        Ok(days) => days,
        Err(error) => return tracing::error!(kind, error, "the reports cannot be made"),
    };
    for (day, domain) in days {
        if due(day, &domain) > now {
            continue;
        }
        match daily.report(day, &domain, now).await {
            End::Later(why) if now.since(day) < DAY + TRIED_FOR => {
                tracing::info!(kind, %domain, why, "a report is sent later");
                continue;
            }
            End::Later(why) => tracing::warn!(kind, %domain, why, "a report is given up"),
            End::Over => {}
        }
        if let Err(error) = daily.let_go(day, &domain).await {
            tracing::error!(kind, %domain, error, "a report may be made twice");
        }
    }
}

/// When a day of a domain is reported: the same for each domain every day.
fn due(day: UnixMillis, domain: &Domain) -> UnixMillis {
    let hash = Sha256::digest(domain.as_str());
    let number = hash.iter().take(8).fold(0, |number: u64, &octet| number << 8 | u64::from(octet));
    day.plus(DAY).plus(Duration::from_secs(number % SPREAD_MINUTES * 60))
}

/// Whether letters of this origin are reports.
pub(crate) fn is_report(origin: &str) -> bool {
    [tls::TlsReports::KIND, dmarc::DmarcReports::KIND, failure::KIND, alarm::KIND].contains(&origin)
}

/// Who reports come from: an address whose domain has keys, where that is possible (RFC 8460 §5.3: reports are signed).
pub(crate) async fn from(context: &Context, set: Option<&Address>) -> Result<Address, DirectoryError> {
    if let Some(set) = set {
        return Ok(set.clone());
    }
    let domain = match sign::domain_of_host(context).await? {
        Some(domain) => domain,
        None => context.directory.domains().await?.into_iter().next().unwrap_or_else(|| context.hostname.clone()),
    };
    // Ten letters are a local part.
    let local = LocalPart::new("postmaster").map_err(|error| DirectoryError::Storage(error.to_string()))?;
    Ok(Address::new(local, domain))
}

/// A report that is a letter.
pub(crate) struct Sending<'a> {
    /// What it is, [`Daily::KIND`].
    pub(crate) kind: &'static str,
    pub(crate) from: &'a Address,
    pub(crate) to: &'a Address,
    /// The domain it is about.
    pub(crate) about: &'a Domain,
    pub(crate) id: LetterId,
    pub(crate) at: UnixMillis,
}

impl Sending<'_> {
    /// The id of a report on a day of a domain to an address.
    pub(crate) fn id(kind: &str, day: UnixMillis, domain: &Domain, to: &Address) -> LetterId {
        derive::of_day(day, &format!("{kind} {domain} {to}"))
    }

    /// Signs it and queues it. Once, however often it is called.
    pub(crate) async fn queue(self, context: &Context, message: Vec<u8>) -> Result<(), String> {
        let Self { kind, from, to, about, id, at } = self;
        let keys = context.directory.keys(from.domain()).await.map_err(|error| error.to_string())?;
        let message = sign::signed(from.domain(), &keys, message, at);
        let envelope = Envelope::new(ReversePath::NULL, vec![Recipient::from(to.clone())]);
        let origin = Origin { peer: None, helo: None, account: None, listener: kind.to_owned() };
        let stored = async {
            let mut draft = context.queue.begin_as(id)?;
            draft.write(Bytes::from(message)).await?;
            draft.commit(Letter { envelope, arrived: at, origin }).await
        };
        stored.await.map_err(|error| error.to_string())?;
        tracing::info!(kind, domain = %about, %to, letter = %id, "a report is sent");
        if kind != alarm::KIND {
            written(context, kind, about, (to.to_string(), to.domain().to_string()), id.to_string()).await;
        }
        context.note(id, Event::Reported { kind: kind.to_owned(), about: about.to_string(), to: to.to_string() });
        Ok(())
    }
}

/// Writes down, for `posthouse reports sent`, what went where. No report fails for it.
pub(crate) async fn written(context: &Context, kind: &str, about: &Domain, (receiver, host): (String, String), letter: String) {
    let sent = Sent { kind: kind.to_owned(), domain: about.to_string(), receiver, host, letter, at: now().0 };
    if let Err(error) = context.reports.sent(sent).await {
        tracing::error!(kind, domain = %about, %error, "it cannot be written down that a report was sent");
    }
}
