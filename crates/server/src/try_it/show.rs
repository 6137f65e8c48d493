//! What `posthouse try` prints.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use posthouse_client::Line;
use posthouse_runtime::log::one_line;

use super::journey::{Dialogue, Read, Sent};
use super::world::{DOMAIN, NAME, World};
use crate::cli::{Failure, Printer};
use crate::config::Kind;

/// The header lines and the lines of text of the letter that are shown.
const LINES_SHOWN: usize = 16;
const COLUMNS_SHOWN: usize = 110;

/// The server is up.
pub(super) fn started(world: &World, printer: &Printer) -> Result<(), Failure> {
    printer.line(printer.bold(&format!("A mail system for {DOMAIN}, on this machine alone. Nothing leaves it.")))?;
    printer.line("")?;
    step(
        printer,
        "started",
        format_args!("two accounts, an authority for certificates, five ports, in {}", short(world.started_in)),
    )
}

/// The letter was accepted.
pub(super) fn sent(world: &World, sent: &Sent, said: &Dialogue, printer: &Printer) -> Result<(), Failure> {
    let (alice, bob) = (&world.alice.account.address, &world.bob.account.address);
    step(printer, "sent", format_args!("{alice} → {bob}, through port {}", world.port(Kind::Submission)))?;
    dialogue(said, printer)?;
    match &sent.tls {
        Some(tls) => printer.line(format_args!("              {tls}, certificate of {NAME} verified")),
        None => Ok(()),
    }
}

/// What was said.
pub(super) fn dialogue(said: &Dialogue, printer: &Printer) -> Result<(), Failure> {
    for line in said.lines() {
        printer.line(format_args!("              {}", printer.dim(&spoken(&line))))?;
    }
    Ok(())
}

/// One line of the dialogue; of a reply of many lines the first and how many more there were.
fn spoken(line: &Line) -> String {
    let Line::Server(reply) = line else { return cut(&line.to_string()) };
    // RFC 4954 §4: a challenge, which only says something to the two programs.
    if reply.code() == 334 {
        return "S: 334 …".to_owned();
    }
    let lines = reply.lines();
    let status = reply.status().map_or_else(String::new, |status| format!("{status} "));
    let more = if lines.len() > 1 { format!(" (and {} lines more)", lines.len() - 1) } else { String::new() };
    cut(&format!("S: {} {status}{}{more}", reply.code(), lines.first().map_or("", String::as_str)))
}

fn cut(text: &str) -> String {
    one_line(&text.replace('\t', "    ")).chars().take(COLUMNS_SHOWN).collect()
}

/// The letter was read.
pub(super) fn read(read: &Read, printer: &Printer) -> Result<(), Failure> {
    step(printer, "delivered", format_args!("into the inbox, {} after it was accepted", short(read.delivered_after)))?;
    step(printer, "read", format_args!("over POP3 with TLS, {} octets", read.letter.len()))?;
    let text = String::from_utf8_lossy(&read.letter);
    for line in text.lines().take(LINES_SHOWN) {
        printer.line(format_args!("              {}", printer.dim(&format!("│ {}", cut(line)))))?;
    }
    Ok(())
}

/// The whole as JSON.
pub(super) fn report(world: &World, sent: &Sent, said: &Dialogue, read: &Read, printer: &Printer) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Login<'a> {
        address: String,
        password: &'a str,
    }
    let people = [&world.alice, &world.bob];
    let accounts: Vec<_> =
        people.iter().map(|person| Login { address: person.account.address.to_string(), password: &person.password }).collect();
    let ports = [Kind::Mx, Kind::Submission, Kind::Submissions, Kind::Pop3, Kind::Pop3s];
    let ports: serde_json::Map<_, _> = ports.iter().map(|kind| (kind.to_string(), json!(world.port(*kind)))).collect();
    printer.json(&json!({
        "domain": DOMAIN,
        "host": NAME,
        "ports": ports,
        "accounts": accounts,
        "ca": world.ca,
        "data": world.home.path(),
        "dialogue": said.lines().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "tls": sent.tls,
        "letter": sent.letter.map(|id| id.to_string()),
        "delivered_ms": u64::try_from(read.delivered_after.as_millis()).unwrap_or(u64::MAX),
        "octets": read.letter.len(),
    }))
}

/// What a mail client and the usual programs need.
pub(super) fn settings(world: &World, printer: &Printer) -> Result<(), Failure> {
    let port = |kind| world.port(kind);
    let ca = world.ca.display();
    printer.line("")?;
    printer.line(printer.bold("Settings for any mail client"))?;
    printer.line(format_args!(
        "  outgoing   SMTP {NAME} {} (STARTTLS) or {} (TLS)",
        port(Kind::Submission),
        port(Kind::Submissions)
    ))?;
    printer.line(format_args!("  incoming   POP3 {NAME} {} (TLS) or {} (STLS)", port(Kind::Pop3s), port(Kind::Pop3)))?;
    for person in [&world.alice, &world.bob] {
        printer.line(format_args!("  account    {}  password {}", person.account.address, one_line(&person.password)))?;
    }
    printer.line(format_args!("  trust      {ca}"))?;
    printer.line("")?;
    printer.line(printer.bold("Or paste"))?;
    examples(world, printer)?;
    printer.line("")?;
    let end = if world.home.is_kept() { "the mail stays in" } else { "it also removes" };
    printer.line(printer.dim(&format!("Ctrl-C stops it; {end} {}", world.home.path().display())))
}

fn examples(world: &World, printer: &Printer) -> Result<(), Failure> {
    let (alice, bob) = (&world.alice.account.address, &world.bob.account.address);
    let (submission, pop3s) = (world.port(Kind::Submission), world.port(Kind::Pop3s));
    let ca = quoted(&world.ca.display().to_string());
    let secret = quoted(&world.alice.password);
    printer.line(format_args!(
        "  swaks --server {NAME}:{submission} --tls --tls-verify --tls-ca-path {ca} \\\n    \
         --auth-user {alice} --auth-password {secret} --from {alice} --to {bob}\n"
    ))?;
    printer.line(format_args!(
        "  printf 'Subject: hello\\r\\n\\r\\nHello from curl.\\r\\n' | curl -sS --ssl-reqd --cacert {ca} smtp://{NAME}:{submission} \\\n    \
         --user {} --mail-from {alice} --mail-rcpt {bob} --upload-file -\n",
        quoted(&format!("{alice}:{}", world.alice.password))
    ))?;
    printer.line(format_args!(
        "  curl -sS --cacert {ca} --user {} pop3s://{NAME}:{pop3s}/1\n",
        quoted(&format!("{bob}:{}", world.bob.password))
    ))?;
    printer.line(format_args!(
        "  python3 - {NAME} {submission} {ca} {alice} {secret} {bob} <<'END'\n\
         import smtplib, ssl, sys\n\
         from email.message import EmailMessage\n\
         host, port, ca, login, password, to = sys.argv[1:]\n\
         letter = EmailMessage()\n\
         letter[\"From\"], letter[\"To\"], letter[\"Subject\"] = login, to, \"hello\"\n\
         letter.set_content(\"Hello from Python.\")\n\
         with smtplib.SMTP(host, int(port)) as server:\n    \
             server.starttls(context=ssl.create_default_context(cafile=ca))\n    \
             server.login(login, password)\n    \
             server.send_message(letter)\n\
         END"
    ))
}

fn step(printer: &Printer, name: &str, what: impl std::fmt::Display) -> Result<(), Failure> {
    printer.line(format_args!("{} {} {what}", printer.green("✓"), printer.bold(&format!("{name:<11}"))))
}

fn short(duration: Duration) -> String {
    if duration.as_secs() == 0 { format!("{} ms", duration.as_millis()) } else { format!("{:.1} s", duration.as_secs_f64()) }
}

/// A word for a shell: in single quotes where it holds anything but plain characters.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests;
