//! The text of a configuration and where it came from.
//!
//! Keeps the text so that a mistake can be shown where it stands; wipes it on drop, because secrets may stand in it.

use std::fmt;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::error::{ConfigError, Mistake};
use crate::{diagnose, document, secret};

/// A configuration is written by hand.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A configuration's text with its name.
pub struct Source {
    name: String,
    directory: PathBuf,
    text: Zeroizing<String>,
    secret_files: Vec<PathBuf>,
}

impl Source {
    /// A text that is already in memory.
    #[must_use]
    pub fn new(text: &str, name: &str) -> Self {
        // TOML allows a byte order mark; spans would count it, carets would not.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { name: name.to_owned(), directory: PathBuf::new(), text: Zeroizing::new(text.to_owned()), secret_files: Vec::new() }
    }

    /// Reads a file of at most 1 MiB.
    ///
    /// # Errors
    /// [`ConfigError::Read`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let read_error = |cause| ConfigError::Read { path: path.to_owned(), cause };
        let mut text = Zeroizing::new(String::new());
        let file = std::fs::File::open(path).map_err(read_error)?;
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(read_error)?;
        if u64::try_from(text.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
            return Err(read_error(io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 1 MiB")));
        }
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { directory, ..Self::new(&text, &path.display().to_string()) })
    }

    /// The directory of the file: relative paths in it are meant from there.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Decodes the text.
    ///
    /// # Errors
    /// The first mistake.
    pub fn decode<T: DeserializeOwned + JsonSchema>(&mut self) -> Result<T, ConfigError> {
        let (decoded, files) = secret::relative_to(&self.directory, || toml::from_str(&self.text));
        self.secret_files = files;
        decoded.map_err(|error| diagnose::mistake(self, &error, &schemars::schema_for!(T)))
    }

    /// The files of secrets that were read when it was decoded: a change of the configuration reads them again.
    #[must_use]
    pub fn secret_files(&self) -> &[PathBuf] {
        &self.secret_files
    }

    /// A mistake that only shows when values are compared: the caret stands at the value with this path, such as
    /// `listener.1.address` (list places count from 0), or at the nearest table around it. `help` says what would be right.
    #[must_use]
    pub fn mistake(&self, path: &str, message: &str, help: &str) -> ConfigError {
        let span = document::span_of(&self.text, path).unwrap_or(0..0);
        self.mistake_at(&span, message, "", vec![help.to_owned()])
    }

    /// A mistake at octets of the text.
    pub(crate) fn mistake_at(&self, span: &Range<usize>, message: &str, label: &str, help: Vec<String>) -> ConfigError {
        let start = floor_char(&self.text, span.start);
        let before = self.text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = self.text.get(line_start..).unwrap_or_default();
        let line = rest.lines().next().unwrap_or_default();
        let from = (start - line_start).min(line.len());
        let to = floor_char(line, span.end.saturating_sub(line_start)).max(from);
        let (quoted, marked) = mask(line, from..to);
        ConfigError::Mistake(Box::new(Mistake {
            file: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: line.get(..from).unwrap_or_default().chars().count() + 1,
            message: one_line(message),
            help: help.iter().filter(|line| !line.is_empty()).map(|line| one_line(line)).collect(),
            label: one_line(label),
            quoted,
            marked,
        }))
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text at a span, if it is short, of one line, and no secret stands on its line.
    pub(crate) fn short(&self, span: &Range<usize>) -> Option<&str> {
        const SHORT: usize = 60;
        let line_start = self.text.get(..span.start)?.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text.get(line_start..)?.lines().next()?;
        if secret_value(line).is_some() || url_password(line).is_some() {
            return None;
        }
        self.text.get(span.clone()).filter(|text| !text.is_empty() && text.len() <= SHORT && !text.contains(char::is_control))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The largest character boundary at or before `at`.
fn floor_char(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0)
}

/// Control characters of the file must not reach a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Hides what stands behind a key that sounds secret, and the password in a URL; moves the marked range along.
fn mask(line: &str, marked: Range<usize>) -> (String, Range<usize>) {
    const MASK: &str = "***";
    let Some(hidden) = secret_value(line).or_else(|| url_password(line)) else { return (one_byte_controls(line), marked) };
    let shift = |at: usize, inside: usize| match at {
        at if at <= hidden.start => at,
        at if at >= hidden.end => at - hidden.len() + MASK.len(),
        _ => inside,
    };
    let marked = shift(marked.start, hidden.start)..shift(marked.end, hidden.start + MASK.len());
    let head = line.get(..hidden.start).unwrap_or_default();
    let tail = line.get(hidden.end..).unwrap_or_default();
    (one_byte_controls(&format!("{head}{MASK}{tail}")), marked)
}

/// Like [`one_line`] without moving any octet; tabs stay, the renderer widens them.
fn one_byte_controls(line: &str) -> String {
    line.chars().map(|c| if c.is_ascii_control() && c != '\t' { '?' } else { c }).collect()
}

/// From behind the `=` to the end of the line, unless a table follows, which names a place and not a secret.
fn secret_value(line: &str) -> Option<Range<usize>> {
    // `pass` for password, passphrase and their misspellings.
    const WORDS: [&str; 5] = ["pass", "pwd", "secret", "token", "credential"];
    let lower = line.to_ascii_lowercase();
    let word = WORDS.iter().filter_map(|word| lower.find(word)).min()?;
    let equals = word + lower.get(word..)?.find('=')?;
    let value = lower.get(equals + 1..)?;
    let start = equals + 1 + (value.len() - value.trim_start().len());
    (!value.trim_start().starts_with('{') && start < line.len()).then_some(start..line.len())
}

/// The password in `scheme://user:password@host`.
fn url_password(line: &str) -> Option<Range<usize>> {
    let authority = line.find("://")? + 3;
    let end = authority + line.get(authority..)?.find('@')?;
    let start = authority + line.get(authority..end)?.find(':')? + 1;
    Some(start..end)
}

#[cfg(test)]
mod tests;
