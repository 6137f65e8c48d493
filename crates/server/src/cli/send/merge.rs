//! Many letters from one template: each row of a table makes one.
//!
//! All rows are tried before the first letter is sent, so that a mistake in the last one does not come up when the others are out. Then each is made again when
//! its turn comes: a few letters are in memory at a time, however many rows there are. Who interrupts it waits for the letters that are under way, so that what became
//! of each is known.

mod progress;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use posthouse_client::{ClientError, Message};
use posthouse_mail::UnixMillis;
use posthouse_runtime::select;

use self::progress::Progress;
use super::interrupt::Interrupts;
use super::letter::{LetterArgs, Place};
use super::report::{Report, Sketch};
use super::state::{self, State};
use super::table::{self, Row};
use super::way::{End, Way};
use crate::cli::{Exit, Failure, Printer};

/// How letters are made of a table.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Many letters")]
pub(super) struct MergeArgs {
    /// Send one letter for each row of this table (CSV with names on its first line, .json or .jsonl); {{ name }} in the other arguments stands for the row's value.
    #[arg(long, value_name = "FILE", conflicts_with = "eml")]
    pub(super) merge: Option<PathBuf>,
    /// Remember in this file whose letter was accepted, and do not send it again: the same command takes up a run that was interrupted.
    #[arg(long, value_name = "FILE", requires = "merge")]
    state: Option<PathBuf>,
    /// The connections to send over at a time.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "merge", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) connections: u16,
    /// At most so many letters a second.
    #[arg(long, value_name = "N", requires = "merge", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) rate: Option<u32>,
}

/// The letters to be.
pub(super) struct Letters {
    rows: Vec<Row>,
    template: Template,
}

/// The characters of a template's line that a mistake shows.
const SHOWN_MAX: usize = 80;

/// Arguments with names in them.
struct Template {
    args: LetterArgs,
    user: Option<String>,
    environment: Environment<'static>,
}

impl MergeArgs {
    /// Reads the table and makes every letter once.
    pub(super) fn letters(&self, path: &Path, args: LetterArgs, user: Option<&str>) -> Result<Letters, Failure> {
        let rows = table::read(path)?;
        let template = Template { args, user: user.map(str::to_owned), environment: environment() };
        for (number, row) in rows.iter().enumerate() {
            template.fill(row).map_err(|failure| Failure::say(failure.exit(), format_args!("row {}: {failure}", number + 1)))?;
        }
        Ok(Letters { rows, template })
    }

    /// What was accepted before.
    pub(super) fn state(&self) -> Result<Option<State>, Failure> {
        self.state.as_deref().map(State::open).transpose()
    }
}

impl Letters {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Each in turn. All have been made once, so a mistake now is a file that has changed meanwhile: that letter is left out and told.
    pub(super) fn each(self) -> impl ExactSizeIterator<Item = Result<Message, Failure>> + Send {
        let template = self.template;
        self.rows.into_iter().map(move |row| template.fill(&row))
    }
}

impl Template {
    fn fill(&self, row: &Row) -> Result<Message, Failure> {
        let filled = self.args.filled(&|place, text| {
            let name = if place == Place::Html { "html" } else { "text" };
            self.environment.render_named_str(name, text, row).map_err(|error| mistake(&error, text, row))
        })?;
        filled.compose(self.user.as_deref())
    }
}

/// A mistake in a template, with the line it is in and what could have been meant.
fn mistake(error: &minijinja::Error, text: &str, row: &Row) -> Failure {
    let line = error.line().and_then(|line| text.lines().nth(line.saturating_sub(1))).unwrap_or(text).trim();
    let line: String = line.chars().take(SHOWN_MAX).collect();
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let known = row.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    Failure::say(Exit::Data, format_args!("`{line}`: {what}; the row has: {known}"))
}

/// Values are escaped where they stand in HTML and nowhere else; a name that the row does not have is a mistake, and so is a null that would be printed as a word.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_formatter(|out, state, value| {
        if value.is_none() {
            return Err(minijinja::Error::new(ErrorKind::UndefinedError, "it is null"));
        }
        minijinja::escape_formatter(out, state, value)
    });
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_keep_trailing_newline(true);
    environment.set_auto_escape_callback(|name| if name == "html" { AutoEscape::Html } else { AutoEscape::None });
    environment
}

/// What is known of the letters on their way, to those who make them and to those who hear of them.
#[derive(Default)]
struct Log {
    under_way: HashMap<usize, (String, Sketch)>,
    begun: usize,
    skipped: usize,
    worst: Option<Exit>,
}

/// The letters that are to be sent, each made when its turn comes.
struct ToSend<I> {
    letters: I,
    at: Option<UnixMillis>,
    known: HashSet<String>,
    met: HashMap<String, usize>,
    log: Arc<Mutex<Log>>,
    stop: Arc<AtomicBool>,
    printer: Printer,
}

impl<I: ExactSizeIterator<Item = Result<Message, Failure>>> Iterator for ToSend<I> {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        while !self.stop.load(Ordering::Relaxed) {
            let mut letter = match self.letters.next()? {
                Ok(letter) => letter,
                Err(failure) => {
                    self.printer.failure(&failure);
                    let mut log = locked(&self.log);
                    log.worst = super::report::worse(log.worst, Some(failure.exit()));
                    continue;
                }
            };
            let key = state::key(&letter, &mut self.met);
            let mut log = locked(&self.log);
            if self.known.contains(&key) {
                log.skipped += 1;
                continue;
            }
            letter.envelope_mut().release_at = self.at;
            let number = log.begun;
            log.begun += 1;
            log.under_way.insert(number, (key, Sketch::of(&letter)));
            return Some(letter);
        }
        None
    }

    /// Few letters are not worth many connections.
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.letters.len()))
    }
}

fn locked(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends all, prints each and remembers it; the exit code is that of the worst.
pub(super) async fn send(
    way: &Way,
    letters: Letters,
    at: Option<UnixMillis>,
    mut state: Option<State>,
    printer: &Printer,
) -> Result<(), Failure> {
    let mut interrupts = Interrupts::listen()?;
    let total = letters.len();
    let (log, stop) = (Arc::<Mutex<Log>>::default(), Arc::new(AtomicBool::new(false)));
    let known = state.as_mut().map(State::known).unwrap_or_default();
    let to_send = ToSend {
        letters: letters.each(),
        at,
        known,
        met: HashMap::new(),
        log: Arc::clone(&log),
        stop: Arc::clone(&stop),
        printer: *printer,
    };
    let mut progress = Progress::new(total, printer);
    let mut broken = Ok(());
    let ended = |number, result: Result<End, ClientError>| {
        let mut log = locked(&log);
        let Some((who, sketch)) = log.under_way.remove(&number) else { return };
        let (told, exit) = tell(way, &who, &sketch, &result, printer);
        log.worst = super::report::worse(log.worst, exit);
        let remembered = match (&mut state, &result) {
            (Some(state), Ok(end)) => state.remember(&who, end),
            _ => Ok(()),
        };
        // What cannot be remembered would be sent again.
        stop.fetch_or(remembered.is_err(), Ordering::Relaxed);
        if broken.is_ok() {
            broken = remembered.and(told);
        }
        progress.step(log.skipped);
    };
    let mut sending = Box::pin(way.send_each(to_send, ended));
    let sent = loop {
        select! {
            sent = &mut sending => break sent,
            () = interrupts.next() => {
                if stop.swap(true, Ordering::Relaxed) {
                    return Err(Failure::say(Exit::TempFail, "broken off: what became of the letters under way is not known"));
                }
                printer.failure(&Failure::say(Exit::TempFail, "no more letters are begun; waiting for those under way (once more breaks them off)"));
            }
        }
    };
    drop(sending);
    progress.end(locked(&log).skipped);
    way.close().await;
    sent.and(broken)?;
    let log = locked(&log);
    let done = log.begun + log.skipped;
    if stop.load(Ordering::Relaxed) && done < total {
        let words =
            format!("interrupted: {} of {total} letters are not sent; with --state the same command goes on", total - done);
        return Err(Failure::say(super::report::worse(log.worst, Some(Exit::TempFail)).unwrap_or(Exit::TempFail), words));
    }
    log.worst.map_or(Ok(()), |exit| Err(Failure::silent(exit)))
}

/// Prints what became of a letter.
fn tell(
    way: &Way,
    who: &str,
    sketch: &Sketch,
    result: &Result<End, ClientError>,
    printer: &Printer,
) -> (Result<(), Failure>, Option<Exit>) {
    match result {
        Ok(end) => {
            let report = Report::of(way, sketch, end);
            (report.print(printer), report.exit())
        }
        Err(error) => {
            let failure = super::failure(error);
            printer.failure(&Failure::say(failure.exit(), format_args!("{who}: {failure}")));
            (Ok(()), Some(failure.exit()))
        }
    }
}
