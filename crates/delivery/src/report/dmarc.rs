//! Reports on letters to the domains that they say they are of (DMARC, RFC 9990): once a day, by mail.

use posthouse_dns::Name;
use posthouse_mail::{Address, Domain, UnixMillis};
use posthouse_mailauth::ReportEnvelope;
use posthouse_mailauth::dmarc::aggregate::Report;
use posthouse_mailauth::dmarc::{ReportLetter, destinations};
use posthouse_reports::Evaluations;
use posthouse_runtime::shutdown::Shutdown;

use super::{Daily, End, Sending};
use crate::context::Context;
use crate::derive;

const DAY_SECONDS: u64 = 86_400;
/// The largest report as a letter: what is larger is cut to the sources that sent the most.
const LETTER_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Sends the reports.
#[derive(Clone)]
pub struct DmarcReports {
    /// What delivery works with.
    pub context: Context,
    /// What is to be reported.
    pub evaluations: Evaluations,
    /// Who they come from; without it the postmaster of our domain.
    pub from: Option<Address>,
    /// Who reports, for people; without it our host's name.
    pub organization: Option<String>,
}

impl DmarcReports {
    /// Sends what is due, until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        super::run(self, shutdown).await;
    }

    /// Sends what is due at `now`.
    pub async fn send_due(&self, now: UnixMillis) {
        super::send_due(self, now).await;
    }

    async fn made(&self, day: UnixMillis, domain: &Domain, from: &Address) -> Result<Option<Report>, String> {
        let found = self.evaluations.found(day, domain).await.map_err(|error| error.to_string())?;
        Ok(found.map(|(published, rows)| Report {
            organization: self.organization.clone().unwrap_or_else(|| self.context.hostname.to_string()),
            email: from.to_string(),
            // RFC 9990 §3.5.1; unlike that of a report on TLS of the same day.
            report_id: format!("{}@{}", derive::of_day(day, &format!("dmarc {domain}")), self.context.hostname),
            begins: day.0 / 1000,
            ends: (day.0 / 1000).saturating_add(DAY_SECONDS - 1),
            published,
            rows,
        }))
    }
}

impl Daily for DmarcReports {
    const KIND: &'static str = "dmarc-report";

    async fn over(&self, now: UnixMillis) -> Result<Vec<(UnixMillis, Domain)>, String> {
        self.evaluations.over(now).await.map_err(|error| error.to_string())
    }

    async fn report(&self, day: UnixMillis, domain: &Domain, now: UnixMillis) -> End {
        let Ok(name) = Name::try_from(domain) else { return End::Over };
        // What it wants now: whoever has taken the address back gets none.
        let addresses = match destinations(self.context.resolver.as_ref(), &name).await {
            Ok(addresses) => addresses,
            Err(error) => return End::Later(error.to_string()),
        };
        if addresses.is_empty() {
            return End::Over;
        }
        let from = match super::from(&self.context, self.from.as_ref()).await {
            Ok(from) => from,
            Err(error) => return End::Later(error.to_string()),
        };
        let mut report = match self.made(day, domain, &from).await {
            Ok(Some(report)) if !report.rows.is_empty() => report,
            Ok(_) => return End::Over,
            Err(why) => return End::Later(why),
        };
        let mut end = End::Over;
        for wanted in addresses {
            let to = &wanted.address;
            let id = Sending::id(Self::KIND, day, domain, to);
            let submitter = &self.context.hostname;
            let envelope = ReportEnvelope { from: &from, to, submitter, domain, id, at: now, day };
            let mut message = ReportLetter { envelope, report: &report }.to_message();
            while message.len() > LETTER_BYTES_MAX {
                report.rows.truncate(report.rows.len() / 2);
                message = ReportLetter { envelope, report: &report }.to_message();
            }
            if wanted.bytes_max.is_some_and(|max| u64::try_from(message.len()).is_ok_and(|size| size > max)) {
                tracing::info!(%domain, %to, size = message.len(), "a report is larger than the domain takes there, and is not sent");
                continue;
            }
            let sending = Sending { kind: Self::KIND, from: &from, to, about: domain, id, at: now };
            if let Err(why) = sending.queue(&self.context, message).await {
                end = End::Later(why);
            }
        }
        end
    }

    async fn let_go(&self, day: UnixMillis, domain: &Domain) -> Result<(), String> {
        self.evaluations.let_go(day, domain).await.map_err(|error| error.to_string())
    }
}
