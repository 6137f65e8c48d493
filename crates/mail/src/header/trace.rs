//! The fields that a server adds: `Received`, `Return-Path`, `Delivered-To`.

use std::net::IpAddr;

use crate::{Address, Domain, LetterId, Priority, ReversePath, UnixMillis};

/// A `Received` field (RFC 5321 §4.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received<'a> {
    /// What the client called itself; anything at all, so it is cleaned.
    pub helo: &'a str,
    /// Where it connected from.
    pub peer: IpAddr,
    /// The number of the user of this machine who handed the letter in; then nobody connected, and `helo` and `peer` say nothing.
    pub user: Option<u32>,
    /// Who writes the field.
    pub by: &'a Domain,
    /// How it was spoken (RFC 3848): `ESMTPSA` and its like, see [`Received::with`].
    pub with: &'a str,
    /// The TLS version and cipher.
    pub tls: Option<&'a str>,
    /// The letter's id here.
    pub id: LetterId,
    /// The recipient, when there is one alone: more would tell the one of the other.
    pub only_recipient: Option<&'a Address>,
    /// The priority it has here; zero is not mentioned.
    pub priority: Priority,
    /// When.
    pub at: UnixMillis,
}

impl Received<'_> {
    /// The keyword for how a letter came (RFC 3848, RFC 6531 §4.3).
    #[must_use]
    pub fn with(lmtp: bool, extended: bool, tls: bool, login: bool, smtputf8: bool) -> String {
        let base = match (lmtp, smtputf8, extended) {
            (true, true, _) => "UTF8LMTP",
            (true, false, _) => "LMTP",
            (false, true, _) => "UTF8SMTP",
            (false, false, true) => "ESMTP",
            (false, false, false) => "SMTP",
        };
        // Only the extended forms have the letters (RFC 3848).
        let letters = if extended || lmtp || smtputf8 { (tls, login) } else { (false, false) };
        format!("{base}{}{}", if letters.0 { "S" } else { "" }, if letters.1 { "A" } else { "" })
    }

    /// The field, folded, with its last CRLF.
    #[must_use]
    pub fn to_field(&self) -> String {
        let tls = self.tls.map(|tls| format!("\r\n\t(using {})", comment(tls))).unwrap_or_default();
        let recipient = self.only_recipient.map(|to| format!("\r\n\tfor <{to}>")).unwrap_or_default();
        // RFC 6710 §9: a clause of its own, as RFC 5321 §4.4 lets there be.
        let priority =
            if self.priority == Priority::default() { String::new() } else { format!("\r\n\tPRIORITY {}", self.priority) };
        let helo: Domain = self.helo.parse().unwrap_or_else(|_| Domain::from_ip(self.peer));
        // What is not a name stands in the comment, where it can say anything and mean nothing.
        let claimed =
            if helo.as_str().eq_ignore_ascii_case(self.helo) { String::new() } else { format!(" helo={}", comment(self.helo)) };
        let (by, with, id, date) = (self.by, self.with, self.id, self.at.to_rfc5322());
        if let Some(user) = self.user {
            return format!(
                "Received: by {by} (Posthouse, from userid {user})\r\n\tid {id}{recipient}{priority};\r\n\t{date}\r\n"
            );
        }
        let peer = Domain::from_ip(self.peer);
        format!(
            "Received: from {helo} ({peer}{claimed}){tls}\r\n\tby {by} with {with} id {id}{recipient}{priority};\r\n\t{date}\r\n"
        )
    }
}

/// The `Return-Path` field that the last server adds.
#[must_use]
pub fn return_path(path: &ReversePath) -> String {
    format!("Return-Path: <{path}>\r\n")
}

/// The `Delivered-To` field (RFC 9228).
#[must_use]
pub fn delivered_to(address: &Address) -> String {
    format!("Delivered-To: {address}\r\n")
}

/// A text inside a comment: printable ASCII without parentheses and backslashes, at most 255 octets.
fn comment(text: &str) -> String {
    text.chars().take(255).map(|c| if (c.is_ascii_graphic() || c == ' ') && !"()\\".contains(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests;
