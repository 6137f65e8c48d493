//! What `cargo metadata` knows of the workspace, as far as the chores need it.

use crate::process;
use serde::Deserialize;
use std::collections::BTreeSet;

const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// The workspace and everything it depends on, on the platforms we build for.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

/// One package of the tree.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// Where it comes from; none: this repository.
    pub(crate) source: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One declared dependency.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// none: a normal one; else "dev" or "build".
    pub(crate) kind: Option<String>,
}

impl Package {
    /// Whether it lives in this repository.
    pub(crate) fn is_ours(&self) -> bool {
        self.source.is_none()
    }
}

/// Only what is really built: `cargo metadata` lists optional crates too that no feature turns on.
pub(crate) fn read_built() -> anyhow::Result<Metadata> {
    let words = ["tree", "--workspace", "--target", PLATFORM, "--edges", "all", "--prefix", "none", "--format", "{p}"];
    let list = process::output(process::cargo().args(words))?;
    let built: BTreeSet<(&str, &str)> = list.lines().filter_map(name_and_version).collect();
    let mut tree = read()?;
    tree.packages.retain(|package| built.contains(&(package.name.as_str(), package.version.as_str())));
    Ok(tree)
}

/// From `bytes v1.12.2 (proc-macro) (*)`.
fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split(' ');
    Some((words.next()?, words.next()?.strip_prefix('v')?))
}

/// Reads everything that is declared.
pub(crate) fn read() -> anyhow::Result<Metadata> {
    let text = process::output(process::cargo().args(["metadata", "--format-version", "1", "--filter-platform", PLATFORM]))?;
    Ok(serde_json::from_str(&text)?)
}
