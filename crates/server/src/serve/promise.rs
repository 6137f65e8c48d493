//! Watches whether the MTA-STS policy that we promise others allows the hosts that the MX records of our domains name: an enforced policy keeps mail from all others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthouse_admin::PolicyStatus;
use posthouse_directory::Directory;
use posthouse_dns::Resolver;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::{clock, random, select, task};
use posthouse_transit::check;
use tracing::warn;

use super::parts::Parts;
use super::server::policy;
use crate::config::Config;

const LOOK_EVERY: Duration = Duration::from_mins(10);

/// Looks now and then. Clones share what was found.
#[derive(Clone)]
pub(super) struct Promise {
    config: Arc<Mutex<Config>>,
    directory: Directory,
    resolver: Resolver,
    found: Arc<Mutex<Vec<PolicyStatus>>>,
}

impl Promise {
    /// Begins to look.
    pub(super) fn start(config: &Arc<Mutex<Config>>, parts: &Parts, shutdown: Shutdown) -> Self {
        let (config, directory) = (Arc::clone(config), parts.directory.clone());
        let promise = Self { config, directory, resolver: Arc::clone(&parts.resolver), found: Arc::default() };
        task::spawn("MTA-STS", promise.clone().run(shutdown));
        promise
    }

    /// What is wrong, as it was last looked at.
    pub(super) fn troubles(&self) -> Vec<PolicyStatus> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn run(self, shutdown: Shutdown) {
        loop {
            select! {
                () = self.look() => {}
                () = shutdown.requested() => return,
            }
            select! {
                () = clock::sleep(random::jitter(LOOK_EVERY, 0.1)) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    async fn look(&self) {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found = Vec::new();
        if let Ok(Some(policy)) = policy(&config) {
            let domains = match self.directory.domains().await {
                Ok(domains) => domains,
                Err(error) => return warn!(%error, "it is not known whether our MTA-STS policy allows our hosts"),
            };
            for domain in domains {
                if let Some(words) = check::uncovered(&self.resolver, &domain, &policy).await {
                    found.push(PolicyStatus { domain: domain.to_string(), words });
                }
            }
        }
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}
