//! Letters that the users and programs of this machine hand in: who may, as whom, and how many.
//!
//! Everybody on a machine could always send mail, so everybody may connect; who it is the kernel says, not the letter. A user writes as itself, as
//! what the operator has granted it, and in the names of others only where those are not ours to protect. Nothing here trusts a name that a letter or
//! a program's environment gives.

mod address;
mod door;

use std::fmt;
use std::path::PathBuf;

use posthouse_directory::DirectoryError;
use posthouse_mail::{Address, Domain, LetterId};
use posthouse_runtime::local::Peer;
use posthouse_runtime::users;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::context::Context;

pub use address::AddressPattern;
pub use door::LocalDoor;
pub(crate) use door::Pass;

/// Letters from this machine: the socket file for `sendmail` and `posthouse send --queue`, and the maildrop.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Local {
    /// The socket file where letters are handed in; everybody may connect who may look into its directory. [default: `submit.sock` in the directory that
    /// the service manager made for sockets (`RUNTIME_DIRECTORY`, so /run/posthouse/submit.sock), else in the data directory]
    pub socket: Option<PathBuf>,
    /// The directory where `sendmail` leaves letters while the server is down. The server empties it. [default: /var/spool/posthouse/maildrop, if it is
    /// there and belongs to the server's user]
    pub maildrop: Option<PathBuf>,
    /// The users who may hand in letters, by name or number; `*` is everybody.
    pub users: Vec<String>,
    /// Users who may write as anybody.
    pub trusted_users: Vec<String>,
    /// What else a user may write as. Without it, it writes as its own name at the server's name or one of its domains, and as addresses of domains
    /// that are not ours.
    pub grant: Vec<Grant>,
    /// Connections open at a time.
    pub connections_max: usize,
    /// Connections open at a time from one user.
    pub connections_per_user_max: usize,
    /// Letters of one user in a minute; further ones are put off, and `sendmail` keeps them in the maildrop. 0: any number.
    pub letters_per_minute_max: u32,
}

/// `[[intake.local.grant]]`: addresses that a user may write as.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grant {
    /// The user, by name or number.
    pub user: String,
    /// The addresses; `*@example.org` is every address of the domain.
    pub addresses: Vec<AddressPattern>,
}

/// A user of this machine who hands in a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitter {
    /// The user's number.
    pub uid: u32,
    /// The user's name; the number where it has none.
    pub name: String,
    /// The process.
    pub pid: Option<u32>,
    /// For a letter that nobody waits for: the id it will have. It is taken once, however often it is handed in; a recipient who is not here is told to the sender by a
    /// bounce, because nobody hears a refusal.
    pub unattended: Option<LetterId>,
}

/// What a visit from this machine knows.
pub(crate) struct Caller {
    pub(crate) submitter: Submitter,
    /// The domain that names without one belong to.
    pub(crate) origin: Domain,
    pub(crate) pass: Pass,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            socket: None,
            maildrop: None,
            users: vec!["*".to_owned()],
            trusted_users: vec!["root".to_owned()],
            grant: Vec::new(),
            connections_max: 100,
            connections_per_user_max: 20,
            letters_per_minute_max: 6000,
        }
    }
}

impl Local {
    /// Whether a user may hand in letters at all.
    pub(crate) fn admits(&self, who: &Submitter) -> bool {
        self.users.iter().any(|user| user == "*" || who.is(user))
    }

    fn grants(&self, who: &Submitter, address: &Address) -> bool {
        let mut grants = self.grant.iter().filter(|grant| who.is(&grant.user));
        grants.any(|grant| grant.addresses.iter().any(|pattern| pattern.matches(address)))
    }
}

impl Submitter {
    /// Who is at the other end of a connection.
    #[must_use]
    pub fn connected(peer: Peer) -> Self {
        Self { pid: peer.pid, ..Self::owner(peer.uid, None) }
    }

    /// Who has left a letter that is given `id`.
    #[must_use]
    pub fn left(uid: u32, id: LetterId) -> Self {
        Self::owner(uid, Some(id))
    }

    fn owner(uid: u32, unattended: Option<LetterId>) -> Self {
        Self { uid, name: users::name(uid).unwrap_or_else(|| uid.to_string()), pid: None, unattended }
    }

    fn is(&self, user: &str) -> bool {
        user == self.name || user.parse() == Ok(self.uid)
    }
}

/// `alice (uid 1000, process 4711)`
impl fmt::Display for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (uid {}", self.name, self.uid)?;
        match self.pid {
            Some(pid) => write!(f, ", process {pid})"),
            None => f.write_str(")"),
        }
    }
}

impl Caller {
    /// Whether it may write in the name of `address`.
    pub(crate) async fn owns(&self, context: &Context, address: &Address) -> Result<bool, DirectoryError> {
        let (rules, who) = (&context.settings.local, &self.submitter);
        if rules.trusted_users.iter().any(|user| who.is(user)) || rules.grants(who, address) {
            return Ok(true);
        }
        let ours = *address.domain() == context.hostname
            || *address.domain() == self.origin
            || context.directory.is_local(address.domain()).await?;
        // The names of others elsewhere are for those domains to protect (DMARC); that it was this user stands in the letter.
        Ok(!ours || address.local().as_str().eq_ignore_ascii_case(&who.name))
    }

    /// Who gets a letter for a name of ours that nobody has. System accounts (root, www-data) are names of this machine, and their mail is the postmaster's.
    pub(crate) async fn stand_in(&self, context: &Context, address: &Address) -> Result<Vec<Address>, DirectoryError> {
        if !users::exists(address.local().as_str()) {
            // Delivery finds nobody, and tells the sender.
            return Ok(if self.submitter.unattended.is_some() { vec![address.clone()] } else { Vec::new() });
        }
        match context.directory.postmaster().await? {
            Some(postmaster) => context.directory.expand(&postmaster).await,
            None => Ok(Vec::new()),
        }
    }
}

/// The domain that names without one belong to: the first of ours, else the server's own name.
///
/// # Errors
/// Storage errors.
pub async fn origin(context: &Context) -> Result<Domain, DirectoryError> {
    Ok(context.directory.domains().await?.into_iter().next().unwrap_or_else(|| context.hostname.clone()))
}

#[cfg(test)]
mod tests;
