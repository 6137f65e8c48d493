//! Sees to it that there is a certificate, and that it does not end.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::CertificateIdentifier;
use posthouse_http::Client;
use posthouse_runtime::shutdown::Shutdown;
use posthouse_runtime::tls::{CertificateInfo, TlsError};
use posthouse_runtime::{clock, random, select};

use crate::error::AcmeError;
use crate::order::Office;
use crate::proofs::Proofs;
use crate::records::Records;
use crate::schedule;
use crate::settings::Settings;
use crate::store::Store;

/// How often it is looked whether it is time.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// How often the authority is asked whether it wants the certificate renewed (RFC 9773 §4.3.3: it says itself, and some hours are usual).
const ASK_EVERY: Duration = Duration::from_hours(6);

/// Shows the certificate that was stored: to connections from now on.
pub type Show = Arc<dyn Fn() -> Result<(), TlsError> + Send + Sync>;

/// Which key the next certificate has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextKey {
    /// A fresh one.
    Fresh,
    /// This one, in PEM form.
    Kept(String),
    /// Nobody knows yet; it is asked again after that time.
    Later(Duration),
}

/// Says which.
pub type Keys = Arc<dyn Fn() -> NextKey + Send + Sync>;

/// Keeps one certificate.
pub struct Keeper {
    /// What the operator set.
    pub settings: Settings,
    /// The names that the certificate is for.
    pub names: Vec<String>,
    /// Asks the authority.
    pub client: Client,
    /// Where account and certificate are.
    pub store: Store,
    /// Where proofs are shown.
    pub proofs: Proofs,
    /// How proofs come into the DNS.
    pub records: Records,
    /// Says which key the next certificate has.
    pub keys: Keys,
    /// Shows a new certificate.
    pub show: Show,
    /// How it stands, for whoever asks.
    pub standing: Standing,
}

/// How it stands. Clones share it.
#[derive(Clone, Default)]
pub struct Standing(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    failures: u32,
    last_error: Option<String>,
    /// When the authority wants it renewed, and of which certificate it said so.
    wanted_at: Option<(i64, String)>,
}

impl Standing {
    /// Why the last attempt failed; `None` when it did not.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last_error.clone()
    }
}

impl Keeper {
    /// Keeps it, until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        let mut asked_at = None;
        loop {
            let wait = select! {
                wait = self.look(&mut asked_at) => wait,
                () = shutdown.requested() => return,
            };
            select! {
                () = clock::sleep(random::jitter(wait, 0.1)) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    /// Looks once, and renews if it is time. Gives how long it may rest.
    async fn look(&self, asked_at: &mut Option<i64>) -> Duration {
        let certificate = self.store.certificate();
        let now = now();
        if let Some(certificate) = &certificate
            && self.covers(certificate)
        {
            if asked_at.is_none_or(|at| now.saturating_sub(at) >= seconds(ASK_EVERY)) {
                *asked_at = Some(now);
                self.ask(certificate).await;
            }
            if let Some(rest) = self.rest(certificate) {
                return rest;
            }
        }
        let kept = match (self.keys)() {
            NextKey::Fresh => None,
            NextKey::Kept(pem) => Some(pem),
            NextKey::Later(rest) => {
                tracing::info!(
                    minutes = rest.as_secs() / 60,
                    "a certificate is ordered when its TLSA record is known everywhere"
                );
                return rest.min(LOOK_EVERY);
            }
        };
        let renewed = self.renew(certificate.as_ref(), kept.as_deref()).await;
        let mut state = self.state();
        match renewed {
            Ok(()) => {
                (state.failures, state.last_error) = (0, None);
                tracing::info!(names = self.names.join(" "), "a new certificate is shown from now on");
                drop(state);
                // One that is over at once, or is for other names, is not replaced at once.
                self.store.certificate().and_then(|new| self.rest(&new)).unwrap_or(LOOK_EVERY)
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                state.last_error = Some(error.to_string());
                let pause = schedule::pause(state.failures);
                let is_late = certificate.is_none_or(|old| schedule::is_late(old.not_before, old.not_after, now));
                if is_late {
                    tracing::error!(%error, minutes = pause.as_secs() / 60, "there is no new certificate, and the old one ends soon; it is tried again");
                } else {
                    tracing::warn!(%error, minutes = pause.as_secs() / 60, "there is no new certificate; it is tried again");
                }
                pause
            }
        }
    }

    async fn renew(&self, old: Option<&CertificateInfo>, key: Option<&str>) -> Result<(), AcmeError> {
        let replaces = old.filter(|old| self.covers(old)).and_then(identifier);
        self.office().obtain(&self.names, replaces, key).await?;
        Ok((self.show)()?)
    }

    /// Asks the authority when it wants the certificate renewed (RFC 9773 §4.2): an earlier time than ours is obeyed.
    async fn ask(&self, certificate: &CertificateInfo) {
        let Some(identifier) = identifier(certificate) else { return };
        let told = async {
            let account = self.office().account().await?;
            Ok::<_, AcmeError>(account.renewal_info(&identifier).await?.0)
        };
        match told.await {
            Ok(info) => {
                let (start, end) = (info.suggested_window.start.unix_timestamp(), info.suggested_window.end.unix_timestamp());
                let width = usize::try_from(end.saturating_sub(start)).unwrap_or_default();
                let at = start.saturating_add(i64::try_from(random::below(width.max(1))).unwrap_or_default());
                self.state().wanted_at = Some((at, identifier.to_string()));
            }
            // Not every authority says so, and none must.
            Err(error) => tracing::debug!(%error, "the authority does not say when to renew"),
        }
    }

    /// How long nothing is to be done; `None` when it is time to renew.
    fn rest(&self, certificate: &CertificateInfo) -> Option<Duration> {
        let until = u64::try_from(self.renew_at(certificate).saturating_sub(now())).unwrap_or_default();
        (until > 0).then(|| LOOK_EVERY.min(Duration::from_secs(until)))
    }

    fn renew_at(&self, certificate: &CertificateInfo) -> i64 {
        let ours = schedule::renew_at(certificate.not_before, certificate.not_after);
        let known = identifier(certificate).map(|identifier| identifier.to_string());
        let state = self.state();
        let wanted = state.wanted_at.as_ref().filter(|(_, of)| Some(of) == known.as_ref()).map(|(at, _)| *at);
        wanted.map_or(ours, |wanted| wanted.min(ours))
    }

    /// Whether a certificate is for all the names.
    fn covers(&self, certificate: &CertificateInfo) -> bool {
        self.names.iter().all(|name| certificate.names.iter().any(|other| other.eq_ignore_ascii_case(name)))
    }

    fn office(&self) -> Office<'_> {
        Office {
            settings: &self.settings,
            client: &self.client,
            store: &self.store,
            proofs: &self.proofs,
            records: &self.records,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.standing.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("names", &self.names).finish_non_exhaustive()
    }
}

/// The name of a certificate with its authority (RFC 9773 §4.1).
fn identifier(certificate: &CertificateInfo) -> Option<CertificateIdentifier<'static>> {
    let authority = certificate.authority_key.as_ref()?;
    Some(CertificateIdentifier {
        authority_key_identifier: BASE64_URL_SAFE_NO_PAD.encode(authority).into(),
        serial: BASE64_URL_SAFE_NO_PAD.encode(&certificate.serial).into(),
    })
}

fn now() -> i64 {
    i64::try_from(clock::unix_millis() / 1000).unwrap_or(i64::MAX)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
