//! What commands print: text for people, or JSON.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use posthouse_runtime::log::one_line;
use serde::Serialize;

use super::{Exit, Failure};

/// Standard output and standard error in the form that was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
    colour: bool,
}

impl Printer {
    /// Prints JSON, or text: coloured when standard output is a terminal and `NO_COLOR` is not set.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, colour: !json && io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a line of text; nothing when JSON was asked for.
    pub(crate) fn line(&self, text: impl fmt::Display) -> Result<(), Failure> {
        if self.json { Ok(()) } else { write(format_args!("{text}\n")) }
    }

    /// Prints a value as one line of JSON; nothing when text was asked for.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let text = serde_json::to_string(value).map_err(|error| Failure::new(Exit::Software, error))?;
        write(format_args!("{text}\n"))
    }

    /// Prints octets as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        ended(io::stdout().lock().write_all(bytes))
    }

    /// Prints why a command failed, on standard error.
    pub(crate) fn failure(&self, failure: &Failure) {
        let Some(words) = failure.words() else { return };
        let text = if self.json {
            serde_json::json!({ "error": words, "exit": failure.exit() as u8 }).to_string()
        } else {
            format!("posthouse: {}", visible(&words))
        };
        // Nobody may be there to read it; the exit code says it too.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Prints what is probably not meant, on standard error; nothing when JSON was asked for, which has a place of its own for it.
    pub(crate) fn warning(&self, words: &str) {
        if !self.json {
            // Nobody may be there to read it.
            let _ = writeln!(io::stderr().lock(), "posthouse: warning: {}", visible(words));
        }
    }

    /// `text` in bold, on a terminal.
    pub(crate) fn bold(&self, text: &str) -> String {
        self.painted("1", text)
    }

    /// `text` in green, on a terminal.
    pub(crate) fn green(&self, text: &str) -> String {
        self.painted("32", text)
    }

    /// `text` in red, on a terminal.
    pub(crate) fn red(&self, text: &str) -> String {
        self.painted("31", text)
    }

    /// `text` in grey, on a terminal.
    pub(crate) fn dim(&self, text: &str) -> String {
        self.painted("2", text)
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn write(text: fmt::Arguments<'_>) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    ended(out.write_fmt(text).and_then(|()| out.flush()))
}

/// Words that may hold what a stranger wrote, on lines of their own; a tab stays, for what is pointed at below it.
fn visible(words: &str) -> String {
    let line = |line: &str| line.split('\t').map(one_line).collect::<Vec<_>>().join("\t");
    words.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// A reader that went away (`| head`) has seen enough: that ends the command, but is no failure.
fn ended(written: io::Result<()>) -> Result<(), Failure> {
    written.map_err(|error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::silent(Exit::Ok)
        } else {
            Failure::say(Exit::Io, format_args!("standard output: {error}"))
        }
    })
}
