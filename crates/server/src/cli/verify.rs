//! `posthouse verify`.

use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use posthouse_dns::{Resolver, Settings, Zone};
use posthouse_intake::{SenderAction, SenderPolicy};
use posthouse_mail::header::{Header, end_of_header};
use posthouse_mailauth::dmarc::Dmarc;
use posthouse_mailauth::spf::{self, Question};
use posthouse_mailauth::{Examination, Looked, Verdicts, iprev};
use posthouse_runtime::clock;
use posthouse_runtime::log::one_line;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Exit, Failure, Printer};

/// Who really sent a letter: SPF, DKIM, DMARC and ARC, with every DNS record that was looked at.
///
/// The verdicts are those of `posthouse serve`, and so is what would become of the letter under each `intake.senders.policy`. Exit code 0 whatever they are.
///
/// JSON has `spf`, `dkim` (a list, from the top; of a letter without a signature one entry with the result `none`), `dmarc`, `arc` and `iprev`, each with `result`, `reason` and
/// the `records` that were looked at, `actions` by policy (`taken`, `quarantined`, `refused`, `put-off`), and `warnings`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse verify letter.eml --ip 192.0.2.1 --helo mx.example.org --mail-from alice@example.org
  posthouse verify letter.eml --ip 2001:db8::1 --helo mx.example.org --mail-from '' --json
  posthouse verify letter.eml --ip 192.0.2.1 --helo h --mail-from a@b.test --zone case.zone

A zone file has records as in RFC 1035: TXT, A, AAAA, MX, PTR, CNAME, TLSA. A name can be marked instead:
  b.test.               IN TXT \"v=spf1 ip4:192.0.2.1 -all\"
  sel._domainkey.b.test. SERVFAIL
  slow.b.test.          TIMEOUT")]
pub(crate) struct Args {
    /// The letter; `-` is standard input. Lines that end with LF alone are read as if they ended with CRLF when all do, and a line `From …` in front of the header, as
    /// mailboxes have it, is none of the letter.
    file: PathBuf,
    /// The address it came from.
    #[arg(long)]
    ip: IpAddr,
    /// What the client called itself in EHLO.
    #[arg(long)]
    helo: String,
    /// The reverse-path of the envelope; empty for a bounce.
    #[arg(long, allow_hyphen_values = true)]
    mail_from: String,
    /// A master file to ask in the place of the DNS.
    #[arg(long, value_name = "FILE")]
    zone: Option<PathBuf>,
    /// The time to judge at, in seconds since 1970 [default: now].
    #[arg(long, value_name = "SECONDS")]
    at: Option<u64>,
}

const UNSIGNED: &str = "there is no signature";

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    if !is_path(bare(&args.mail_from)) {
        let words = "is no address: write one, or '' for a bounce";
        return Err(Failure::say(Exit::Usage, format_args!("--mail-from: `{}` {words}", one_line(&args.mail_from))));
    }
    let letter = read(&args.file)?;
    let (resolver, warnings) = resolver(args.zone.as_deref())?;
    warnings.iter().for_each(|warning| printer.warning(warning));
    let verdicts =
        posthouse_runtime::block_on(verify(&args, &letter, &resolver)).map_err(|error| Failure::new(Exit::Os, error))??;
    let actions = Actions::of(&verdicts.dmarc);
    show(&verdicts, &actions, printer)?;
    printer.json(&as_json(&verdicts, &actions, &warnings)?)
}

/// What becomes of the letter under each policy.
#[derive(Debug, Serialize)]
struct Actions {
    mark: SenderAction,
    quarantine: SenderAction,
    enforce: SenderAction,
}

impl Actions {
    fn of(dmarc: &Dmarc) -> Self {
        let of = |policy: SenderPolicy| policy.action(dmarc);
        Self { mark: of(SenderPolicy::Mark), quarantine: of(SenderPolicy::Quarantine), enforce: of(SenderPolicy::Enforce) }
    }
}

fn as_json(verdicts: &Verdicts, actions: &Actions, warnings: &[String]) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(verdicts).map_err(|error| Failure::new(Exit::Software, error))?;
    if let Some(all) = value.as_object_mut() {
        if verdicts.dkim.is_empty() {
            // RFC 8601 §2.7.1: that nothing was signed is a verdict too.
            let none = json!({ "result": "none", "reason": UNSIGNED, "domain": "", "selector": "", "records": [] });
            all.insert("dkim".to_owned(), json!([none]));
        }
        all.insert("actions".to_owned(), json!(actions));
        all.insert("warnings".to_owned(), json!(warnings));
    }
    Ok(value)
}

fn bare(path: &str) -> &str {
    path.trim().trim_start_matches('<').trim_end_matches('>')
}

/// Whether it may be the reverse-path of an envelope, as far as SPF goes: it has a word for every local part and every domain.
fn is_path(bare: &str) -> bool {
    bare.is_empty() || bare.rsplit_once('@').is_some_and(|(_, domain)| !domain.is_empty())
}

async fn verify(args: &Args, letter: &[u8], resolver: &Resolver) -> Result<Verdicts, Failure> {
    let (fields, whole) = end_of_header(letter).unwrap_or((letter.len(), letter.len()));
    let (header, body) = (letter.get(..fields).unwrap_or_default(), letter.get(whole..).unwrap_or_default());
    let header = Header::parse(header).map_err(|error| Failure::new(Exit::Data, error))?;
    let now = args.at.unwrap_or_else(|| clock::unix_millis() / 1000);
    let mail_from = bare(&args.mail_from);
    let question = Question { ip: args.ip, helo: &args.helo, mail_from, receiver: "unknown", now };
    let spf = spf::check(resolver.as_ref(), question).await;
    let iprev = iprev::check(resolver.as_ref(), args.ip).await;
    let mut examination = Examination::new(header, now);
    examination.body(body);
    Ok(examination.finish(resolver.as_ref(), spf, iprev).await)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut letter = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut letter).map(drop)
    } else {
        std::fs::read(path).map(|read| letter = read)
    };
    read.map_err(|error| Failure::say(Exit::NoInput, format_args!("{}: {error}", path.display())))?;
    // As editors write it. A letter with both is left alone: there every octet may matter.
    if !letter.windows(2).any(|pair| pair == b"\r\n") {
        letter = letter.split(|&octet| octet == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]);
    }
    if letter.starts_with(b"From ")
        && let Some(end) = letter.iter().position(|&octet| octet == b'\n')
    {
        letter.drain(..=end);
    }
    Ok(letter)
}

/// Whom to ask, and what is doubtful in it.
fn resolver(zone: Option<&Path>) -> Result<(Resolver, Vec<String>), Failure> {
    let Some(path) = zone else {
        let real = posthouse_dns::real(&Settings::default()).map_err(|error| Failure::new(Exit::Config, error))?;
        return Ok((real, Vec::new()));
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::say(Exit::NoInput, format_args!("{}: {error}", path.display())))?;
    let (zone, doubts) =
        Zone::master_with_doubts(&text).map_err(|error| Failure::say(Exit::Data, format_args!("{}: {error}", path.display())))?;
    Ok((Arc::new(zone), doubts.iter().map(|doubt| format!("{}: {doubt}", path.display())).collect()))
}

fn show(verdicts: &Verdicts, actions: &Actions, printer: &Printer) -> Result<(), Failure> {
    let Verdicts { spf, dkim, dmarc, arc, iprev } = verdicts;
    part(printer, "spf", &spf.result.to_string(), &format!("{} ({})", spf.reason, spf.domain), &spf.records)?;
    if dkim.is_empty() {
        part(printer, "dkim", "none", UNSIGNED, &[])?;
    }
    for one in dkim {
        let about = format!("{} (d={} s={} a={})", one.reason, one.domain, one.selector, one.algorithm);
        part(printer, "dkim", &one.result.to_string(), &about, &one.records)?;
    }
    let disposition = if dmarc.is_open() { "not known yet".to_owned() } else { dmarc.disposition.to_string() };
    let about = format!("{}; disposition: {disposition}", dmarc.reason);
    part(printer, "dmarc", &dmarc.result.to_string(), &about, &dmarc.records)?;
    part(printer, "arc", &arc.result.to_string(), &arc.reason, &arc.records)?;
    part(printer, "iprev", &iprev.result.to_string(), &iprev.reason, &iprev.records)?;
    let Actions { mark, quarantine, enforce } = actions;
    printer.line(format_args!("{} by policy: mark {mark}, quarantine {quarantine}, enforce {enforce}", printer.bold("letter")))
}

fn part(printer: &Printer, what: &str, result: &str, reason: &str, records: &[Looked]) -> Result<(), Failure> {
    let word = match result {
        "pass" => printer.green(result),
        "fail" | "permerror" => printer.red(result),
        _ => result.to_owned(),
    };
    printer.line(format_args!("{} {word}: {}", printer.bold(what), one_line(reason)))?;
    for looked in records {
        let answer = match &looked.error {
            Some(error) => error.clone(),
            None => looked.records.join(" | "),
        };
        printer.line(printer.dim(&format!("  {} {}: {}", one_line(&looked.name), looked.kind, one_line(&answer))))?;
    }
    Ok(())
}
