//! One certificate from one authority.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, CertificateIdentifier, ChallengeHandle, ChallengeType, ExternalAccountKey,
    Identifier, NewAccount, NewOrder, Order, OrderStatus,
};
use posthouse_dns::Change;
use posthouse_http::Client;
use posthouse_runtime::clock;
use posthouse_runtime::tls::CertificateRequest;

use crate::error::AcmeError;
use crate::proofs::Proofs;
use crate::records::Records;
use crate::settings::{Challenge, Settings};
use crate::store::Store;
use crate::wire::Wire;

/// How often an order is looked at, and how many times.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOKS_MAX: usize = 90;

/// What orders are made with.
pub(crate) struct Office<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) client: &'a Client,
    pub(crate) store: &'a Store,
    pub(crate) proofs: &'a Proofs,
    pub(crate) records: &'a Records,
}

impl Office<'_> {
    /// The account with the authority: the one that is kept, else a new one.
    pub(crate) async fn account(&self) -> Result<Account, AcmeError> {
        let builder = Account::builder_with_http(Box::new(Wire(self.client.clone())));
        let directory = &self.settings.directory;
        if let Some(credentials) = self.store.account(directory) {
            return Ok(builder.from_credentials(credentials).await?);
        }
        if !self.settings.agree_to_terms {
            return Err(AcmeError::Terms);
        }
        let contact: Vec<String> = self.settings.contact.iter().map(|address| format!("mailto:{address}")).collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let bound = self.settings.external_account.as_ref();
        let bound = bound.and_then(|bound| Some(ExternalAccountKey::new(bound.key_id.clone(), &bound.key()?)));
        let (account, credentials) = builder.create(&wanted, directory.clone(), bound.as_ref()).await?;
        self.store.put_account(directory, credentials)?;
        tracing::info!(directory, "an ACME account was made");
        Ok(account)
    }

    /// Orders a certificate for these names and this key, else a fresh one, proves them, and stores what comes. `replaces` is the certificate that it follows
    /// (RFC 9773 §5).
    pub(crate) async fn obtain(
        &self,
        names: &[String],
        replaces: Option<CertificateIdentifier<'_>>,
        key: Option<&str>,
    ) -> Result<(), AcmeError> {
        let account = self.account().await?;
        let identifiers: Vec<Identifier> = names.iter().map(|name| Identifier::Dns(name.clone())).collect();
        let mut wanted = NewOrder::new(&identifiers);
        if let Some(replaces) = replaces {
            wanted = wanted.replaces(replaces);
        }
        let ordered = match account.new_order(&wanted).await {
            // An authority that does not know the old one any more must not keep us from a new one.
            Err(instant_acme::Error::Unsupported(_)) => account.new_order(&NewOrder::new(&identifiers)).await,
            other => other,
        };
        let mut order = ordered?;
        let mut published = Vec::new();
        let proven = self.prove(&mut order, &mut published).await;
        self.proofs.clear();
        for withdrawal in published {
            self.records.withdraw(withdrawal).await;
        }
        proven?;
        let request = CertificateRequest::new(names, key)?;
        order.finalize_csr(&request.der).await?;
        let chain = certificate(&mut order).await?;
        self.store.put(&chain, &request.key)
    }

    /// Shows the proofs and waits until the authority has looked at them; what was put into the DNS for that is added to `published`.
    async fn prove(&self, order: &mut Order, published: &mut Vec<Change>) -> Result<(), AcmeError> {
        let mut settles_in = Duration::ZERO;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if let Some(challenge) = self.challenge(&mut authorization)? {
                settles_in = settles_in.max(self.show(&challenge, published).await?);
            }
        }
        clock::sleep(settles_in).await;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if let Some(mut challenge) = self.challenge(&mut authorization)? {
                challenge.set_ready().await?;
            }
        }
        ready(order).await
    }

    /// What is to be proven of a name, in the way that is set; `None`: it is proven already.
    fn challenge<'a>(&self, authorization: &'a mut AuthorizationHandle<'a>) -> Result<Option<ChallengeHandle<'a>>, AcmeError> {
        let name = authorization.identifier().to_string();
        match authorization.status {
            AuthorizationStatus::Pending => {}
            AuthorizationStatus::Valid => return Ok(None),
            AuthorizationStatus::Invalid
            | AuthorizationStatus::Revoked
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Deactivated => {
                let why = format!("its authorization is {:?}", authorization.status);
                return Err(AcmeError::Unproven { name, why });
            }
        }
        let kind = match self.settings.challenge {
            Challenge::Http01 => ChallengeType::Http01,
            Challenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
            Challenge::Dns01 => ChallengeType::Dns01,
        };
        let challenge = authorization.challenge(kind);
        challenge.map(Some).ok_or_else(|| AcmeError::NoChallenge { name, challenge: self.settings.challenge.to_string() })
    }

    /// Shows one proof; how long it takes until everybody can see it.
    async fn show(&self, challenge: &ChallengeHandle<'_>, published: &mut Vec<Change>) -> Result<Duration, AcmeError> {
        let answer = challenge.key_authorization();
        let name = challenge.identifier().to_string();
        match self.settings.challenge {
            Challenge::Http01 => self.proofs.show_token(&challenge.token, answer.as_str()),
            Challenge::TlsAlpn01 => {
                let mut digest = [0; 32];
                // SHA-256 has as many.
                digest.iter_mut().zip(answer.digest().as_ref()).for_each(|(to, from)| *to = *from);
                self.proofs.show_certificate(&name, &digest)?;
            }
            Challenge::Dns01 => {
                let name = name.strip_prefix("*.").unwrap_or(&name);
                let (withdrawal, settles_in) = self.records.publish(name, answer.dns_value()).await?;
                published.push(withdrawal);
                return Ok(settles_in);
            }
        }
        Ok(Duration::ZERO)
    }
}

/// Waits until every name is proven.
async fn ready(order: &mut Order) -> Result<(), AcmeError> {
    for _ in 0..LOOKS_MAX {
        let state = order.refresh().await?;
        match state.status {
            OrderStatus::Ready | OrderStatus::Valid => return Ok(()),
            OrderStatus::Invalid => return Err(refusal(order).await),
            OrderStatus::Pending | OrderStatus::Processing => clock::sleep(LOOK_EVERY).await,
        }
    }
    Err(AcmeError::Timeout)
}

/// Waits for the certificate.
async fn certificate(order: &mut Order) -> Result<String, AcmeError> {
    for _ in 0..LOOKS_MAX {
        match order.certificate().await? {
            Some(chain) => return Ok(chain),
            None => clock::sleep(LOOK_EVERY).await,
        }
    }
    Err(AcmeError::Timeout)
}

/// Which name was not proven, and what the authority says of it.
async fn refusal(order: &mut Order) -> AcmeError {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else { continue };
        let problem = state.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = problem {
            return AcmeError::Unproven { name, why: problem.to_string() };
        }
    }
    AcmeError::Unproven { name: "a name".to_owned(), why: "the authority does not say why".to_owned() }
}
