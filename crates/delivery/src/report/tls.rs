//! Reports on TLS to the domains that ask for them (RFC 8460): once a day, by mail or by HTTPS.

use bytes::Bytes;
use posthouse_dns::DnsError;
use posthouse_http::{Client, Limits, Request, header};
use posthouse_mail::{Address, Domain, UnixMillis};
use posthouse_mailauth::ReportEnvelope;
use posthouse_mailauth::tls_rpt::{DateRange, Destination, RECORD_LABELS, Record, Report, ReportLetter};
use posthouse_runtime::shutdown::Shutdown;
use posthouse_transit::Sessions;

use super::{Daily, End, Sending};
use crate::context::Context;
use crate::derive;

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

impl TlsReports {
    /// Sends what is due, until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        super::run(self, shutdown).await;
    }

    /// Sends what is due at `now`.
    pub async fn send_due(&self, now: UnixMillis) {
        super::send_due(self, now).await;
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

    async fn by_mail(
        &self,
        report: &Report,
        (from, to): (&Address, &Address),
        domain: &Domain,
        (day, now): (UnixMillis, UnixMillis),
    ) -> Result<(), String> {
        let id = Sending::id(Self::KIND, day, domain, to);
        let submitter = &self.context.hostname;
        let envelope = ReportEnvelope { from, to, submitter, domain, id, at: now, day };
        let message = ReportLetter { envelope, report }.to_message();
        Sending { kind: Self::KIND, from, to, about: domain, id, at: now }.queue(&self.context, message).await
    }

    /// §5.4: any answer of the 200s will do.
    async fn by_https(&self, report: &Report, url: &str, domain: &Domain) -> Result<(), String> {
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/tlsrpt+gzip")
            .body(Bytes::from(report.pack()))
            .map_err(|error| error.to_string())?;
        let answer = self.client.send(request, Limits { body_bytes_max: ANSWER_BYTES_MAX }).await;
        let status = answer.map_err(|error| error.to_string())?.status();
        if !status.is_success() {
            return Err(format!("{url} answers {status}"));
        }
        super::written(&self.context, Self::KIND, domain, (url.to_owned(), String::new()), String::new()).await;
        Ok(())
    }
}

impl Daily for TlsReports {
    const KIND: &'static str = "tls-report";

    async fn over(&self, now: UnixMillis) -> Result<Vec<(UnixMillis, Domain)>, String> {
        self.sessions.over(now).await.map_err(|error| error.to_string())
    }

    async fn report(&self, day: UnixMillis, domain: &Domain, now: UnixMillis) -> End {
        let record = match self.record(domain).await {
            Ok(Some(record)) => record,
            Ok(None) => return End::Over,
            Err(why) => return End::Later(why),
        };
        let from = match super::from(&self.context, self.from.as_ref()).await {
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
                Destination::Mail(to) => self.by_mail(&report, (&from, to), domain, (day, now)).await,
                Destination::Https(url) => self.by_https(&report, url, domain).await,
            };
            match sent {
                Ok(()) => {}
                Err(why) => end = End::Later(why),
            }
        }
        end
    }

    async fn let_go(&self, day: UnixMillis, domain: &Domain) -> Result<(), String> {
        self.sessions.let_go(day, domain).await.map_err(|error| error.to_string())
    }
}
