//! How a running server is: what it takes, what it holds, and its limits.

use serde::{Deserialize, Serialize};

use crate::alarm::Trouble;
use crate::queue::SuspensionInfo;

/// A running server at this moment. A limit of 0 is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of Posthouse.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// The server's own name.
    pub hostname: String,
    /// When it was started, RFC 3339.
    pub started: String,
    /// Seconds since then.
    pub uptime: u64,
    /// Why no mail is taken now; `None`: it is.
    pub refusing: Option<String>,
    /// Whether that is because the log of the spool has failed.
    #[serde(default)]
    pub spool_failed: bool,
    /// All that is wrong.
    #[serde(default)]
    pub troubles: Vec<Trouble>,
    /// Connections by protocol.
    pub connections: Vec<ConnectionsStatus>,
    /// Undelivered mail.
    pub queue: QueueStatus,
    /// Where `sendmail` leaves letters while the server is down; `None`: this server empties none.
    #[serde(default)]
    pub maildrop: Option<MaildropStatus>,
    /// The certificates that clients are shown.
    #[serde(default)]
    pub certificates: Vec<CertificateStatus>,
    /// Why there is no new certificate from the authority; `None`: the last attempt went well, or there was none.
    #[serde(default)]
    pub certificate_error: Option<String>,
    /// The keys of domains (DKIM) for which the DNS has something to be done.
    #[serde(default)]
    pub keys: Vec<KeyStatus>,
    /// What is wrong with the TLSA records of the mail host; `None`: nothing that is known.
    #[serde(default)]
    pub tlsa: Option<String>,
    /// The domains whose mail hosts our MTA-STS policy does not allow.
    #[serde(default)]
    pub policies: Vec<PolicyStatus>,
    /// The filters that failed when they were last asked.
    #[serde(default)]
    pub failing_filters: Vec<FilterStatus>,
    /// The lists in the DNS that fail their test now, and are left out.
    #[serde(default)]
    pub failing_lists: Vec<ListStatus>,
    /// Whom greylisting knows.
    #[serde(default)]
    pub greylist: GreylistStatus,
    /// The destinations that have answered nothing for long.
    #[serde(default)]
    pub silent: Vec<SilentStatus>,
    /// The log-ins that failed in the last ten minutes.
    #[serde(default)]
    pub failed_logins: u64,
    /// The disk.
    pub disk: DiskStatus,
    /// The memory of the process.
    pub memory: MemoryStatus,
    /// Whether the kernel holds the process to the files that it needs; `None`: the server is older, or was not asked to look.
    #[serde(default)]
    pub sandbox: Option<SandboxStatus>,
    /// Journal entries that were lost because more came than could be written.
    pub journal_lost: u64,
    /// What happened since the start, as the journal counts it.
    #[serde(default)]
    pub counts: Vec<CountStatus>,
}

/// A counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountStatus {
    /// What is counted, such as `refusals`.
    pub name: String,
    /// Of which kind, such as `recipient`; empty when there is one kind.
    pub value: String,
    /// How many.
    pub count: u64,
}

/// A certificate that clients are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// The names it is for.
    pub names: Vec<String>,
    /// The end of its time.
    pub expires: String,
    /// Whether it should have been renewed long ago: less than a fifth of its time is left.
    pub is_late: bool,
}

/// A key whose record in the DNS is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// The name of the record.
    pub name: String,
    /// Whether the key waits for its record (`waiting`), signs without one (`signing`), or signs no more and the record may go (`retired`).
    pub state: String,
    /// What is to be done.
    pub words: String,
}

impl KeyStatus {
    /// Whether something is wrong until somebody does it: a record that may go does no harm.
    #[must_use]
    pub fn is_trouble(&self) -> bool {
        self.state != "retired"
    }
}

/// A domain that our own policy keeps mail from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// The domain.
    pub domain: String,
    /// What is wrong.
    pub words: String,
}

/// A filter that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// What came of asking it last.
    pub why: String,
}

/// A list in the DNS that is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListStatus {
    /// Its name.
    pub zone: String,
    /// What is wrong with it.
    pub fault: String,
}

/// Whom greylisting knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GreylistStatus {
    /// Networks, senders and recipients that were told to come again and have not yet.
    pub waiting: usize,
    /// Networks and domains that are taken at once.
    pub known: usize,
}

/// The connections of one protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionsStatus {
    /// `smtp` or `pop3`.
    pub protocol: String,
    /// Open now.
    pub open: usize,
    /// At most.
    pub max: usize,
    /// At most from one address.
    pub per_address_max: usize,
    /// At most from one network (IPv4: a /24, IPv6: a /48).
    pub per_network_max: usize,
    /// Turned away since the server was started, or since these limits were changed.
    pub turned_away: u64,
}

/// Undelivered mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Letters.
    pub letters: usize,
    /// At most.
    pub letters_max: usize,
    /// Their octets.
    pub octets: u64,
    /// At most, with what the spool takes besides.
    pub octets_max: u64,
    /// What is suspended.
    pub suspensions: Vec<SuspensionInfo>,
    /// For how many seconds the letters have not become fewer, as far as it was looked; `None`: they have.
    #[serde(default)]
    pub growing_for: Option<u64>,
}

/// A destination that answers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentStatus {
    /// The next hop.
    pub destination: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// The letters that wait for it.
    pub letters: usize,
    /// What came of the last attempt.
    pub reason: String,
}

/// The maildrop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaildropStatus {
    /// The directory.
    pub folder: String,
    /// Letters that wait in it.
    pub waiting: usize,
    /// Files that could not be taken: they are in `set-aside` below it, each with its reason.
    pub set_aside: usize,
}

/// The disk that the spool lies on, in octets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskStatus {
    /// What is left, where the file system says.
    pub free: Option<u64>,
    /// Below it no new letters are taken.
    pub free_min: u64,
}

/// Whether the process is held to the files that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxStatus {
    /// Whether it is.
    pub is_on: bool,
    /// By what, or why not.
    pub words: String,
}

/// Memory in octets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// What is resident, where the kernel says.
    pub resident: Option<u64>,
    /// Above it nothing new is begun.
    pub max: u64,
}

/// One with nothing wrong, for tests.
#[cfg(test)]
pub(crate) fn sample() -> Status {
    Status {
        version: "0".to_owned(),
        pid: 7,
        hostname: "mail.example.test".to_owned(),
        started: "2026-11-24T03:12:09.120Z".to_owned(),
        uptime: 1,
        refusing: None,
        spool_failed: false,
        troubles: Vec::new(),
        connections: Vec::new(),
        queue: QueueStatus { letters: 0, letters_max: 0, octets: 0, octets_max: 0, suspensions: Vec::new(), growing_for: None },
        certificates: Vec::new(),
        certificate_error: None,
        keys: Vec::new(),
        tlsa: None,
        policies: Vec::new(),
        failing_filters: Vec::new(),
        failing_lists: Vec::new(),
        greylist: GreylistStatus::default(),
        silent: Vec::new(),
        failed_logins: 0,
        disk: DiskStatus { free: None, free_min: 0 },
        maildrop: None,
        memory: MemoryStatus { resident: None, max: 0 },
        sandbox: None,
        journal_lost: 0,
        counts: Vec::new(),
    }
}
