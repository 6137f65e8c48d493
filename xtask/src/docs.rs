//! `cargo xtask docs`: the reference, written by the binary from its own declarations.
//!
//! `posthouse reference PART` prints a page; here each is put in its place, or compared with what is there.

use crate::process;
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::path::Path;

const REFERENCE: &str = "docs/book/reference";

/// What `posthouse reference` is asked for, and the page it becomes.
const PARTS: [(&str, &str); 5] = [
    ("alarms", "alarms.md"),
    ("cli", "cli.md"),
    ("config", "config.md"),
    ("metrics", "metrics.md"),
    ("schema", "posthouse.schema.json"),
];

/// Regenerates the reference; with `check`, only says what differs.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let fresh = process::target().join("reference");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh)?;
    }
    std::fs::create_dir_all(&fresh)?;
    for (part, name) in PARTS {
        let mut write = process::cargo();
        write.args(["run", "--quiet", "--package", "posthouse", "--", "reference", part]);
        std::fs::write(fresh.join(name), process::output(&mut write)?)?;
    }
    let (new, old) = (pages(&fresh)?, pages(Path::new(REFERENCE))?);
    if check {
        return compare(&old, &new);
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        std::fs::remove_file(Path::new(REFERENCE).join(name))?;
    }
    for (name, text) in &new {
        std::fs::write(Path::new(REFERENCE).join(name), text)?;
    }
    println!("docs: {} pages in {REFERENCE}", new.len());
    Ok(())
}

fn compare(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    let differ: Vec<&str> = names.filter(|name| old.get(*name) != new.get(*name)).map(String::as_str).collect();
    if !differ.is_empty() {
        bail!("{REFERENCE}: {} differ from the binary; run `cargo xtask docs`", differ.join(", "));
    }
    println!("docs: {} pages agree with the binary", new.len());
    Ok(())
}

fn pages(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut pages = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))? {
        let entry = entry?;
        pages.insert(entry.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(entry.path())?);
    }
    Ok(pages)
}
