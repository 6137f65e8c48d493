//! The client library teaches: whatever it offers stands in an example that is compiled with the tests.
//!
//! An example counts where somebody looks for it: at the item itself, at its `impl` block, at its type, or at the module that is about it. At any place but the
//! first it has to name the item.

#[cfg(test)]
mod tests;

use super::Source;
use std::collections::{BTreeMap, BTreeSet};

/// The crates whose items are for programmers of other projects.
const CRATES: [&str; 1] = ["crates/client/src/"];

/// Items without an example.
pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let ours =
        |source: &&Source| CRATES.iter().any(|folder| source.path.starts_with(folder)) && source.is_rust() && !source.is_test();
    let modules: BTreeMap<&str, BTreeSet<&str>> =
        sources.iter().filter(ours).map(|source| (source.path.as_str(), words(&opening(&source.text)))).collect();
    let mut wrong = Vec::new();
    for source in sources.iter().filter(ours) {
        let parent = source.path.rsplit_once('/').map(|(folder, _)| format!("{folder}.rs")).unwrap_or_default();
        let about: BTreeSet<&str> =
            [source.path.as_str(), &parent].iter().filter_map(|path| modules.get(path)).flatten().copied().collect();
        let missing = items(&source.text).into_iter().filter(|(_, name, is_shown)| !is_shown && !about.contains(name));
        wrong.extend(missing.map(|(line, name, _)| format!("{}:{line}: `{name}` has no example", source.path)));
    }
    wrong
}

/// The lines that say what a file is about.
fn opening(text: &str) -> Vec<&str> {
    text.lines().map_while(|line| line.strip_prefix("//!")).collect()
}

/// The words of the examples in documentation.
fn words<'a>(documentation: &[&'a str]) -> BTreeSet<&'a str> {
    let mut inside = false;
    let code = documentation.iter().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        inside && !is_fence
    });
    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).collect()
}

/// Public items: the line, the name, and whether an example at the item, its `impl` block or its type shows it.
fn items(text: &str) -> Vec<(usize, &str, bool)> {
    let mut of_types: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut found: Vec<(usize, &str, &str, bool)> = Vec::new();
    let (mut documentation, mut owner): (Vec<&str>, Option<&str>) = (Vec::new(), None);
    for (number, line) in text.lines().enumerate() {
        let told = line.trim_start();
        if let Some(doc) = told.strip_prefix("///") {
            documentation.push(doc);
            continue;
        }
        // Attributes may have several lines.
        if told.starts_with("#[") || told.starts_with("//") || told.starts_with(")]") {
            continue;
        }
        let shown = words(&documentation);
        documentation.clear();
        if line == "}" {
            owner = None;
        } else if let Some(rest) = line.strip_prefix("impl ") {
            owner = rest.split([' ', '<', '{']).next();
            of_types.entry(owner.unwrap_or_default()).or_default().extend(shown);
        } else if let Some((is_function, name)) = item(told) {
            if !is_function && owner.is_none() {
                of_types.entry(name).or_default().extend(&shown);
            }
            found.push((number + 1, name, owner.unwrap_or(name), !shown.is_empty()));
        }
    }
    let named = |owner: &str, name: &str| of_types.get(owner).is_some_and(|shown| shown.contains(name));
    found.into_iter().map(|(line, name, owner, own)| (line, name, own || named(owner, name))).collect()
}

/// What a line makes public: whether it is a function, and the name.
fn item(line: &str) -> Option<(bool, &str)> {
    let mut words = line.strip_prefix("pub ")?.split(|c: char| !c.is_alphanumeric() && c != '_');
    loop {
        match words.next()? {
            "async" | "const" if line.contains(" fn ") => {}
            kind @ ("fn" | "struct" | "enum" | "trait" | "type" | "const") => return Some((kind == "fn", words.next()?)),
            _ => return None,
        }
    }
}
