//! What a session's pump works with.

use std::sync::Arc;

use posthouse_directory::Directory;
use posthouse_journal::Journal;
use posthouse_mailbox::Mailboxes;
use posthouse_runtime::gate::Gate;
use posthouse_runtime::tls::ServerTls;

use crate::settings::Settings;

/// The state that all sessions share.
#[derive(Clone)]
pub struct Context {
    /// Our name, for greetings.
    pub hostname: Arc<str>,
    /// Who may log in.
    pub directory: Directory,
    /// What they read.
    pub mailboxes: Mailboxes,
    /// Where log-ins and fetched letters are written down.
    pub journal: Journal,
    /// For STLS and the ports with TLS from the start; without it nobody can log in.
    pub tls: Option<ServerTls>,
    /// The connections open now.
    pub gate: Gate,
    /// The limits.
    pub settings: Arc<Settings>,
}
