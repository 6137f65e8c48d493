//! What connections work with.

use std::fmt;
use std::sync::Arc;

use posthouse_directory::Directory;
use posthouse_dns::Resolver;
use posthouse_journal::Journal;
use posthouse_mail::Domain;
use posthouse_mailauth::dmarc;
use posthouse_queue::Queue;
use posthouse_runtime::gate::Gate;
use posthouse_runtime::memory::Ceiling;
use posthouse_runtime::tls::ServerTls;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::abuse::Abuse;
use crate::milter::HttpFilters;
use crate::settings::Settings;

/// The state that all connections share.
#[derive(Clone)]
pub struct Context {
    /// Our name, for greetings and `Received` fields.
    pub hostname: Domain,
    /// Who is here, and who may log in.
    pub directory: Directory,
    /// Where accepted letters go.
    pub queue: Queue,
    /// Where everything is written down.
    pub journal: Journal,
    /// What is known of those that come.
    pub abuse: Abuse,
    /// Where it is written down what was found of letters, for reports to the domains that they say they are of.
    pub evaluations: Arc<dyn dmarc::Ledger>,
    /// For checks that ask the DNS.
    pub resolver: Resolver,
    /// Who asks the filters over HTTP.
    pub filters: HttpFilters,
    /// For STARTTLS and for TLS from the start; without it nobody can log in.
    pub tls: Option<ServerTls>,
    /// The same for listeners where users log in, if these ask for certificates.
    pub users_tls: Option<ServerTls>,
    /// The connections open now.
    pub gate: Gate,
    /// Above it nothing new is begun.
    pub memory: Ceiling,
    /// The limits.
    pub settings: Arc<Settings>,
}

impl Context {
    /// What a handshake at a listener is taken with.
    pub(crate) fn tls_for(&self, kind: ListenerKind) -> Option<&ServerTls> {
        self.users_tls.as_ref().filter(|_| kind.wants_login()).or(self.tls.as_ref())
    }
}

/// Who is expected at a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ListenerKind {
    /// Other servers (port 25): letters for us alone.
    Mx,
    /// Our users (port 587): STARTTLS, a login, letters for anybody.
    Submission,
    /// Our users (port 465): the same, in TLS from the first octet.
    Submissions,
    /// A server in front of us (RFC 2033): letters for us, a reply for each recipient.
    Lmtp,
    /// Users and programs of this machine, over a socket file: no login, for the kernel says who they are; letters for anybody.
    Local,
}

impl ListenerKind {
    /// Whether letters are submitted here by their authors.
    #[must_use]
    pub const fn is_submission(self) -> bool {
        self.wants_login() || matches!(self, Self::Local)
    }

    /// Whether users log in here.
    #[must_use]
    pub const fn wants_login(self) -> bool {
        matches!(self, Self::Submission | Self::Submissions)
    }
}

/// As in the configuration and the journal.
impl fmt::Display for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mx => "mx",
            Self::Submission => "submission",
            Self::Submissions => "submissions",
            Self::Lmtp => "lmtp",
            Self::Local => "local",
        })
    }
}
