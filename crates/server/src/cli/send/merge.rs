//! Many letters from one template: each row of a table makes one.
//!
//! All rows are tried before the first letter is sent, so that a mistake in the last one does not come up when the others are out.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use posthouse_client::{ClientError, Message};
use posthouse_mail::UnixMillis;
use posthouse_runtime::clock;

use super::letter::{LetterArgs, Place};
use super::report::{Report, Sketch};
use super::state::{State, key};
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
    /// Remember in this file whose letter was accepted, and do not send it again.
    #[arg(long, value_name = "FILE", requires = "merge")]
    state: Option<PathBuf>,
    /// The connections to send over at a time.
    #[arg(long, value_name = "N", default_value_t = 4, requires = "merge")]
    pub(super) connections: usize,
    /// At most so many letters a second.
    #[arg(long, value_name = "N", requires = "merge")]
    pub(super) rate: Option<u32>,
}

/// The letters to be.
pub(super) struct Letters {
    rows: Vec<Row>,
    template: Template,
}

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
    pub(super) fn each(self) -> impl Iterator<Item = Result<Message, Failure>> + Send {
        let template = self.template;
        self.rows.into_iter().map(move |row| template.fill(&row))
    }
}

impl Template {
    fn fill(&self, row: &Row) -> Result<Message, Failure> {
        let filled = self.args.filled(&|place, text| {
            let name = if place == Place::Html { "html" } else { "text" };
            let words = self.environment.render_named_str(name, text, row);
            words.map_err(|error| Failure::say(Exit::Data, format_args!("{error:#}")))
        })?;
        filled.compose(self.user.as_deref())
    }
}

/// Values are escaped where they stand in HTML and nowhere else; a name that the row does not have is a mistake.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_keep_trailing_newline(true);
    environment.set_auto_escape_callback(|name| if name == "html" { AutoEscape::Html } else { AutoEscape::None });
    environment
}

/// Sends all, prints each and remembers it; the exit code is that of the worst.
pub(super) async fn send(
    way: &Way,
    letters: Letters,
    at: Option<UnixMillis>,
    mut state: Option<State>,
    printer: &Printer,
) -> Result<(), Failure> {
    let mut progress = Progress::new(letters.len(), printer);
    let mut ready = Vec::new();
    let mut worst = None;
    for letter in letters.each() {
        match letter {
            Ok(letter) if state.as_ref().is_some_and(|state| state.knows(&letter)) => progress.skipped += 1,
            Ok(mut letter) => {
                letter.envelope_mut().release_at = at;
                ready.push(letter);
            }
            Err(failure) => {
                printer.failure(&failure);
                worst = worst.or(Some(failure.exit()));
            }
        }
    }
    let about: Vec<(String, Sketch)> = ready.iter().map(|letter| (key(letter), Sketch::of(letter))).collect();
    let mut broken = Ok(());
    let sent = way
        .send_each(ready, |number, result: Result<End, ClientError>| {
            let Some((who, sketch)) = about.get(number) else { return };
            let told = match result {
                Ok(end) => {
                    let remembered = state.as_mut().map_or(Ok(()), |state| match &end {
                        End::Answered(report) => state.remember(who, report),
                        End::Kept => state.kept(who),
                    });
                    let report = Report::of(way, sketch, &end);
                    worst = super::report::worse(worst, report.exit());
                    remembered.and_then(|()| report.print(printer))
                }
                Err(error) => {
                    let failure = super::failure(&error);
                    worst = super::report::worse(worst, Some(failure.exit()));
                    printer.failure(&Failure::say(failure.exit(), format_args!("{who}: {failure}")));
                    Ok(())
                }
            };
            if broken.is_ok() {
                broken = told;
            }
            progress.step();
        })
        .await;
    way.close().await;
    progress.end();
    sent.and(broken)?;
    worst.map_or(Ok(()), |exit| Err(Failure::silent(exit)))
}

/// A line on the terminal that says how far it is.
struct Progress {
    shown: bool,
    total: usize,
    done: usize,
    skipped: usize,
    begun: std::time::Instant,
}

impl Progress {
    fn new(total: usize, printer: &Printer) -> Self {
        // Where the results go to the terminal too, they are progress enough.
        let shown = io::stderr().is_terminal() && (printer.is_json() || !io::stdout().is_terminal());
        Self { shown, total, done: 0, skipped: 0, begun: clock::now() }
    }

    fn step(&mut self) {
        self.done += 1;
        if self.shown {
            let seconds = clock::now().duration_since(self.begun).as_secs_f64().max(0.001);
            let left = self.total.saturating_sub(self.done + self.skipped);
            let rate = f64::from(u32::try_from(self.done).unwrap_or(u32::MAX)) / seconds;
            let eta = f64::from(u32::try_from(left).unwrap_or(u32::MAX)) / rate;
            // Nobody may be there to read it.
            let _ = write!(
                io::stderr(),
                "\r{} of {}, {rate:.0} a second, {eta:.0} s left \x1b[K",
                self.done + self.skipped,
                self.total
            );
        }
    }

    fn end(&self) {
        if self.shown {
            let _ = writeln!(io::stderr(), "\r{} sent, {} sent before \x1b[K", self.done, self.skipped);
        }
    }
}
