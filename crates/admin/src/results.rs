//! What operations return. The field names are an interface: they are what scripts read.

use serde::{Deserialize, Serialize};

use posthouse_directory::{Account, Alias};
use posthouse_journal::Event;
use posthouse_mail::Domain;

/// A domain of this server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DomainInfo {
    /// As DNS knows it.
    pub domain: String,
    /// As people write it.
    pub unicode: String,
}

/// A record that a domain's DNS should have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsRecord {
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text, in one piece; or the name that it leads to.
    pub value: String,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountInfo {
    /// The opaque id: it names the mailbox and stays when the address changes.
    pub id: String,
    /// The address, which is the login.
    pub address: String,
    /// When it was added, RFC 3339.
    pub created: String,
}

/// An alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AliasInfo {
    /// The name.
    pub address: String,
    /// Where it leads.
    pub targets: Vec<String>,
}

/// What a removed account leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemovedAccount {
    /// The account.
    pub account: AccountInfo,
    /// Aliases that still name its address, and now lead nowhere.
    pub aliases: Vec<String>,
    /// Whether its mail was removed with it.
    pub mail_removed: bool,
    /// Where the mail still is, if it is.
    pub mail_folder: Option<String>,
}

/// A message of an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailInfo {
    /// Its number.
    pub uid: u32,
    /// Its octets.
    pub size: u64,
    /// When it arrived, RFC 3339.
    pub at: String,
    /// Whether somebody has read it.
    pub seen: bool,
    /// The letter it came as: what `trace` takes.
    pub letter: String,
    /// `From`, decoded.
    pub from: Option<String>,
    /// `Subject`, decoded.
    pub subject: Option<String>,
}

/// What the journal knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// Letters in the order of their first entry, then what has no letter.
    pub timelines: Vec<Timeline>,
}

/// The story of one letter; or logins and refusals, which have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// The letter.
    pub letter: Option<String>,
    /// Its steps, oldest first.
    pub entries: Vec<TraceEntry>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEntry {
    /// When, RFC 3339.
    pub at: String,
    /// A sentence, without control characters.
    pub text: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl From<&Domain> for DomainInfo {
    fn from(domain: &Domain) -> Self {
        Self { domain: domain.to_string(), unicode: domain.to_unicode() }
    }
}

impl From<&Account> for AccountInfo {
    fn from(account: &Account) -> Self {
        Self { id: account.id.to_string(), address: account.address.to_string(), created: account.created.to_string() }
    }
}

impl From<&Alias> for AliasInfo {
    fn from(alias: &Alias) -> Self {
        Self { address: alias.address.to_string(), targets: alias.targets.iter().map(ToString::to_string).collect() }
    }
}

impl DnsRecord {
    pub(crate) fn txt(name: String, value: String) -> Self {
        Self { name, kind: "TXT".to_owned(), value }
    }

    /// The line of a master file: strings of at most 255 octets (RFC 1035 §3.3).
    #[must_use]
    pub fn to_line(&self) -> String {
        if self.kind != "TXT" {
            return format!("{}. IN {} {}", self.name, self.kind, self.value);
        }
        let strings: Vec<String> =
            self.value.as_bytes().chunks(255).map(|piece| format!("\"{}\"", String::from_utf8_lossy(piece))).collect();
        format!("{}. IN {} {}", self.name, self.kind, strings.join(" "))
    }
}
