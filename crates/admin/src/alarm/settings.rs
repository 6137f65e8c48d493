//! What an operator may set of alarms.

use std::path::PathBuf;
use std::time::Duration;

use posthouse_config::{ByteSize, Period, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use super::AlarmName;

/// `[alarms]`: who is told when something is wrong, and what counts as wrong. All alarms, with what to do: `docs/book/reference/alarms.md`.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AlarmSettings {
    /// Addresses that get a letter. One that is an account here gets it in its mailbox even when the queue takes nothing.
    pub mail_to: Vec<String>,
    /// Who these letters come from. Not set: the postmaster of the domain that the host's name is in.
    pub mail_from: Option<String>,
    /// A web server that is told by POST, in JSON.
    pub webhook: Option<WebhookSettings>,
    /// Alarms that are none here.
    pub ignore: Vec<AlarmName>,
    /// How often an alarm that stands is told again; `0s`: never.
    pub remind_every: Period,
    /// How long something must be right again before its alarm ends, so that what comes and goes is told once.
    pub calm: Period,
    /// How often it is looked whether something is wrong.
    pub look_every: Period,
    /// `disk`: less is left than this. Not set: twice `queue.disk-free-min`.
    pub disk_free_min: Option<ByteSize>,
    /// `queue`: so many letters wait at least; 0: however many.
    pub queue_letters: u64,
    /// `queue`: for so long they have not become fewer.
    pub queue_time: Period,
    /// `destination`: so many letters wait for it.
    pub destination_letters: usize,
    /// `destination`: for so long it has answered nothing.
    pub destination_time: Period,
    /// `logins`: so many fail in ten minutes; 0: however many.
    pub failed_logins: u64,
}

/// `[alarms.webhook]`: a web server that is told.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebhookSettings {
    /// Its URL. `http://` is taken for hosts of this machine and of private networks alone.
    pub url: String,
    /// A key that both sides know. With it each request has a field `X-Posthouse-Signature: sha256=HEX`, the HMAC of its body.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// The value of the field `Authorization`, such as `Bearer TOKEN`.
    #[serde(default)]
    pub authorization: Option<Secret>,
    /// A file with the certificate authorities that the web server is believed by. Not set: those that the system knows.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

impl AlarmSettings {
    /// How long something must be wrong before it is an alarm. What must last is measured where it is seen, so that a restart does not begin anew.
    pub(super) fn lasts(&self, name: AlarmName) -> Duration {
        match name {
            AlarmName::Spool
            | AlarmName::Queue
            | AlarmName::Destination
            | AlarmName::Certificate
            | AlarmName::Key
            | AlarmName::Logins
            | AlarmName::Maildrop
            | AlarmName::Journal => Duration::ZERO,
            // Both come and go by themselves when there is much to do.
            AlarmName::Full | AlarmName::Disk | AlarmName::Connections => Duration::from_mins(1),
            // One that does not answer is tested again after five minutes.
            AlarmName::List => Duration::from_mins(10),
            // While a certificate changes, one look may see the one and not the other.
            AlarmName::Tlsa | AlarmName::Policy | AlarmName::Filter => Duration::from_mins(5),
            // It is tried again, and there are weeks left.
            AlarmName::Renewal => Duration::from_hours(1),
        }
    }
}

impl Default for AlarmSettings {
    fn default() -> Self {
        Self {
            mail_to: Vec::new(),
            mail_from: None,
            webhook: None,
            ignore: Vec::new(),
            remind_every: Period(Duration::from_hours(24)),
            calm: Period(Duration::from_mins(10)),
            look_every: Period(Duration::from_secs(30)),
            disk_free_min: None,
            queue_letters: 1000,
            queue_time: Period(Duration::from_hours(1)),
            destination_letters: 10,
            destination_time: Period(Duration::from_hours(1)),
            failed_logins: 100,
        }
    }
}
