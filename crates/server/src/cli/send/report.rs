//! What became of the letter, for people, for programs and for the shell.

use std::io::{self, Write as _};

use serde::Serialize;

use posthouse_client::{Line, Mailer, RecipientResult, SendReport};
use posthouse_mail::{Address, Reply};
use posthouse_runtime::log::one_line;

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
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Accepted,
    Refused,
    Deferred,
    Unsendable,
    Unknown,
    NotTried,
}

impl Report {
    /// Of everything that was answered.
    pub(super) fn new(mailer: &Mailer, from: &str, size: u64, sent: &SendReport) -> Self {
        let mut report = Self {
            server: mailer.url().to_string(),
            peer: sent.peer.map_or_else(String::new, |peer| peer.to_string()),
            tls: sent.tls.clone(),
            from: from.to_owned(),
            message_id: sent.message_id.clone(),
            size,
            recipients: Vec::new(),
            exit: None,
        };
        sent.recipients.iter().for_each(|recipient| report.add(&recipient.address, &recipient.result));
        report
    }

    /// What became of one.
    fn add(&mut self, address: &Address, result: &RecipientResult) {
        let row =
            |outcome, text: &str| Row { address: address.to_string(), outcome, code: None, status: None, text: text.to_owned() };
        let answered = |outcome, reply: &Reply| Row {
            code: Some(reply.code()),
            status: reply.status().map(|status| status.to_string()),
            ..row(outcome, &reply.text())
        };
        let (row, exit) = match result {
            RecipientResult::Accepted(reply) => (answered(Outcome::Accepted, reply), None),
            RecipientResult::Refused(reply) if reply.is_permanent() => (answered(Outcome::Refused, reply), Some(refused(reply))),
            RecipientResult::Refused(reply) => (answered(Outcome::Deferred, reply), Some(Exit::TempFail)),
            RecipientResult::Unsendable(reply) => (answered(Outcome::Unsendable, reply), Some(Exit::Data)),
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
                Outcome::Refused => printer.red("refused"),
                Outcome::Deferred => printer.red("deferred"),
                Outcome::Unsendable => printer.red("not sendable"),
                Outcome::Unknown => printer.red("unknown"),
                Outcome::NotTried => printer.red("not tried"),
            };
            let code = row.code.map_or_else(String::new, |code| format!("{code} "));
            let status = row.status.as_ref().map_or_else(String::new, |status| format!("{status} "));
            printer.line(format_args!("{word}  {}: {code}{status}{}", row.address, one_line(&row.text)))?;
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

/// A permanent failure is worse than a temporary one; of two permanent ones the first is told.
pub(super) fn worse(one: Option<Exit>, other: Option<Exit>) -> Option<Exit> {
    match one {
        None | Some(Exit::TempFail) => other.or(one),
        Some(_) => one,
    }
}

#[cfg(test)]
mod tests;
