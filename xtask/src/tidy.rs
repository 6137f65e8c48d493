//! The rules a machine can check: edges between crates, sizes, banned calls, words, an opening `//!`.
//!
//! Reads what git knows; changes nothing but the ratchet, and that only with `--shrink`. Every breach is listed
//! at once.

mod claims;
mod edges;
mod examples;
mod floors;
mod ratchet;
mod text;

use crate::{metadata, process};
use anyhow::bail;
use serde::Deserialize;
use std::process::Command;

/// `xtask/tidy.toml`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Rules {
    file_lines_max: usize,
    function_lines_max: usize,
    forbidden_words: Vec<String>,
    ban: Vec<Ban>,
}

/// A text that stands only in some places.
#[derive(Deserialize)]
struct Ban {
    text: String,
    /// Prefixes of paths.
    allowed: Vec<String>,
    why: String,
    /// Whether tests are bound by it too.
    #[serde(default = "yes")]
    tests: bool,
}

fn yes() -> bool {
    true
}

/// One file that git knows or would know.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/") || self.path.contains("/benches/")
    }
}

/// Checks everything; with `shrink`, lowers the ratchet to what is there.
pub(crate) fn run(shrink: bool) -> anyhow::Result<()> {
    let rules: Rules = toml::from_str(&std::fs::read_to_string("xtask/tidy.toml")?)?;
    let sources = sources()?;
    let mut wrong = edges::check(&metadata::read()?)?;
    wrong.extend(ratchet::check(&rules, &sources, shrink)?);
    wrong.extend(text::check(&rules, &sources, &place()));
    wrong.extend(claims::check(&sources)?);
    wrong.extend(examples::check(&sources));
    wrong.extend(floors::check(&std::fs::read_to_string("xtask/floors.toml")?, &std::fs::read_to_string("Cargo.lock")?)?);
    if !wrong.is_empty() {
        bail!("{} to tidy:\n  {}", wrong.len(), wrong.join("\n  "));
    }
    println!("tidy: {} files", sources.len());
    Ok(())
}

/// Where this checkout stands: a file that names it was written for one machine.
fn place() -> Option<String> {
    process::root().to_str().map(|root| format!("{root}/"))
}

fn sources() -> anyhow::Result<Vec<Source>> {
    let list = process::output(Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))?;
    let mut sources = Vec::new();
    for path in list.split('\0').filter(|path| !path.is_empty()) {
        // Not UTF-8: a corpus or a picture. Not there: removed, and not yet committed.
        if let Ok(text) = std::fs::read_to_string(path) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}
