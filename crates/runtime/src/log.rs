//! The log: one line an event on standard error, as text or JSON, or an event of systemd's journal; its level can be changed while the program runs.
//!
//! No event can break a line or send an escape sequence to a terminal: the writer escapes every control character, wherever it
//! came from. Crates that are not ours are heard from `warn` on.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

mod journal;
mod seldom;

use self::journal::Journal;
pub use seldom::Seldom;

/// `[log]`: what is written to standard error.
#[derive(Deserialize, JsonSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The least important events that are written. Can be changed by a reload.
    pub level: Level,
    /// How they are written: `text` for people, `json` for programs (one object a line), `journal` to systemd's journal with a field for each value.
    pub format: Format,
}

/// How important an event is.
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Something of ours failed.
    Error,
    /// Something needs an eye.
    Warn,
    /// What the server does: starts, stops, reloads, refusals.
    #[default]
    Info,
    /// Each step of each connection.
    Debug,
    /// Everything.
    Trace,
}

/// How events are written.
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object.
    Json,
    /// To systemd's journal: each value is a field, such as `POSTHOUSE_LETTER`. Where there is no journal, as `text`.
    Journal,
}

/// A log exists already in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the log has been started already")]
pub struct AlreadyStarted;

/// Changes the running log.
#[derive(Debug, Clone)]
pub struct Handle(reload::Handle<Targets, Registry>);

impl Handle {
    /// Sets the level from now on.
    pub fn set_level(&self, level: Level) {
        // Fails only when the subscriber is gone, and then there is no log to change.
        let _ = self.0.reload(targets(level));
    }
}

/// Starts the log of this process.
///
/// # Errors
/// [`AlreadyStarted`].
pub fn init(settings: &Settings) -> Result<Handle, AlreadyStarted> {
    let (filter, handle) = reload::Layer::new(targets(settings.level));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Stderr);
    let journal = (settings.format == Format::Journal).then(|| Journal::open(Path::new(journal::SOCKET)));
    let missing = match (settings.format, journal) {
        (Format::Journal, Some(Ok(journal))) => registry.with(journal).try_init().map(|()| None),
        (Format::Json, _) => registry.with(layer.json().flatten_event(true)).try_init().map(|()| None),
        (Format::Text | Format::Journal, journal) => registry.with(layer).try_init().map(|()| journal.and_then(Result::err)),
    };
    if let Some(error) = missing.map_err(|_| AlreadyStarted)? {
        tracing::warn!(%error, socket = journal::SOCKET, "there is no journal here; the log goes to standard error");
    }
    Ok(Handle(handle))
}

/// A text without control characters, line and paragraph separators: they are written as `\r`, `\n`, `\u{1b}`.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(breaks_line) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if breaks_line(c) { clean.extend(c.escape_default()) } else { clean.push(c) }
    }
    Cow::Owned(clean)
}

/// Controls (C0, DEL, C1), what some programs take for line ends, and what reorders text on a screen.
fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn targets(level: Level) -> Targets {
    let ours = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(ours.min(LevelFilter::WARN)).with_target("posthouse", ours)
}

/// Standard error, an event a time: what comes in one write is made one line.
struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = OneLine<io::StderrLock<'static>>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLine(io::stderr().lock())
    }
}

/// Makes each write one line.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = one_line(text.strip_suffix('\n').unwrap_or(&text));
        self.0.write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests;
