//! What an operator can do, written once for the command line and HTTP.
//!
//! [`Admin`] works on a data directory, beside a running server or without one: domains, accounts, aliases, the journal and the
//! mailboxes. [`keys`] are those that sign letters, with who changes them in time. [`queue`] works on undelivered mail, and [`socket`] is how the command line asks a running server to do that. Results are typed and serialisable; what they are called in JSON is kept. It prints nothing, prompts for nothing, and
//! decides nothing about mail on its way. Its failure leaves everything as it was; [`AdminError::kind`] says whose fault it is.

mod admin;
mod alarm;
mod check;
mod error;
mod grants;
mod junk;
pub mod keys;
mod lists;
mod logins;
mod mail;
mod password;
pub mod queue;
mod results;
pub mod socket;
mod status;
mod trace;

pub use admin::Admin;
pub use alarm::{AlarmInfo, AlarmName, AlarmSettings, Alarms, Notice, Trouble, Turn, WebhookSettings, troubles};
pub use check::{Problem, Report as CheckReport, SalvagedLetter, check};
pub use error::{AdminError, Kind};
pub use junk::JunkKeeper;
pub use lists::SenderRuleInfo;
pub use logins::{AppPasswordInfo, SlowedInfo};
pub use mail::Letter;
pub use password::generate_password;
pub use results::{AccountInfo, AliasInfo, DnsRecord, DomainInfo, MailInfo, RemovedAccount, Timeline, Trace, TraceEntry};
pub use status::{
    CertificateStatus, ConnectionsStatus, CountStatus, DiskStatus, FilterStatus, GreylistStatus, KeyStatus, ListStatus,
    MaildropStatus, MemoryStatus, PolicyStatus, QueueStatus, SandboxStatus, SilentStatus, Status,
};
