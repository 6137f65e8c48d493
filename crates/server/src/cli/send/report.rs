//! What became of the letter, for people, for programs and for the shell.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use posthouse_client::{Line, Message, RecipientResult, SendReport, Via};
use posthouse_mail::{Address, Reply};
use posthouse_runtime::log::one_line;

use super::way::{End, Way};
use crate::cli::{Exit, Failure, Printer};

/// What is printed at the end. The names are an interface.
#[derive(Serialize)]
pub(super) struct Report {
    server: String,
    peer: String,
    /// TLS version and cipher; none in clear.
    tls: Option<String>,
    from: String,
    message_id: Option<String>,
    size: u64,
    recipients: Vec<Row>,
    #[serde(skip)]
    exit: Option<Exit>,
}

#[derive(Serialize)]
struct Row {
    address: String,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    /// The reply's text, or why there is none.
    text: String,
    /// What it usually means, or what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
    /// The mail host that was spoken to, where there is more than one server.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Host>,
}

#[derive(Serialize)]
struct Host {
    name: String,
    peer: Option<String>,
    tls: Option<String>,
    /// What was asked of the connection, by whom, and what came of it.
    policy: String,
}

impl Host {
    fn of(via: &Via) -> Self {
        let peer = via.peer.map(|peer| peer.to_string());
        Self { name: via.server.clone(), peer, tls: via.tls.clone(), policy: via.policy.clone() }
    }

    fn words(&self) -> String {
        let peer = self.peer.as_ref().map_or_else(String::new, |peer| format!(" at {peer}"));
        let tls = self.tls.as_deref().unwrap_or("no TLS");
        format!("  {}{peer}, {tls}: {}", self.name, self.policy)
    }
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Accepted,
    /// In the maildrop.
    Kept,
    Refused,
    Deferred,
    Unsendable,
    Unknown,
    NotTried,
}

/// What is told of a letter when it is gone.
pub(super) struct Sketch {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) message_id: Option<String>,
    pub(super) size: u64,
}

impl Sketch {
    pub(super) fn of(letter: &Message) -> Self {
        let envelope = letter.envelope();
        Self {
            from: envelope.reverse_path.to_string(),
            to: envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect(),
            message_id: letter.message_id().map(str::to_owned),
            size: letter.size(),
        }
    }
}

impl Row {
    fn new(address: String, outcome: Outcome, text: &str) -> Self {
        Self { address, outcome, code: None, status: None, text: text.to_owned(), advice: None, host: None }
    }
}

impl Report {
    /// Of a letter's end.
    pub(super) fn of(way: &Way, letter: &Sketch, end: &End) -> Self {
        match end {
            End::Answered(sent) => Self::new(way, &letter.from, letter.size, sent),
            End::Kept => Self::kept(way, letter),
        }
    }

    fn kept(way: &Way, letter: &Sketch) -> Self {
        let text = "the server is down; the letter is in the maildrop and goes out when it is up again";
        Self::all(way, letter, Outcome::Kept, text, None)
    }

    /// Of a letter whose sending was broken off.
    pub(super) fn interrupted(way: &Way, letter: &Sketch, was_given: bool) -> Self {
        let (outcome, text) = if was_given {
            (Outcome::Unknown, "interrupted when all of it was sent, before the server's answer: it may have arrived")
        } else {
            (Outcome::NotTried, "interrupted before all of it was sent: nobody has it")
        };
        Self::all(way, letter, outcome, text, Some(Exit::TempFail))
    }

    /// The same for every recipient.
    fn all(way: &Way, letter: &Sketch, outcome: Outcome, text: &str, exit: Option<Exit>) -> Self {
        let row = |to: &String| Row::new(to.clone(), outcome, text);
        Self {
            server: way.name(),
            peer: String::new(),
            tls: None,
            from: letter.from.clone(),
            message_id: letter.message_id.clone(),
            size: letter.size,
            recipients: letter.to.iter().map(row).collect(),
            exit,
        }
    }

    fn new(way: &Way, from: &str, size: u64, sent: &SendReport) -> Self {
        let mut report = Self {
            server: way.name(),
            peer: sent.peer.map_or_else(String::new, |peer| peer.to_string()),
            tls: sent.tls.clone(),
            from: from.to_owned(),
            message_id: sent.message_id.clone(),
            size,
            recipients: Vec::new(),
            exit: None,
        };
        for recipient in &sent.recipients {
            let via = recipient.via.as_deref();
            let cause = recipient.cause(via.map_or(&sent.server, |via| &via.server));
            // That it can be tried again is said by the word in front already.
            let is_plain = recipient.is_temporary() && !matches!(recipient.result, RecipientResult::Unknown(_));
            let advice = cause.or(Some(recipient.advice()).filter(|advice| !is_plain && !advice.is_empty()));
            report.add(&recipient.address, &recipient.result, via, advice);
        }
        report
    }

    /// What became of one.
    fn add(&mut self, address: &Address, result: &RecipientResult, via: Option<&Via>, advice: Option<&'static str>) {
        let row = |outcome, text: &str| Row { advice, host: via.map(Host::of), ..Row::new(address.to_string(), outcome, text) };
        let answered = |outcome, reply: &Reply| Row {
            code: Some(reply.code()),
            status: reply.status().map(|status| status.to_string()),
            ..row(outcome, &reply.text())
        };
        let (row, exit) = match result {
            RecipientResult::Accepted(reply) => (answered(Outcome::Accepted, reply), None),
            RecipientResult::Refused(reply) if reply.is_permanent() => (answered(Outcome::Refused, reply), Some(refused(reply))),
            RecipientResult::Refused(reply) => (answered(Outcome::Deferred, reply), Some(Exit::TempFail)),
            RecipientResult::Unsendable(reply) if reply.is_temporary() => {
                (answered(Outcome::Deferred, reply), Some(Exit::TempFail))
            }
            RecipientResult::Unsendable(reply) => (answered(Outcome::Unsendable, reply), Some(unsendable(reply))),
            RecipientResult::Unknown(why) => (row(Outcome::Unknown, why), Some(Exit::TempFail)),
            RecipientResult::NotTried(why) => (row(Outcome::NotTried, why), Some(Exit::TempFail)),
        };
        self.recipients.push(row);
        self.exit = worse(self.exit, exit);
    }

    /// The exit code of the worst.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Says it.
    pub(super) fn print(&self, printer: &Printer) -> Result<(), Failure> {
        for row in &self.recipients {
            let word = match row.outcome {
                Outcome::Accepted => printer.green("accepted"),
                Outcome::Kept => printer.green("kept"),
                Outcome::Refused => printer.red("refused"),
                Outcome::Deferred => printer.red("deferred"),
                Outcome::Unsendable => printer.red("not sendable"),
                Outcome::Unknown => printer.red("unknown"),
                Outcome::NotTried => printer.red("not tried"),
            };
            let code = row.code.map_or_else(String::new, |code| format!("{code} "));
            let status = row.status.as_ref().map_or_else(String::new, |status| format!("{status} "));
            printer.line(format_args!("{word}  {}: {code}{status}{}", row.address, one_line(&row.text)))?;
            // Programs read one line for each recipient.
            if let Some(advice) = row.advice.filter(|_| io::stdout().is_terminal()) {
                printer.line(printer.dim(&format!("  {advice}")))?;
            }
            if let Some(host) = &row.host {
                printer.line(printer.dim(&one_line(&host.words())))?;
            }
        }
        printer.json(self)
    }
}

/// Part of the dialogue, with the marks that swaks uses: ` -> ` what we said, `<-  ` what the server said, `<** ` its refusals, `===` what happened. Whatever the
/// server says, it says it to a log and not to the terminal.
pub(super) fn dialogue(line: &Line) {
    let mark = match line {
        Line::Client(_) => " -> ",
        Line::Server(reply) if reply.is_positive() => "<-  ",
        Line::Server(_) => "<** ",
        Line::Note(_) | _ => "=== ",
    };
    let text = line.to_string();
    let mut out = io::stderr().lock();
    for line in text.lines() {
        let words = line.strip_prefix("C: ").or(line.strip_prefix("S: ")).unwrap_or(line).trim();
        // Nobody may be there to read it; the letter goes on.
        let _ = writeln!(out, "{mark}{}", one_line(words));
    }
}

/// RFC 3463: subject 1 is about addresses (x.1.2 and x.1.10 about their domains), subject 7 about permission.
pub(in crate::cli) fn refused(reply: &Reply) -> Exit {
    match reply.status_or_default() {
        status if status.subject == 1 && matches!(status.detail, 2 | 10) => Exit::NoHost,
        status if status.subject == 1 => Exit::NoUser,
        status if status.subject == 7 => Exit::NoPermission,
        _ => Exit::Unavailable,
    }
}

/// What we say ourselves: of the way there, or of the letter.
fn unsendable(reply: &Reply) -> Exit {
    if matches!(reply.status_or_default().subject, 1 | 4 | 7) { refused(reply) } else { Exit::Data }
}

/// A permanent failure is worse than a temporary one; of two permanent ones the first is told.
pub(super) fn worse(one: Option<Exit>, other: Option<Exit>) -> Option<Exit> {
    match one {
        None | Some(Exit::TempFail) => other.or(one),
        Some(_) => one,
    }
}

#[cfg(test)]
mod tests;
