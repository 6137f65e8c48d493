//! Proofs in the DNS (RFC 8555 §8.4): a text at `_acme-challenge.` in front of the name, while an authority looks.

use std::fmt;
use std::time::Duration;

use posthouse_dns::{Change, Data, Name, Resolver, Updates};
use tracing::warn;

use crate::error::AcmeError;

/// Where the text stands.
const LABEL: &str = "_acme-challenge";

/// Puts proofs into the DNS and takes them out again. What others have put there stays.
pub struct Records {
    /// The zones that may be changed.
    pub updates: Updates,
    /// Says where a name leads.
    pub resolver: Resolver,
}

impl Records {
    /// Publishes the proof for a name: without `*.`, which has it at the same place. Gives what [`Self::withdraw`] takes, and how long all name servers take to have it.
    pub(crate) async fn publish(&self, name: &str, text: String) -> Result<(Change, Duration), AcmeError> {
        let told = |why| AcmeError::Dns { name: name.to_owned(), why };
        let place: Name = format!("{LABEL}.{name}").parse().map_err(|_| AcmeError::NameTooLong(name.to_owned()))?;
        let place = self.updates.place(&self.resolver, &place).await;
        self.updates.change(Change::Add { name: place.clone(), data: Data::Text(text.clone()) }).await.map_err(told)?;
        let settles_in = self.updates.settles_in(&place);
        Ok((Change::Remove { name: place, data: Data::Text(text) }, settles_in))
    }

    /// Takes a proof out. One that stays there proves nothing to anybody, and is no reason to give up the certificate.
    pub(crate) async fn withdraw(&self, change: Change) {
        let name = change.name().to_string();
        if let Err(error) = self.updates.change(change).await {
            warn!(name, %error, "a proof stays in the DNS; it may be removed there");
        }
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").field("updates", &self.updates).finish_non_exhaustive()
    }
}
