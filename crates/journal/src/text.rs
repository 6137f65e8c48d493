//! An entry as a line that a person understands. The only place where the words are chosen.
//!
//! What peers sent (names, replies) is shown with its control characters escaped, so it can neither break the line nor speak to a
//! terminal.

use std::fmt::{self, Display, Write as _};
use std::net::IpAddr;

use posthouse_mail::UnixMillis;
use posthouse_runtime::log::one_line;

use crate::entry::{Entry, Event, Finding, Outcome};

/// How many recipients are named before the rest is counted.
const NAMED_MAX: usize = 3;

/// `03:12:09.120  accepted from 192.0.2.7 (client.example) …`, in UTC.
impl Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", time_of_day(self.at), self.event)
    }
}

/// The line without its time.
impl Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        self.write(&mut line)?;
        f.write_str(&one_line(&line))
    }
}

impl Event {
    fn write(&self, line: &mut String) -> fmt::Result {
        match self {
            Self::Accepted { .. } => self.write_accepted(line),
            Self::Verified { authors, findings, action } => write_verified(line, authors, findings, action),
            Self::Filtered { filter, changes } => write!(line, "the filter {filter} {}", list(changes)),
            Self::Expanded { address, targets } => write!(line, "{address} leads to {}", list(targets)),
            Self::Refused { .. } => self.write_refused(line),
            Self::Attempt { .. } => self.write_attempt(line),
            Self::Waiting { to, why } => write!(line, "not tried for {to}, and waits on: {why}"),
            Self::Stored { to, account, uid, folder, rule } => {
                write!(line, "stored for {to} as message {uid} of account {account}")?;
                folder.as_ref().map_or(Ok(()), |folder| write!(line, ", in {folder}"))?;
                rule.as_ref().map_or(Ok(()), |rule| write!(line, ", by the account's rule: {rule}"))
            }
            Self::Bounced { to, bounce } => write!(line, "gave up on {to}; letter {bounce} tells the sender"),
            Self::Reported { kind, about, to } => write!(line, "a {} on {about} is on its way to {to}", kind.replace('-', " ")),
            Self::Filed { to, kind, about, reporter } => {
                write!(line, "read for {to} as a {kind} report of {reporter} on {about}, and kept")
            }
            Self::Unread { to, why } => write!(line, "no report for {to}, so the postmaster gets it: {why}"),
            Self::Discarded { to, why } => write!(line, "dropped for {to}: {why}"),
            Self::Expired { to, folder, kept } => write!(line, "removed for {to}: it lay in {folder} for {kept}"),
            Self::Login { .. } => self.write_login(line),
            Self::Fetched { account, uid, peer } => write!(line, "message {uid} of account {account} was read, {}", Peer(*peer)),
            Self::Operator { .. } => self.write_operator(line),
        }
    }

    fn write_refused(&self, line: &mut String) -> fmt::Result {
        let Self::Refused { listener, peer, user, stage, from, to, also, reply } = self else { return Ok(()) };
        write!(line, "refused ")?;
        write_who(line, *peer, user.as_deref())?;
        write!(line, "{}", At(stage, listener))?;
        if let Some(from) = from {
            write!(line, ", from {}", sender(from))?;
        }
        if let Some(to) = to {
            write!(line, ", for {to}")?;
        }
        // All of them: whoever looks for one of many is to find it here.
        for other in also {
            write!(line, ", {other}")?;
        }
        write!(line, ": {reply}")
    }

    /// `alice@example.org logged in over smtp by PLAIN with the app password phone, from 192.0.2.7 (phone.example)`
    fn write_login(&self, line: &mut String) -> fmt::Result {
        let Self::Login { protocol, peer, account, mechanism, ok, client, app_password, why, .. } = self else { return Ok(()) };
        let verb = if *ok { "logged in" } else { "was not let in" };
        write!(line, "{account} {verb} over {protocol} by {mechanism}")?;
        if let Some(name) = app_password {
            write!(line, " with the app password {name}")?;
        }
        write!(line, ", {}", Peer(*peer))?;
        if let Some(client) = client.as_ref().filter(|client| !client.is_empty()) {
            write!(line, " ({client})")?;
        }
        why.as_ref().map_or(Ok(()), |why| write!(line, ": {why}"))
    }

    fn write_accepted(&self, line: &mut String) -> fmt::Result {
        let Self::Accepted { listener, peer, helo, tls, account, user, from, to, size, .. } = self else { return Ok(()) };
        write!(line, "accepted ")?;
        write_who(line, *peer, user.as_deref())?;
        // What a user's program calls itself, and that it came to the socket, says no more than that.
        if user.is_none() {
            if !helo.is_empty() {
                write!(line, " ({helo})")?;
            }
            write!(line, " on {listener}")?;
        }
        match tls {
            Some(tls) => write!(line, " over {tls}")?,
            None if peer.is_some() => line.push_str(" without TLS"),
            None => {}
        }
        if let Some(account) = account {
            write!(line, " as {account}")?;
        }
        write!(line, ", {}, from {} for {}", human_size(*size), sender(from), list(to))
    }

    fn write_attempt(&self, line: &mut String) -> fmt::Result {
        let Self::Attempt { to, also, host, address, source, sender, tls, policy, reply, outcome, next } = self else {
            return Ok(());
        };
        let verb = match outcome {
            Outcome::Delivered => "delivered",
            Outcome::Deferred => "deferred",
            Outcome::Failed => "failed",
        };
        write!(line, "{verb} for {to}")?;
        // All of them: whoever looks for one of many is to find it here.
        for other in also {
            write!(line, ", {other}")?;
        }
        match (host, address) {
            (Some(host), Some(address)) => write!(line, " at {host} ({address})")?,
            (Some(host), None) => write!(line, " at {host}")?,
            (None, Some(address)) => write!(line, " at {address}")?,
            (None, None) => {}
        }
        if let Some(source) = source {
            write!(line, " from {source}")?;
        }
        match tls {
            Some(tls) => write!(line, " over {tls}")?,
            None if address.is_some() => line.push_str(" without TLS"),
            None => {}
        }
        if let Some(policy) = policy {
            write!(line, " ({policy})")?;
        }
        if let Some(sender) = sender {
            write!(line, ", as from {sender}")?;
        }
        write!(line, ": {reply}")?;
        next.map_or(Ok(()), |next| write!(line, "; next try at {}", time_of_day(next)))
    }

    /// `the operator alice (uid 1000, process 4711): redirect, to relay.example`
    fn write_operator(&self, line: &mut String) -> fmt::Result {
        let Self::Operator { by, uid, pid, action, destination, detail } = self else { return Ok(()) };
        write!(line, "the operator {by} (uid {uid}")?;
        if let Some(pid) = pid {
            write!(line, ", process {pid}")?;
        }
        write!(line, "): {action}")?;
        if let Some(destination) = destination {
            write!(line, " {destination}")?;
        }
        detail.as_ref().map_or(Ok(()), |detail| write!(line, ", {detail}"))
    }
}

/// `author alice@a.test: spf=pass a.test (…; by `a.test TXT v=spf1 …`); dkim=…; taken`
fn write_verified(line: &mut String, authors: &[String], findings: &[Finding], action: &str) -> fmt::Result {
    match authors {
        [] => line.push_str("sender:"),
        _ => write!(line, "author {}:", authors.join(", "))?,
    }
    for Finding { method, result, domain, reason, record } in findings {
        write!(line, " {method}={result}")?;
        if !domain.is_empty() {
            write!(line, " {domain}")?;
        }
        let record = record.as_ref().map(|record| format!("by {record}"));
        let said: Vec<&str> =
            [Some(reason.as_str()), record.as_deref()].into_iter().flatten().filter(|text| !text.is_empty()).collect();
        if !said.is_empty() {
            write!(line, " ({})", said.join("; "))?;
        }
        line.push(';');
    }
    write!(line, " {action}")
}

/// `from 192.0.2.7`, or `from alice (uid 1000) on this machine`.
fn write_who(line: &mut String, peer: Option<IpAddr>, user: Option<&str>) -> fmt::Result {
    match user {
        Some(user) => write!(line, "from {user} on this machine"),
        None => write!(line, "{}", Peer(peer)),
    }
}

struct Peer(Option<IpAddr>);

impl Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "from {address}"),
            None => f.write_str("from this machine"),
        }
    }
}

struct At<'a>(&'a str, &'a str);

impl Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " at {} on {}", self.0, self.1)
    }
}

fn sender(from: &str) -> &str {
    if from.is_empty() { "<>" } else { from }
}

fn list(addresses: &[String]) -> String {
    let named = addresses.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    match addresses.len().saturating_sub(NAMED_MAX) {
        0 if named.is_empty() => "nobody".to_owned(),
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Rounded, in binary units.
fn human_size(octets: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut scaled = octets;
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while (scaled >= 10 * 1024 && unit != UNITS.last()) || (scaled >= 1024 && unit == UNITS.first()) {
        scaled = scaled.saturating_add(512) / 1024;
        unit = units.next();
    }
    format!("{scaled} {}", unit.unwrap_or(&"TiB"))
}

/// Hours to milliseconds, UTC; the date is the reader's to show.
fn time_of_day(at: UnixMillis) -> String {
    // `2026-11-24T03:12:09.120Z`
    let text = at.to_string();
    text.split_once('T').map_or(text.as_str(), |(_, time)| time.trim_end_matches('Z')).to_owned()
}

#[cfg(test)]
mod tests;
