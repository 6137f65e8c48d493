//! What is told to other domains of letters that say they are of them (DMARC): written down for the reports of a day, and reported at once where one failed.

use std::sync::Arc;

use posthouse_delivery::{Context, DmarcReports, FailureReports, Failures};
use posthouse_mailauth::dmarc::{Evaluation, Failure, Ledger};
use posthouse_reports::Evaluations;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::task;

use super::parts::Parts;
use crate::config::Config;

/// Takes what is found of letters. What nobody is told is not written down.
pub(super) struct Told {
    evaluations: Option<Evaluations>,
    failures: Option<Failures>,
}

impl Told {
    pub(super) fn ledger(config: &Config, parts: &Parts) -> Arc<dyn Ledger> {
        let settings = &config.dmarc_reports;
        let evaluations = settings.send.then(|| parts.evaluations.clone());
        Arc::new(Self { evaluations, failures: settings.failures.then(|| parts.failures.clone()) })
    }
}

impl Ledger for Told {
    fn note(&self, evaluation: Evaluation) {
        if let Some(evaluations) = &self.evaluations {
            evaluations.note(evaluation);
        }
    }

    fn wants_failures(&self) -> bool {
        self.failures.is_some()
    }

    fn failed(&self, failure: Failure) {
        if let Some(failures) = &self.failures {
            failures.put(failure);
        }
    }
}

/// Sends the reports that are wanted.
pub(super) fn start(config: &Config, parts: &Parts, context: &Context, shutdown: &Shutdown) {
    let settings = &config.dmarc_reports;
    // That it is an address was seen when the configuration was read.
    let from = settings.from.as_ref().and_then(|from| from.parse().ok());
    if settings.send {
        let (evaluations, organization) = (parts.evaluations.clone(), settings.organization.clone());
        let reports = DmarcReports { context: context.clone(), evaluations, from: from.clone(), organization };
        task::spawn("DMARC reports", reports.run(shutdown.clone()));
    }
    if settings.failures {
        let limits = (settings.failures_per_hour, settings.failures_per_day);
        let reports = FailureReports { context: context.clone(), from, limits, is_redacted: settings.failures_redact };
        task::spawn("failure reports", reports.run(parts.failures.clone(), shutdown.clone()));
    }
}
