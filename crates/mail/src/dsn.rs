//! Delivery status notifications: the letter that says what became of a letter (RFC 3464, RFC 6522; RFC 6533 for SMTPUTF8).
//!
//! [`Report::to_message`] is pure: time, id and boundary are given. What came from a peer (replies, names) is cleaned before it is put into a
//! field, so that no reply can add a field or a part (OpenSMTPD CVE-2020-8794). The report goes out with the empty reverse-path, which
//! the caller sets in its envelope.

use std::fmt::Write as _;

use crate::{Address, Domain, LetterId, OriginalRecipient, Reply, Status, UnixMillis};

/// The octets of the letter's header that are returned at most.
pub const RETURNED_HEADER_BYTES_MAX: usize = 64 * 1024;

/// What happened to a recipient (RFC 3464 §2.3.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// It will not arrive.
    Failed,
    /// It has not arrived yet.
    Delayed,
    /// It is in the mailbox.
    Delivered,
    /// It was given to the next host, and nothing more is heard from here.
    Relayed,
}

/// One recipient of a [`Report`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReportedRecipient {
    /// Whom it was for in the end.
    pub address: Address,
    /// Whom the sender wrote to, if that was said.
    pub original: Option<OriginalRecipient>,
    /// What happened.
    pub action: Action,
    /// The last reply: of the remote host, or ours in its place.
    pub reply: Reply,
    /// The remote host, when the reply is its own.
    pub remote: Option<String>,
    /// When the last attempt was made.
    pub last_attempt: UnixMillis,
    /// Until when it is tried, for [`Action::Delayed`].
    pub retry_until: Option<UnixMillis>,
}

/// What became of a letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Who reports.
    pub reporter: Domain,
    /// Whom it is for: the letter's reverse-path.
    pub to: Address,
    /// Its own id, for Message-ID and the boundary.
    pub id: LetterId,
    /// Its date.
    pub at: UnixMillis,
    /// The letter's id here.
    pub letter: LetterId,
    /// When the letter came.
    pub arrived: UnixMillis,
    /// The envelope's ENVID.
    pub envid: Option<String>,
    /// When its sender wanted it delivered at the latest.
    pub deliver_by: Option<UnixMillis>,
    /// When its sender released it, if that was later than its arrival.
    pub release_at: Option<UnixMillis>,
    /// The recipients this report speaks of.
    pub recipients: Vec<ReportedRecipient>,
    /// What is returned of the letter.
    pub returned: Returned,
}

/// What is returned of the letter (RFC 3461 §6.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Returned {
    /// The whole.
    Message(Vec<u8>),
    /// Its header.
    Header(Vec<u8>),
}

impl Action {
    /// The word of the `Action` field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
        }
    }
}

impl Report {
    /// The report as a letter, every line ended by CRLF. Pure ASCII unless an address or what is returned is not ([`Self::needs_smtputf8`]).
    #[must_use]
    pub fn to_message(&self) -> Vec<u8> {
        let boundary = self.boundary();
        let mut out = String::new();
        self.write_header(&mut out, &boundary);
        self.write_explanation(&mut out, &boundary);
        self.write_status(&mut out, &boundary);
        let mut bytes = out.into_bytes();
        self.write_returned(&mut bytes, &boundary);
        bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        bytes
    }

    /// Whether only SMTPUTF8 servers can carry it: it is for, or about, an address that is not ASCII. What a server said never makes
    /// it so: a report must not get lost for the words of a stranger.
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        self.to.needs_smtputf8() || self.recipients.iter().any(|one| one.address.needs_smtputf8())
    }

    /// Whether anything in it is not ASCII, so that it travels as 8BITMIME.
    #[must_use]
    pub fn is_eight_bit(&self) -> bool {
        let (Returned::Message(bytes) | Returned::Header(bytes)) = &self.returned;
        self.needs_smtputf8() || self.explains_in_utf8() || !bytes.is_ascii()
    }

    /// Whether the part for people holds more than ASCII.
    fn explains_in_utf8(&self) -> bool {
        self.recipients.iter().any(|one| one.address.needs_smtputf8() || !one.reply.text().is_ascii())
    }

    /// A boundary that the returned letter does not hold: its own id is in it, and if a hostile letter guessed that, another is taken.
    fn boundary(&self) -> String {
        let (Returned::Message(bytes) | Returned::Header(bytes)) = &self.returned;
        let mut boundary = format!("report-{}", self.id);
        while memchr::memmem::find(bytes, boundary.as_bytes()).is_some() {
            boundary.push('=');
        }
        boundary
    }

    fn subject(&self) -> &'static str {
        let all = |action| self.recipients.iter().all(|one| one.action == action);
        if all(Action::Delayed) {
            "Delayed: your message has not been delivered yet"
        } else if self.recipients.iter().any(|one| one.action == Action::Failed) {
            "Undelivered: your message could not be delivered"
        } else if all(Action::Relayed) {
            "Relayed: your message was passed on"
        } else {
            "Delivered: your message has arrived"
        }
    }

    fn write_header(&self, out: &mut String, boundary: &str) {
        let Self { reporter, to, id, at, .. } = self;
        let letter_time = at.to_rfc5322();
        // RFC 3834 §5: no machine may answer a machine. RFC 3464 §2: From is a person's name for the program.
        let fields = format!(
            "From: Mail Delivery System <postmaster@{reporter}>\r\n\
             To: <{to}>\r\n\
             Subject: {subject}\r\n\
             Date: {letter_time}\r\n\
             Message-ID: <{id}@{reporter}>\r\n\
             Auto-Submitted: auto-replied\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n",
            subject = self.subject(),
        );
        out.push_str(&fields);
    }

    /// The part for people: what happened, to whom, why, and what they can do.
    fn write_explanation(&self, out: &mut String, boundary: &str) {
        let (charset, encoding) = if self.explains_in_utf8() { ("utf-8", "8bit") } else { ("us-ascii", "7bit") };
        out.push_str(&format!(
            "--{boundary}\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n\
             This is the mail server {reporter}.\r\n\r\nYour message of {date} (id {letter})\r\n",
            reporter = self.reporter,
            date = self.arrived.to_rfc5322(),
            letter = self.letter,
        ));
        for one in &self.recipients {
            let what = match one.action {
                Action::Failed => "could not be delivered, and will not be tried again, to",
                Action::Delayed => "could not be delivered yet, and is still being tried, to",
                Action::Delivered => "was delivered to",
                Action::Relayed => "was passed on to the next server, and no further notice is sent from here, for",
            };
            let _infallible = write!(out, "\r\n{what}\r\n    {}\r\n", one.address);
            match &one.remote {
                Some(host) => out.push_str(&format!("  The server {} said:\r\n", clean(host))),
                None => out.push_str("  The reason:\r\n"),
            }
            for line in one.reply.lines() {
                out.push_str(&format!("    {}\r\n", self.prefixed(&one.reply, line)));
            }
            if one.action == Action::Failed {
                out.push_str(&format!("  {}\r\n", advice(one.reply.status_or_default())));
            }
        }
        out.push_str("\r\n");
    }

    fn prefixed(&self, reply: &Reply, line: &str) -> String {
        let status = reply.status().map(|status| format!("{status} ")).unwrap_or_default();
        format!("{} {status}{}", reply.code(), clean(line))
    }

    /// The part for programs (RFC 3464 §2).
    fn write_status(&self, out: &mut String, boundary: &str) {
        let (kind, encoding) =
            if self.needs_smtputf8() { ("message/global-delivery-status", "8bit") } else { ("message/delivery-status", "7bit") };
        out.push_str(&format!("--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"));
        if let Some(envid) = &self.envid {
            out.push_str(&format!("Original-Envelope-Id: {}\r\n", clean(envid)));
        }
        out.push_str(&format!("Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n", self.reporter, self.arrived.to_rfc5322()));
        if let Some(by) = self.deliver_by {
            // RFC 2852: a field of the message, beside those of RFC 3464 §2.2.
            out.push_str(&format!("Deliver-By-Date: {}\r\n", by.to_rfc5322()));
        }
        if let Some(at) = self.release_at {
            // RFC 4865: `for` with seconds or `until` with a time; of a HOLDFOR we keep the time that it meant.
            out.push_str(&format!("Future-Release-Request: until; {}\r\n", at.to_rfc3339_seconds()));
        }
        for one in &self.recipients {
            out.push_str("\r\n");
            self.write_recipient(out, one);
        }
        out.push_str("\r\n");
    }

    fn write_recipient(&self, out: &mut String, one: &ReportedRecipient) {
        if let Some(original) = &one.original {
            let address = clean(&original.address);
            let address = if self.needs_smtputf8() { address } else { in_ascii(&address) };
            out.push_str(&format!("Original-Recipient: {}; {address}\r\n", in_ascii(&clean(&original.kind))));
        }
        // RFC 6533 §3: the address type of an address that is not ASCII.
        let kind = if one.address.needs_smtputf8() { "utf-8" } else { "rfc822" };
        out.push_str(&format!("Final-Recipient: {kind}; {}\r\n", one.address));
        out.push_str(&format!("Action: {}\r\n", one.action.as_str()));
        out.push_str(&format!("Status: {}\r\n", status_for(one)));
        if let Some(host) = &one.remote {
            out.push_str(&format!("Remote-MTA: dns; {}\r\n", in_ascii(&clean(host))));
        }
        let mut diagnostic = self.prefixed(&one.reply, &one.reply.text());
        if !self.needs_smtputf8() {
            // RFC 3464 §2.1: the fields are ASCII.
            diagnostic = diagnostic.replace(|c: char| !c.is_ascii(), "?");
        }
        let kind = if one.remote.is_some() { "smtp" } else { "x-posthouse" };
        out.push_str(&folded("Diagnostic-Code", &format!("{kind}; {diagnostic}")));
        out.push_str(&format!("Last-Attempt-Date: {}\r\n", one.last_attempt.to_rfc5322()));
        if let Some(until) = one.retry_until {
            out.push_str(&format!("Will-Retry-Until: {}\r\n", until.to_rfc5322()));
        }
    }

    fn write_returned(&self, out: &mut Vec<u8>, boundary: &str) {
        let utf8 = self.needs_smtputf8();
        let (kind, bytes) = match (&self.returned, utf8) {
            (Returned::Message(bytes), false) => ("message/rfc822", bytes),
            (Returned::Message(bytes), true) => ("message/global", bytes),
            (Returned::Header(bytes), false) => ("text/rfc822-headers", bytes),
            (Returned::Header(bytes), true) => ("message/global-headers", bytes),
        };
        let encoding = if bytes.is_ascii() { "7bit" } else { "8bit" };
        let head = format!("--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(bytes);
        if !bytes.ends_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A remote reply's status may contradict what happened (a 5.7.1 for a letter that was given up as 4xx); the field must not.
fn status_for(one: &ReportedRecipient) -> Status {
    let said = one.reply.status_or_default();
    let right = match one.action {
        Action::Failed => Status::permanent(said.subject, said.detail),
        Action::Delayed => Status::temporary(said.subject, said.detail),
        Action::Delivered | Action::Relayed => Status::success(said.subject, said.detail),
    };
    if right.class == said.class { said } else { right }
}

/// What a person can do, by the status' subject (RFC 3463 §3).
fn advice(status: Status) -> &'static str {
    match (status.subject, status.detail) {
        (1, 2 | 10) => "Check the part of the address behind the @: no such domain takes mail.",
        (1, _) => "Check the address: the server knows no such mailbox.",
        (3, 4) | (2 | 5, 3) => "The message is too large for the other side; send it in parts, or a link to it.",
        (2, 2) => "The mailbox is full; ask its owner by another way.",
        (2, _) => "The mailbox takes no mail now; ask its owner by another way.",
        (4, _) => "The other server could not be reached for too long; try again later or ask its operator.",
        (6, _) => "The other side cannot handle this kind of content; send it in another form.",
        (7, _) => "The other server refuses it by its rules; its answer above says which. Your own operator can help.",
        _ => "The answer above says why; your own operator can help.",
    }
}

/// One field, folded so that no line exceeds 998 octets (RFC 5322 §2.1.1) and most stay short.
fn folded(name: &str, value: &str) -> String {
    let mut out = format!("{name}:");
    let mut column = out.len();
    for word in value.split(' ').filter(|word| !word.is_empty()) {
        if column + word.len() > 76 && column > name.len() + 1 {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(word);
        column += word.len() + 1;
    }
    out.push_str("\r\n");
    out
}

/// `utf-8-addr-xtext` (RFC 6533 §3): how an address that is not ASCII stands in a field that must be.
fn in_ascii(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            ' '..='~' => out.push(c),
            _ => out.push_str(&format!("\\x{{{:X}}}", u32::from(c))),
        }
        out
    })
}

/// A text from outside in one line, without what could end the line or drive a terminal.
fn clean(text: &str) -> String {
    text.chars().take(900).map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
