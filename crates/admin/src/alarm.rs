//! What is wrong with the server, and when somebody is told.
//!
//! [`troubles`] is the one place that decides what is wrong, from a [`Status`]: for `posthouse status`, for the metrics, and for the alarms. [`Alarms`] makes
//! alarms of it: each begins once, is told again after a while, and ends once. Both are pure; who tells whom is the server's.

mod settings;
mod standing;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use settings::{AlarmSettings, WebhookSettings};
pub use standing::{AlarmInfo, Alarms, Notice, Turn};

use crate::status::Status;

/// The troubles of one kind that are told one by one: the rest is as many more of the same.
const EACH_MAX: usize = 20;
/// The queue and the connections are nearly full from here on, in percent.
const NEARLY_FULL: u64 = 90;

/// What can be wrong.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmName {
    /// The log of the spool cannot be written.
    Spool,
    /// Mail is refused for lack of room or memory.
    Full,
    /// The disk of the queue fills.
    Disk,
    /// The queue grows.
    Queue,
    /// A destination answers nothing.
    Destination,
    /// A certificate ends.
    Certificate,
    /// An authority gives no new certificate.
    Renewal,
    /// The DNS lacks the record of a key that signs.
    Key,
    /// The TLSA records do not fit the certificate.
    Tlsa,
    /// Our MTA-STS policy does not allow a mail host of ours.
    Policy,
    /// A filter does not answer.
    Filter,
    /// A list in the DNS fails its test.
    List,
    /// Many log-ins fail.
    Logins,
    /// The connections are nearly all taken.
    Connections,
    /// Files in the maildrop could not be taken.
    Maildrop,
    /// Timelines have gaps.
    Journal,
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Of which kind.
    pub name: AlarmName,
    /// With what: a destination, a list; empty where there is only one.
    pub subject: String,
    /// What is wrong, in a sentence.
    pub what: String,
}

impl AlarmName {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Spool,
        Self::Full,
        Self::Disk,
        Self::Queue,
        Self::Destination,
        Self::Certificate,
        Self::Renewal,
        Self::Key,
        Self::Tlsa,
        Self::Policy,
        Self::Filter,
        Self::List,
        Self::Logins,
        Self::Connections,
        Self::Maildrop,
        Self::Journal,
    ];

    /// As the configuration and everything else writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spool => "spool",
            Self::Full => "full",
            Self::Disk => "disk",
            Self::Queue => "queue",
            Self::Destination => "destination",
            Self::Certificate => "certificate",
            Self::Renewal => "renewal",
            Self::Key => "key",
            Self::Tlsa => "tlsa",
            Self::Policy => "policy",
            Self::Filter => "filter",
            Self::List => "list",
            Self::Logins => "logins",
            Self::Connections => "connections",
            Self::Maildrop => "maildrop",
            Self::Journal => "journal",
        }
    }

    /// When it is wrong, for the reference.
    #[must_use]
    pub const fn means(self) -> &'static str {
        match self {
            Self::Spool => "The log of the queue could not be written or synced. No mail is taken; what was accepted is safe.",
            Self::Full => "Mail is refused because the memory, the disk or the queue has reached its limit.",
            Self::Disk => "Less than `alarms.disk-free-min` is left of the disk that the queue lies on.",
            Self::Queue => {
                "At least `alarms.queue-letters` letters wait, and for `alarms.queue-time` they have not become fewer; or the queue is nearly full."
            }
            Self::Destination => {
                "A destination has answered nothing for `alarms.destination-time`, and `alarms.destination-letters` letters wait for it."
            }
            Self::Certificate => "A certificate has less than a fifth of its time left.",
            Self::Renewal => "The authority (ACME) has given no new certificate for an hour.",
            Self::Key => "A key of a domain (DKIM) signs, or is to sign, and the DNS does not have its record.",
            Self::Tlsa => {
                "None of the TLSA records in the DNS is that of the certificate that is shown, or the server cannot change them (`tls.publish-tlsa`)."
            }
            Self::Policy => "The MX records of a domain name a host that the MTA-STS policy (`mta-sts.serve`) does not allow.",
            Self::Filter => "A filter (milter, or over HTTP) has not answered for five minutes, each time that it was asked.",
            Self::List => "A list in the DNS fails its test (RFC 5782) and is left out.",
            Self::Logins => "At least `alarms.failed-logins` log-ins failed in ten minutes.",
            Self::Connections => "Nine of ten connections that may be open are.",
            Self::Maildrop => "A program of this machine left what is no letter in the maildrop.",
            Self::Journal => "Entries of the journal were lost: more came than could be written.",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Spool => {
                "Look at the disk (dmesg, smartctl). When it is sound again, start the server again: `posthouse check` first if it was not."
            }
            Self::Full => {
                "Make room on the disk, or raise the limit that is named: `queue.size-max`, `queue.letters-max`, `intake.memory-max`."
            }
            Self::Disk => "Make room on the disk. Below `queue.disk-free-min` mail is refused.",
            Self::Queue => {
                "`posthouse queue summary` shows which destinations letters wait for, and their last replies; `posthouse watch` who sends."
            }
            Self::Destination => {
                "`posthouse queue list --domain NAME` shows the replies. If it is theirs, wait: letters are tried again until they expire. If it is ours (network, DNS, a block), mend it and `posthouse queue retry`."
            }
            Self::Certificate => "Renew it and send SIGHUP; with ACME see why it is not renewed: `posthouse status`, the log.",
            Self::Renewal => {
                "The words of the authority say what it could not prove: is port 80 or 443 of the names reachable from outside?"
            }
            Self::Key => "Publish the record: `posthouse domain dns DOMAIN` prints it.",
            Self::Tlsa => {
                "Servers that obey DANE keep their letters for us. Publish the record that `posthouse domain dns` prints, or show the old certificate until it is known everywhere."
            }
            Self::Policy => {
                "Add the host to `mta-sts.serve.mx`, or take it out of the MX records; the other order loses mail. Then `posthouse domain check`."
            }
            Self::Filter => {
                "Look whether it runs and where it listens. Until then its `on-failure` decides what becomes of letters: `defer` puts them off."
            }
            Self::List => {
                "Ask whether the list still exists and whether it answers your resolver (public resolvers are often refused); else take it out of `intake.lists`."
            }
            Self::Logins => {
                "`posthouse logins` shows who is slowed down and from where. Guessing is slowed by itself; look whether an account was broken into (`posthouse trace ACCOUNT`)."
            }
            Self::Connections => {
                "`posthouse watch` shows what comes. Raise the limit if it is honest; else lower the limit for one address."
            }
            Self::Maildrop => {
                "The reason lies beside each file in `set-aside` below the maildrop; mend the program, remove the files."
            }
            Self::Journal => "The disk is too slow for the journal, or full. Letters are not concerned.",
        }
    }
}

/// As the configuration writes it.
impl fmt::Display for AlarmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Trouble {
    fn new(name: AlarmName, subject: &str, what: impl Into<String>) -> Self {
        Self { name, subject: subject.to_owned(), what: what.into() }
    }

    /// `list dead.example`, `disk`.
    #[must_use]
    pub fn title(&self) -> String {
        title(self.name, &self.subject)
    }
}

pub(crate) fn title(name: AlarmName, subject: &str) -> String {
    if subject.is_empty() { name.to_string() } else { format!("{name} {subject}") }
}

/// All that is wrong. Where something must have lasted before it is wrong, the status says since when it has.
#[must_use]
pub fn troubles(status: &Status, settings: &AlarmSettings) -> Vec<Trouble> {
    let mut found = Vec::new();
    let mut add = |trouble: Option<Trouble>| found.extend(trouble);
    if let Some(why) = &status.refusing {
        let name = if status.spool_failed { AlarmName::Spool } else { AlarmName::Full };
        add(Some(Trouble::new(name, "", format!("no mail is taken: {why}"))));
    }
    add(disk(status, settings));
    add(queue(status, settings));
    silent(status, settings).into_iter().for_each(|trouble| add(Some(trouble)));
    for certificate in status.certificates.iter().filter(|certificate| certificate.is_late) {
        let names = certificate.names.join(" ");
        add(Some(Trouble::new(AlarmName::Certificate, &names, format!("the certificate ends soon: {}", certificate.expires))));
    }
    if let Some(why) = &status.certificate_error {
        add(Some(Trouble::new(AlarmName::Renewal, "", format!("no new certificate: {why}"))));
    }
    for key in status.keys.iter().filter(|key| key.is_trouble()).take(EACH_MAX) {
        add(Some(Trouble::new(AlarmName::Key, &key.name, key.words.clone())));
    }
    if let Some(why) = &status.tlsa {
        add(Some(Trouble::new(AlarmName::Tlsa, "", why.clone())));
    }
    for policy in status.policies.iter().take(EACH_MAX) {
        add(Some(Trouble::new(AlarmName::Policy, &policy.domain, policy.words.clone())));
    }
    for filter in status.failing_filters.iter().take(EACH_MAX) {
        let what = format!("it has not answered since {}: {}", filter.since, filter.why);
        add(Some(Trouble::new(AlarmName::Filter, &filter.name, what)));
    }
    for list in status.failing_lists.iter().take(EACH_MAX) {
        add(Some(Trouble::new(AlarmName::List, &list.zone, format!("it fails its test and is left out: {}", list.fault))));
    }
    if settings.failed_logins > 0 && status.failed_logins >= settings.failed_logins {
        add(Some(Trouble::new(AlarmName::Logins, "", format!("{} log-ins failed in ten minutes", status.failed_logins))));
    }
    for of in &status.connections {
        let percent = u64::try_from(of.open).unwrap_or(u64::MAX).saturating_mul(100);
        if of.max > 0 && percent >= u64::try_from(of.max).unwrap_or(u64::MAX).saturating_mul(NEARLY_FULL) {
            let what = format!("{} of {} connections are open, {} were turned away", of.open, of.max, of.turned_away);
            add(Some(Trouble::new(AlarmName::Connections, &of.protocol, what)));
        }
    }
    if let Some(drop) = status.maildrop.as_ref().filter(|drop| drop.set_aside > 0) {
        let what = format!("{} files could not be taken; the reasons are in {}/set-aside", drop.set_aside, drop.folder);
        add(Some(Trouble::new(AlarmName::Maildrop, "", what)));
    }
    if status.journal_lost > 0 {
        add(Some(Trouble::new(AlarmName::Journal, "", format!("{} entries were lost since the start", status.journal_lost))));
    }
    found
}

fn disk(status: &Status, settings: &AlarmSettings) -> Option<Trouble> {
    let free = status.disk.free?;
    let least = settings.disk_free_min.map_or(status.disk.free_min.saturating_mul(2), |size| size.bytes());
    let [free_words, refused] = [free, status.disk.free_min].map(|octets| posthouse_config::ByteSize(octets).to_string());
    (free < least).then(|| {
        Trouble::new(AlarmName::Disk, "", format!("{free_words} are left where the queue lies; mail is refused below {refused}"))
    })
}

fn queue(status: &Status, settings: &AlarmSettings) -> Option<Trouble> {
    let queue = &status.queue;
    let letters = u64::try_from(queue.letters).unwrap_or(u64::MAX);
    let is_nearly = |is: u64, max: u64| max > 0 && is.saturating_mul(100) >= max.saturating_mul(NEARLY_FULL);
    let letters_max = u64::try_from(queue.letters_max).unwrap_or(u64::MAX);
    if is_nearly(letters, letters_max) || is_nearly(queue.octets, queue.octets_max) {
        return Some(Trouble::new(
            AlarmName::Queue,
            "",
            format!("the queue is nearly full: {letters} letters, {} octets", queue.octets),
        ));
    }
    let grows = queue.growing_for.is_some_and(|seconds| seconds >= settings.queue_time.duration().as_secs());
    (settings.queue_letters > 0 && letters >= settings.queue_letters && grows).then(|| {
        let minutes = queue.growing_for.unwrap_or_default() / 60;
        Trouble::new(AlarmName::Queue, "", format!("{letters} letters wait, and have not become fewer for {minutes} minutes"))
    })
}

fn silent(status: &Status, settings: &AlarmSettings) -> Vec<Trouble> {
    let mut silent: Vec<_> = status.silent.iter().filter(|site| site.letters >= settings.destination_letters).collect();
    silent.sort_by(|one, other| (other.letters, &one.destination).cmp(&(one.letters, &other.destination)));
    let told = silent.iter().take(EACH_MAX).map(|site| {
        let what = format!("{} letters wait, nothing was answered since {}: {}", site.letters, site.since, site.reason);
        Trouble::new(AlarmName::Destination, &site.destination, what)
    });
    let mut told: Vec<_> = told.collect();
    if let Some(more) = silent.len().checked_sub(EACH_MAX).filter(|more| *more > 0) {
        told.push(Trouble::new(AlarmName::Destination, "others", format!("{more} more destinations answer nothing")));
    }
    told
}

#[cfg(test)]
mod tests;
