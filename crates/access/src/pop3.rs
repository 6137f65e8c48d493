//! POP3 (RFC 1939) with CAPA (RFC 2449), STLS (RFC 2595), AUTH (RFC 5034), response codes (RFC 3206) and UTF8 (RFC 6856).

mod command;
mod dots;
mod lines;
mod maildrop;
mod pump;
mod session;

use std::fmt;
use std::sync::Arc;

use posthouse_directory::Directory;
use posthouse_journal::Journal;
use posthouse_mailbox::Mailboxes;
use posthouse_runtime::gate::Gate;
use posthouse_runtime::tls::{ClientRoots, ServerTls, TlsError};

use crate::settings::Settings;

pub use pump::serve_pop3;

/// What a POP3 server needs of the others.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The name in the greeting.
    pub hostname: String,
    /// Who may log in.
    pub directory: Directory,
    /// What they may read.
    pub mailboxes: Mailboxes,
    /// Where logins and fetches are written down.
    pub journal: Journal,
    /// The certificates; without them nobody can log in, since no password travels in the clear.
    pub tls: Option<ServerTls>,
    /// Whose certificates log clients in; `None`: none is asked for.
    pub clients: Option<ClientRoots>,
    /// What the operator set.
    pub settings: Settings,
}

/// A POP3 server: what its sessions share, over all listeners. A clone is another handle to the same.
#[derive(Clone)]
pub struct Pop3(Arc<Shared>);

struct Shared {
    parts: Parts,
    gate: Gate,
}

impl Pop3 {
    /// A server of these parts. The TLS side gets session tickets of its own and refuses clients that ask for another protocol than `pop3`.
    ///
    /// # Errors
    /// [`TlsError::Setup`].
    pub fn new(mut parts: Parts) -> Result<Self, TlsError> {
        let own = |tls: ServerTls| match &parts.clients {
            Some(clients) => tls.for_service_with(&["pop3"], clients),
            None => tls.for_service(&["pop3"]),
        };
        parts.tls = parts.tls.take().map(own).transpose()?;
        let gate = Gate::new(parts.settings.gate());
        Ok(Self(Arc::new(Shared { parts, gate })))
    }

    /// Its connections.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }
}

impl fmt::Debug for Pop3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pop3").field("settings", &self.0.parts.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
