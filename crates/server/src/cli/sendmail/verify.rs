//! `sendmail -bv`: whether recipients would be taken, asked of the server that would be given the letter.

use std::io;
use std::time::Duration;

use posthouse_client::{ClientError, LocalServer};
use posthouse_runtime::local::LocalStream;
use posthouse_runtime::log::one_line;
use posthouse_runtime::net::Stream;

use super::options::{self, Options};
use super::{Exit, Failure, Printer, Way};
use crate::cli::talk::{Reply, Talk};

/// How long each answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(options: &Options, printer: &Printer) -> Result<(), Failure> {
    if options.recipients.is_empty() {
        return Err(Failure::say(Exit::Usage, "-bv asks for recipients, and there is none"));
    }
    let way = Way::of(options)?;
    let asked = async {
        let domain = way.domain().await;
        match &way {
            Way::Local(server) => ask(server, options, &domain, printer).await,
            // As sendmail has it on a machine that hands everything to another: that one decides.
            Way::Server(mailer) => {
                let server = mailer.url().map_or_else(String::new, ToString::to_string);
                options.recipients.iter().try_for_each(|text| {
                    let address = options::address(text, &domain)?;
                    printer.line(format_args!("{address}... deliverable: through {server}, which decides"))
                })
            }
        }
    };
    posthouse_runtime::block_on(asked).map_err(|error| Failure::new(Exit::Os, error))?
}

/// Each in a transaction of its own, which never comes to a letter.
async fn ask(server: &LocalServer, options: &Options, domain: &str, printer: &Printer) -> Result<(), Failure> {
    let stream = LocalStream::connect(server.path()).await;
    let stream =
        stream.map_err(|cause| Failure::new(Exit::TempFail, ClientError::Local { path: server.path().to_owned(), cause }))?;
    let lost = |error: io::Error| Failure::new(Exit::TempFail, error);
    let mut talk = Talk::new(Stream::of_local(stream), PATIENCE);
    let sender = match options.sender.as_deref() {
        Some(text) => options::sender(text, domain)?,
        None => options::me(domain)?.into(),
    };
    for reply in [talk.reply().await, talk.command("EHLO localhost").await] {
        refused(&reply.map_err(lost)?)?;
    }
    let mut worst = None;
    for text in &options.recipients {
        let address = options::address(text, domain)?;
        let utf8 = if address.to_string().is_ascii() { "" } else { " SMTPUTF8" };
        refused(&talk.command(&format!("MAIL FROM:<{sender}>{utf8}")).await.map_err(lost)?)?;
        let reply = talk.command(&format!("RCPT TO:<{address}>")).await.map_err(lost)?;
        talk.command("RSET").await.map_err(lost)?;
        if reply.is_positive() {
            printer.line(format_args!("{address}... deliverable"))?;
        } else {
            printer.line(format_args!("{address}... {}", one_line(&reply.text)))?;
            worst = worst.filter(|exit| *exit == Exit::NoUser).or(Some(exit(&reply)));
        }
    }
    // Whether it hears the farewell does not matter.
    let _ = talk.send("QUIT\r\n").await;
    worst.map_or(Ok(()), |exit| Err(Failure::silent(exit)))
}

fn refused(reply: &Reply) -> Result<(), Failure> {
    if reply.is_positive() { Ok(()) } else { Err(Failure::say(exit(reply), one_line(&reply.text))) }
}

fn exit(reply: &Reply) -> Exit {
    if reply.code < 500 { Exit::TempFail } else { Exit::NoUser }
}
