//! `posthouse reports`.

use std::time::Duration;

use posthouse_mail::{Domain, UnixMillis};
use posthouse_reports::{Entry, Incoming, Received, Sent, Summary, Summing};
use posthouse_runtime::clock;
use posthouse_runtime::log::one_line;

use super::data::{DataArgs, malformed};
use super::{Exit, Failure, Printer};

/// The lines of one kind that are shown to people; `--json` has all.
const LINES_MAX: usize = 20;

/// What other servers report of your domains: who sends in your name, whether TLS to you works, who complains.
///
/// Works beside a running server or without one. Reports come to `reports@` of each domain, which `posthouse domain dns` publishes.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse reports
  posthouse reports --domain example.org --days 7
  posthouse reports list --json
  posthouse reports show 12
  posthouse reports sent")]
pub(crate) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Only reports on this domain and those below it.
    #[arg(long, global = true)]
    domain: Option<String>,
    /// Only reports that came in so many days.
    #[arg(long, global = true, default_value_t = 30)]
    days: u32,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Show the reports that came in, the latest first.
    #[command(after_help = "Examples:\n  posthouse reports list\n  posthouse reports list --days 2 --json")]
    List,
    /// Show all of one report.
    #[command(after_help = "Examples:\n  posthouse reports show 12\n  posthouse reports show 12 --json")]
    Show {
        /// Its number, as `list` shows it.
        id: i64,
    },
    /// Show the reports that this server sent to others, the latest first. `posthouse trace` with the letter says what became of one.
    #[command(after_help = "Examples:\n  posthouse reports sent\n  posthouse reports sent --domain a.example --json")]
    Sent,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let domain: Option<Domain> = match &args.domain {
        Some(text) => Some(text.parse().map_err(|error| malformed("the domain", text, error))?),
        None => None,
    };
    let path = args.data.directory()?.join("reports.sqlite");
    if !path.exists() {
        let words = format!("there are no reports yet: the server makes {} when it starts", path.display());
        return Err(Failure::say(Exit::NoInput, words));
    }
    let io = |error: posthouse_reports::ReportsError| Failure::new(Exit::Io, error);
    let received = Received::open(&path).map_err(io)?;
    let days = Duration::from_hours(u64::from(args.days) * 24);
    let since = clock::unix_millis().saturating_sub(u64::try_from(days.as_millis()).unwrap_or(u64::MAX));
    let work = async {
        match args.action {
            Some(Action::Show { id }) => Ok(Found::One(received.show(id).await?.map(Box::new), id)),
            Some(Action::Sent) => Ok(Found::Sent(received.list_sent(UnixMillis(since), domain.as_ref()).await?)),
            Some(Action::List) => Ok(Found::List(received.list(UnixMillis(since), domain.as_ref()).await?)),
            None => {
                let mut summing = Summing::default();
                for entry in received.list(UnixMillis(since), domain.as_ref()).await? {
                    if let Some((entry, report)) = received.show(entry.id).await? {
                        summing.add(&entry, report);
                    }
                }
                Ok(Found::Summary(Box::new(summing.finish())))
            }
        }
    };
    let found = posthouse_runtime::block_on(work).map_err(|error| Failure::new(Exit::Os, error))?.map_err(io)?;
    match found {
        Found::Summary(summary) => {
            summarise(&summary, args.days, printer)?;
            printer.json(&summary)
        }
        Found::List(entries) => {
            for entry in &entries {
                printer.line(line(entry))?;
            }
            if entries.is_empty() {
                printer.line("no reports came in")?;
            }
            printer.json(&entries)
        }
        Found::Sent(all) => {
            for sent in &all {
                printer.line(told(sent))?;
            }
            if all.is_empty() {
                printer.line("no reports were sent")?;
            }
            printer.json(&all)
        }
        Found::One(None, id) => Err(Failure::say(Exit::NoUser, format!("there is no report {id}"))),
        Found::One(Some(one), _) => {
            let (entry, report) = *one;
            printer.line(line(&entry))?;
            let text = serde_json::to_string_pretty(&report).map_err(|error| Failure::new(Exit::Software, error))?;
            for text in text.lines() {
                printer.line(one_line(text))?;
            }
            printer.json(&serde_json::json!({ "entry": entry, "report": report }))
        }
    }
}

enum Found {
    Summary(Box<Summary>),
    List(Vec<Entry>),
    Sent(Vec<Sent>),
    One(Option<Box<(Entry, Incoming)>>, i64),
}

/// `   12  2026-11-25  dmarc     example.org  by Big Mail`
fn line(entry: &Entry) -> String {
    let day: String = UnixMillis(entry.begins.saturating_mul(1000)).to_rfc3339_seconds().chars().take(10).collect();
    let by = if entry.reporter.is_empty() { &entry.sender } else { &entry.reporter };
    let doubt = if entry.verified { "" } else { "  (its author is not verified)" };
    format!("{:>5}  {day}  {:<8}  {}  by {}{doubt}", entry.id, entry.kind, one_line(&entry.domain), one_line(by))
}

/// `2026-11-25T01:10:00Z  dmarc-report  a.example to d@a.example  (letter)`
fn told(sent: &Sent) -> String {
    let Sent { kind, domain, receiver, letter, at, .. } = sent;
    let way = if letter.is_empty() { "by HTTPS" } else { letter };
    let (domain, receiver) = (one_line(domain), one_line(receiver));
    format!("{}  {kind:<14}  on {domain} to {receiver}  ({way})", UnixMillis(*at).to_rfc3339_seconds())
}

fn summarise(summary: &Summary, days: u32, printer: &Printer) -> Result<(), Failure> {
    printer.line(format_args!("{} reports in {days} days", summary.reports))?;
    if summary.letters > 0 {
        printer.line("")?;
        let failed = summary.letters - summary.passed;
        printer.line(printer.bold(&format!("letters in your name: {}, of which {failed} failed", summary.letters)))?;
        for source in summary.sources.iter().take(LINES_MAX) {
            printer.line(said(source, printer))?;
        }
        left(summary.sources.len(), printer)?;
        for (day, (letters, passed)) in summary.days.iter().rev().take(LINES_MAX) {
            printer.line(format_args!("  {day}  {letters} letters, {} failed", letters - passed))?;
        }
        for reporter in summary.reporters.iter().filter(|one| one.letters > 0).take(LINES_MAX) {
            let doubt = if reporter.verified { "" } else { ", not verified" };
            let name = one_line(&reporter.name);
            printer.line(format_args!("  by {name}: {} reports, {} letters{doubt}", reporter.reports, reporter.letters))?;
        }
    }
    if summary.tls_sessions > 0 || !summary.tls_troubles.is_empty() {
        let failed: u64 = summary.tls_troubles.iter().map(|trouble| trouble.sessions).sum();
        printer.line("")?;
        printer.line(printer.bold(&format!("connections to you with TLS: {}, and {failed} failures", summary.tls_sessions)))?;
        for trouble in summary.tls_troubles.iter().take(LINES_MAX) {
            let (kind, host) = (one_line(&trouble.kind), one_line(&trouble.host));
            printer.line(format_args!("  {} {kind} ({}) at {host}", trouble.sessions, one_line(&trouble.policy)))?;
            printer.line(format_args!("      {}", trouble.advice))?;
        }
        left(summary.tls_troubles.len(), printer)?;
    }
    if !summary.complaints.is_empty() {
        printer.line("")?;
        printer.line(printer.bold(&format!("complaints and failures of single letters: {}", summary.complaints.len())))?;
        for complaint in summary.complaints.iter().take(LINES_MAX) {
            let feedback = &complaint.feedback;
            let source = feedback.source.map(|ip| format!(" from {ip}")).unwrap_or_default();
            let (kind, from, subject) = (one_line(&feedback.kind), one_line(&feedback.mail_from), one_line(&feedback.subject));
            printer.line(format_args!("  {:>5}  {kind}{source}  {from}  {subject}", complaint.id))?;
        }
        left(summary.complaints.len(), printer)?;
    }
    Ok(())
}

/// `192.0.2.7 sends as news.example.org and fails: 12 of 13 letters (SPF 0, DKIM 1), 12 stopped`
fn said(source: &posthouse_reports::Source, printer: &Printer) -> String {
    let failed = source.letters - source.passed;
    let words = format!(
        "{} sends as {}{} (SPF {}, DKIM {}){}",
        source.address,
        one_line(&source.domain),
        if failed > 0 {
            format!(" and fails: {failed} of {} letters", source.letters)
        } else {
            format!(": {} letters", source.letters)
        },
        source.spf,
        source.dkim,
        if source.stopped > 0 { format!(", {} stopped", source.stopped) } else { String::new() },
    );
    format!("  {}", if failed > 0 { printer.red(&words) } else { words })
}

fn left(all: usize, printer: &Printer) -> Result<(), Failure> {
    if all > LINES_MAX { printer.line(format_args!("  and {} more (--json has them)", all - LINES_MAX)) } else { Ok(()) }
}
