//! Reports on TLS to the domains that ask for them (RFC 8460): once a day, by mail or by HTTPS.
//!
//! A report is queued under an id that its day, domain and address give, and what it was made of is let go only then: a crash between the two
//! makes the same letter again, which the queue takes once. Reports have no sender, so nobody is told of those that do not arrive, and they are
//! in no report themselves: nothing can go round.

use std::time::Duration;

use bytes::Bytes;
use posthouse_directory::{DirectoryError, StoredKey};
use posthouse_dns::DnsError;
use posthouse_http::{Client, Limits, Request, header};
use posthouse_mail::header::{Header, end_of_header};
use posthouse_mail::{Address, Domain, Envelope, LocalPart, Recipient, ReversePath, UnixMillis};
use posthouse_mailauth::dkim::{Algorithm, BodyDigest, Signer, SigningKey};
use posthouse_mailauth::tls_rpt::{DateRange, Destination, RECORD_LABELS, Record, Report, ReportLetter};
use posthouse_queue::{Letter, Origin};
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::{clock, select};
use posthouse_transit::Sessions;
use sha2::{Digest as _, Sha256};

use crate::context::{Context, now};
use crate::derive;

/// The origin of a report.
pub(crate) const ORIGIN: &str = "tls-report";
const DAY: Duration = Duration::from_hours(24);
/// How often it is looked whether a report is due.
const LOOK_EVERY: Duration = Duration::from_mins(15);
/// §4.1: reports of a day come spread over the first hours of the next, for everybody's day ends at once.
const SPREAD_MINUTES: u64 = 4 * 60;
/// How long it is tried to find out whether a domain wants a report, and to give it by HTTPS.
const TRIED_FOR: Duration = Duration::from_hours(3 * 24);
/// The octets of an answer to a report by HTTPS; nobody reads it.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Sends the reports.
#[derive(Clone)]
pub struct TlsReports {
    /// What delivery works with.
    pub context: Context,
    /// What is to be reported.
    pub sessions: Sessions,
    /// For those who want reports by HTTPS.
    pub client: Client,
    /// Who they come from; without it the postmaster of our domain.
    pub from: Option<Address>,
}

/// What becomes of one day of one domain.
enum End {
    /// It is reported, or nobody wants to know.
    Over,
    /// It is tried again.
    Later(String),
}

impl TlsReports {
    /// Sends what is due, until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        loop {
            select! {
                () = self.send_due(now()) => {}
                () = shutdown.requested() => return,
            }
            select! {
                () = clock::sleep(LOOK_EVERY) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    /// Sends what is due at `now`.
    pub async fn send_due(&self, now: UnixMillis) {
        let days = match self.sessions.over(now).await {
            Ok(days) => days,
            Err(error) => return tracing::error!(%error, "the reports on TLS cannot be made"),
        };
        for (day, domain) in days {
            if due(day, &domain) > now {
                continue;
            }
            match self.report(day, &domain, now).await {
                End::Later(why) if now.since(day) < DAY + TRIED_FOR => {
                    tracing::info!(%domain, why, "a report on TLS is sent later");
                    continue;
                }
                End::Later(why) => tracing::warn!(%domain, why, "a report on TLS is given up"),
                End::Over => {}
            }
            if let Err(error) = self.sessions.let_go(day, &domain).await {
                tracing::error!(%domain, %error, "a report on TLS may be made twice");
            }
        }
    }

    async fn report(&self, day: UnixMillis, domain: &Domain, now: UnixMillis) -> End {
        let record = match self.record(domain).await {
            Ok(Some(record)) => record,
            Ok(None) => return End::Over,
            Err(why) => return End::Later(why),
        };
        let from = match self.from().await {
            Ok(from) => from,
            Err(error) => return End::Later(error.to_string()),
        };
        let policies = match self.sessions.results(day, domain).await {
            Ok(policies) => policies,
            Err(error) => return End::Later(error.to_string()),
        };
        let report = Report {
            organization_name: self.context.hostname.to_string(),
            date_range: DateRange::day(day),
            contact_info: Some(from.to_string()),
            report_id: format!("{}@{}", derive::of_day(day, domain.as_str()), self.context.hostname),
            policies,
        };
        let mut end = End::Over;
        for destination in record.destinations() {
            let sent = match destination {
                Destination::Mail(to) => self.by_mail(&report, &from, to, domain, day, now).await,
                Destination::Https(url) => self.by_https(&report, url).await,
            };
            match sent {
                Ok(()) => tracing::info!(%domain, %destination, "a report on TLS is sent"),
                Err(why) => end = End::Later(why),
            }
        }
        end
    }

    /// Where the domain wants reports; `None` when it wants none.
    async fn record(&self, domain: &Domain) -> Result<Option<Record>, String> {
        let Ok(name) = format!("{RECORD_LABELS}.{domain}").parse() else { return Ok(None) };
        match self.context.resolver.txt(&name).await {
            Ok(answer) => Ok(Record::read(&answer.value).unwrap_or_else(|error| {
                tracing::debug!(%domain, %error, "the domain gets no report on TLS");
                None
            })),
            Err(DnsError::NoData | DnsError::NoSuchDomain) => Ok(None),
            Err(DnsError::Temporary(why)) => Err(why),
        }
    }

    /// Who sends them: an address whose domain has keys, where that is possible (§5.3: reports are signed).
    async fn from(&self) -> Result<Address, DirectoryError> {
        if let Some(from) = &self.from {
            return Ok(from.clone());
        }
        let ours = self.context.directory.domains().await?;
        let mut above = Some(self.context.hostname.clone());
        let mut domain = None;
        while let (None, Some(name)) = (&domain, above) {
            domain = ours.iter().find(|ours| **ours == name).cloned();
            above = name.parent();
        }
        let domain = domain.or_else(|| ours.first().cloned()).unwrap_or_else(|| self.context.hostname.clone());
        // Nine letters are a local part.
        let local = LocalPart::new("postmaster").map_err(|error| DirectoryError::Storage(error.to_string()))?;
        Ok(Address::new(local, domain))
    }

    async fn by_mail(
        &self,
        report: &Report,
        from: &Address,
        to: &Address,
        domain: &Domain,
        day: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), String> {
        let id = derive::of_day(day, &format!("{domain} {to}"));
        let submitter = &self.context.hostname;
        let message = ReportLetter { from, to, submitter, domain, id, at: now, day, report }.to_message();
        let keys = self.context.directory.keys(from.domain()).await.map_err(|error| error.to_string())?;
        let message = signed(from.domain(), &keys, message, now);
        let envelope = Envelope::new(ReversePath::NULL, vec![Recipient::from(to.clone())]);
        let origin = Origin { peer: None, helo: None, account: None, listener: ORIGIN.to_owned() };
        let stored = async {
            let mut draft = self.context.queue.begin_as(id)?;
            draft.write(Bytes::from(message)).await?;
            draft.commit(Letter { envelope, arrived: now, origin }).await
        };
        stored.await.map(drop).map_err(|error| error.to_string())
    }

    /// §5.4: any answer of the 200s will do.
    async fn by_https(&self, report: &Report, url: &str) -> Result<(), String> {
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/tlsrpt+gzip")
            .body(Bytes::from(report.pack()))
            .map_err(|error| error.to_string())?;
        let answer = self.client.send(request, Limits { body_bytes_max: ANSWER_BYTES_MAX }).await;
        let status = answer.map_err(|error| error.to_string())?.status();
        if status.is_success() { Ok(()) } else { Err(format!("{url} answers {status}")) }
    }
}

/// When a day of a domain is reported: the same for each domain every day.
fn due(day: UnixMillis, domain: &Domain) -> UnixMillis {
    let hash = Sha256::digest(domain.as_str());
    let number = hash.iter().take(8).fold(0, |number: u64, &octet| number << 8 | u64::from(octet));
    day.plus(DAY).plus(Duration::from_secs(number % SPREAD_MINUTES * 60))
}

/// The letter with a signature by each key of the domain. A key that cannot be used is left out.
fn signed(domain: &Domain, keys: &[StoredKey], message: Vec<u8>, now: UnixMillis) -> Vec<u8> {
    let Some((fields_end, body_start)) = end_of_header(&message) else { return message };
    let (head, body) = (message.get(..fields_end).unwrap_or_default(), message.get(body_start..).unwrap_or_default());
    let mut digest = BodyDigest::new();
    digest.update(body);
    let hash = digest.finish();
    let mut fields = Vec::new();
    for StoredKey { selector, octets } in keys {
        let key = [Algorithm::Rsa, Algorithm::Ed25519].into_iter().find_map(|kind| SigningKey::from_der(kind, octets).ok());
        let field = Header::parse(head).ok().zip(key).and_then(|(header, key)| {
            let signer = Signer { domain: domain.clone(), selector: selector.clone(), key: key.into() };
            signer.sign(header, &hash, now.0 / 1000).ok()
        });
        match field {
            Some(field) => fields.extend_from_slice(field.as_bytes()),
            None => tracing::error!(%domain, selector, "a DKIM key cannot be used, reports on TLS go without its signature"),
        }
    }
    fields.extend_from_slice(&message);
    fields
}
