//! What is written down: one step of a letter, or a login.
//!
//! The JSON of an [`Event`] is the durable form and what `posthouse trace --json` prints: fields are added, never renamed.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use posthouse_mail::{LetterId, UnixMillis};

/// One step, when, and of which letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened. In JSON: milliseconds since 1970.
    #[serde(with = "millis")]
    pub at: UnixMillis,
    /// The letter; none for logins and for most refusals.
    #[serde(with = "id::option", default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<LetterId>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened. Addresses are texts: also what was refused because it is none is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A letter was taken in and is durable.
    Accepted {
        /// The listener's kind or name.
        listener: String,
        /// Who brought it; none for a letter of our own.
        peer: Option<IpAddr>,
        /// What the peer called itself.
        helo: String,
        /// The TLS version and cipher.
        tls: Option<String>,
        /// Who was logged in.
        account: Option<String>,
        /// The user of this machine who handed it in: `alice (uid 1000)`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// The reverse-path; empty for `<>`.
        from: String,
        /// The recipients, aliases already followed.
        to: Vec<String>,
        /// The letter's octets.
        size: u64,
        /// `Message-ID`.
        message_id: Option<String>,
    },
    /// An alias was followed.
    Expanded {
        /// The address in the envelope.
        address: String,
        /// Where it leads.
        targets: Vec<String>,
    },
    /// A sender, a recipient, a letter or a connection was refused.
    Refused {
        /// The listener's kind or name.
        listener: String,
        /// Who came.
        peer: Option<IpAddr>,
        /// The user of this machine who came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// At what: `connect`, `hello`, `auth`, `sender`, `recipient`, `body`.
        stage: String,
        /// The reverse-path, if it was given.
        from: Option<String>,
        /// The recipient, if one was refused; the first one of a letter.
        to: Option<String>,
        /// The next recipients of a letter.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<String>,
        /// What we answered.
        reply: String,
    },
    /// A delivery was tried.
    Attempt {
        /// The recipient.
        to: String,
        /// The other recipients for whom it ended just so, in the same transaction.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<String>,
        /// The next hop's name.
        host: Option<String>,
        /// The next hop's address.
        address: Option<SocketAddr>,
        /// The address of ours that it was spoken to from, with its name, where an operator chose it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// The sender that it was told, where that is not the letter's own (SRS); or why it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sender: Option<String>,
        /// The TLS version and cipher.
        tls: Option<String>,
        /// What was asked of the connection, by whom, and what came of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<String>,
        /// What the next hop answered, or why it could not.
        reply: String,
        /// How it ended.
        outcome: Outcome,
        /// When it is tried again.
        #[serde(with = "millis::option", default, skip_serializing_if = "Option::is_none")]
        next: Option<UnixMillis>,
    },
    /// A letter that nothing was tried for waits on: nothing goes there now.
    Waiting {
        /// The recipient.
        to: String,
        /// Why.
        why: String,
    },
    /// It was found out who sent a letter. One that is then refused or put off has a timeline too, under the id that it would have had.
    Verified {
        /// The addresses of `From`, as far as they are told.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        authors: Vec<String>,
        /// Each verdict.
        findings: Vec<Finding>,
        /// What followed: `taken`, `quarantined`, `refused`, `put off`.
        action: String,
    },
    /// A filter changed a letter.
    Filtered {
        /// Its name in the configuration.
        filter: String,
        /// What it did, in words.
        changes: Vec<String>,
    },
    /// A letter was put into a mailbox here.
    Stored {
        /// The recipient.
        to: String,
        /// The account.
        account: String,
        /// Its number in the folder.
        uid: u32,
        /// Which folder, if it is not the inbox.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        folder: Option<String>,
        /// The rule of the account that decided so: `block a.example`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
    },
    /// The sender is told of a failure by another letter.
    Bounced {
        /// The recipient that failed.
        to: String,
        /// The letter that tells.
        #[serde(with = "id")]
        bounce: LetterId,
    },
    /// A report of ours on a domain was queued for it.
    Reported {
        /// `tls-report`, `dmarc-report`; `failure-report`, on a letter or of the letter that it is on.
        kind: String,
        /// The domain.
        about: String,
        /// Where it wants it.
        to: String,
    },
    /// A letter to the address for reports was read as one, and is kept (`posthouse reports`).
    Filed {
        /// The recipient.
        to: String,
        /// `dmarc`, `tls`, `feedback`.
        kind: String,
        /// The domain it is about.
        about: String,
        /// Who reports, as it calls itself.
        reporter: String,
    },
    /// A letter to the address for reports is none, and goes to the postmaster.
    Unread {
        /// The recipient.
        to: String,
        /// Why it is none.
        why: String,
    },
    /// A recipient was given up without telling anybody.
    Discarded {
        /// The recipient.
        to: String,
        /// Why.
        why: String,
    },
    /// A stored letter was removed because of its age.
    Expired {
        /// The recipient.
        to: String,
        /// Where it lay.
        folder: String,
        /// How long letters are kept there.
        kept: String,
    },
    /// Somebody logged in, or tried to.
    Login {
        /// `smtp`, `pop3`.
        protocol: String,
        /// From where.
        peer: Option<IpAddr>,
        /// The login that was given.
        account: String,
        /// The SASL mechanism, or `USER`.
        mechanism: String,
        /// Whether it was let in.
        ok: bool,
        /// What the client calls itself, where the protocol has it say so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<String>,
        /// The TLS version and cipher.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls: Option<String>,
        /// The name of the app password that was used.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        app_password: Option<String>,
        /// Why it was not let in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A message was read from a mailbox.
    Fetched {
        /// The account.
        account: String,
        /// Its number in the inbox.
        uid: u32,
        /// By whom.
        peer: Option<IpAddr>,
    },
    /// An operator did something to a letter or to the queue.
    Operator {
        /// The user's name on this host, or the number where it has none.
        by: String,
        /// The user's number, as the kernel says.
        uid: u32,
        /// The process that asked.
        pid: Option<u32>,
        /// What was done: `hold`, `release`, `retry`, `remove`, `redirect`, `priority`, `suspend`, `resume`.
        action: String,
        /// The destination it was done to, when it was not a letter.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        destination: Option<String>,
        /// With what: a host, a priority, a reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

/// One verdict on a letter's sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `spf`, `dkim`, `dmarc`, `arc`, `iprev`.
    pub method: String,
    /// `pass`, `fail`, `none` …
    pub result: String,
    /// The domain it is about.
    pub domain: String,
    /// Why.
    pub reason: String,
    /// The record that said so: its name, type and text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The next hop has it.
    Delivered,
    /// It will be tried again.
    Deferred,
    /// It will not.
    Failed,
}

impl Entry {
    /// A step of a letter.
    #[must_use]
    pub fn of(letter: LetterId, at: UnixMillis, event: Event) -> Self {
        Self { at, letter: Some(letter), event }
    }

    /// Something that has no letter.
    #[must_use]
    pub fn new(at: UnixMillis, event: Event) -> Self {
        Self { at, letter: None, event }
    }
}

impl Event {
    /// The addresses under which the entry is found, folded.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let mut found: Vec<String> = self.named().into_iter().filter(|text| !text.is_empty()).map(fold).collect();
        found.extend(self.stranger().map(|peer| peer.to_string()));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Who came and was not let in, or wanted in: many of these entries name nobody else.
    fn stranger(&self) -> Option<IpAddr> {
        match self {
            Self::Refused { peer, .. } | Self::Login { peer, .. } => *peer,
            Self::Accepted { .. }
            | Self::Expanded { .. }
            | Self::Verified { .. }
            | Self::Filtered { .. }
            | Self::Attempt { .. }
            | Self::Waiting { .. }
            | Self::Stored { .. }
            | Self::Bounced { .. }
            | Self::Reported { .. }
            | Self::Filed { .. }
            | Self::Unread { .. }
            | Self::Discarded { .. }
            | Self::Expired { .. }
            | Self::Fetched { .. }
            | Self::Operator { .. } => None,
        }
    }

    fn named(&self) -> Vec<&str> {
        match self {
            Self::Accepted { from, to, account, .. } => {
                let account = account.iter().map(String::as_str);
                to.iter().map(String::as_str).chain([from.as_str()]).chain(account).collect()
            }
            Self::Verified { authors, .. } => authors.iter().map(String::as_str).collect(),
            Self::Filtered { .. } => Vec::new(),
            Self::Expanded { address, targets } => targets.iter().map(String::as_str).chain([address.as_str()]).collect(),
            Self::Refused { from, to, also, .. } => from.iter().chain(to).chain(also).map(String::as_str).collect(),
            Self::Stored { to, account, .. } => vec![to, account],
            Self::Attempt { to, also, .. } => also.iter().chain([to]).map(String::as_str).collect(),
            Self::Waiting { to, .. } | Self::Bounced { to, .. } | Self::Discarded { to, .. } | Self::Expired { to, .. } => {
                vec![to]
            }
            Self::Reported { about, to, .. } | Self::Filed { about, to, .. } => vec![about, to],
            Self::Unread { to, .. } => vec![to],
            Self::Login { account, .. } | Self::Fetched { account, .. } => vec![account],
            Self::Operator { destination, .. } => destination.iter().map(String::as_str).collect(),
        }
    }

    /// The Message-ID under which the entry is found.
    pub(crate) fn message_id(&self) -> Option<&str> {
        match self {
            Self::Accepted { message_id, .. } => message_id.as_deref().map(bare_message_id),
            Self::Expanded { .. }
            | Self::Verified { .. }
            | Self::Filtered { .. }
            | Self::Refused { .. }
            | Self::Attempt { .. }
            | Self::Waiting { .. }
            | Self::Stored { .. }
            | Self::Bounced { .. }
            | Self::Reported { .. }
            | Self::Filed { .. }
            | Self::Unread { .. }
            | Self::Discarded { .. }
            | Self::Expired { .. }
            | Self::Login { .. }
            | Self::Fetched { .. }
            | Self::Operator { .. } => None,
        }
    }
}

/// How an address is compared in the index: whoever looks for `Bob@Example.org` means `bob@example.org`.
pub(crate) fn fold(address: &str) -> String {
    address.trim().trim_start_matches('<').trim_end_matches('>').to_lowercase()
}

/// A Message-ID without its angle brackets (RFC 5322 §3.6.4): people copy it with and without.
pub(crate) fn bare_message_id(text: &str) -> &str {
    text.trim().trim_start_matches('<').trim_end_matches('>')
}

mod millis {
    use posthouse_mail::UnixMillis;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &UnixMillis, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(at.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixMillis, D::Error> {
        u64::deserialize(deserializer).map(UnixMillis)
    }

    pub(super) mod option {
        use posthouse_mail::UnixMillis;
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        pub(in crate::entry) fn serialize<S: Serializer>(at: &Option<UnixMillis>, serializer: S) -> Result<S::Ok, S::Error> {
            at.map(|at| at.0).serialize(serializer)
        }

        pub(in crate::entry) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixMillis>, D::Error> {
            Ok(Option::<u64>::deserialize(deserializer)?.map(UnixMillis))
        }
    }
}

mod id {
    use posthouse_mail::LetterId;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &LetterId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LetterId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }

    pub(super) mod option {
        use posthouse_mail::LetterId;
        use serde::de::Error as _;
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        pub(in crate::entry) fn serialize<S: Serializer>(id: &Option<LetterId>, serializer: S) -> Result<S::Ok, S::Error> {
            id.map(|id| id.to_string()).serialize(serializer)
        }

        pub(in crate::entry) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LetterId>, D::Error> {
            Option::<String>::deserialize(deserializer)?.map(|text| text.parse().map_err(D::Error::custom)).transpose()
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
