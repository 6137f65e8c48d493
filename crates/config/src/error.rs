//! The one error of this crate: a file that cannot be read, or a mistake with its place.

use std::fmt;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Why a configuration was not taken. Always the editor's to mend; trying again without a change gives the same.
///
/// [`fmt::Display`] shows the whole picture: message, file, line, caret, help.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read, is longer than 1 MiB, or is not UTF-8.
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A mistake in the text.
    Mistake(Box<Mistake>),
}

/// A mistake and its place. The quoted line has its secrets masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The name of the file as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, in one line.
    pub message: String,
    /// What would be right, or where to look: one entry per line.
    pub help: Vec<String>,
    /// What stands beside the caret.
    pub(crate) label: String,
    /// The quoted line.
    pub(crate) quoted: String,
    /// The octets of the quoted line that the caret marks.
    pub(crate) marked: std::ops::Range<usize>,
}

impl ConfigError {
    /// The picture of [`fmt::Display`], with colour if the reader is a terminal.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        match self {
            Self::Read { path, cause } => format!("error: cannot read the configuration `{}`: {cause}", path.display()),
            Self::Mistake(mistake) => mistake.render(colour),
        }
    }
}

impl Mistake {
    fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let annotation = AnnotationKind::Primary.span(self.marked.clone()).label(self.label.as_str());
        let snippet = Snippet::source(self.quoted.as_str()).line_start(self.line).path(self.file.as_str()).annotation(annotation);
        let group = Level::ERROR.primary_title(self.message.as_str()).element(snippet);
        let help = self.help.iter().map(|line| Level::HELP.message(line.as_str()));
        renderer.render(&[group.elements(help)])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { cause, .. } => Some(cause),
            Self::Mistake(_) => None,
        }
    }
}
