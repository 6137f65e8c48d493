//! Sizes of files and functions, with a list of exceptions that may only shrink.
//!
//! A function is measured as clippy does: lines of code between its braces, comments and empty lines aside.

#[cfg(test)]
mod tests;

use super::{Rules, Source};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const RATCHET: &str = "xtask/ratchet.toml";
const HEAD: &str =
    "# Files and functions over the sizes of tidy.toml. A line may go or get smaller: `cargo xtask tidy --shrink`.\n\n";

#[derive(Default, Serialize, Deserialize)]
struct Ratchet {
    files: BTreeMap<String, usize>,
    functions: BTreeMap<String, usize>,
}

/// What is too large and not listed, what has grown, and what is listed and no longer so large.
pub(super) fn check(rules: &Rules, sources: &[Source], shrink: bool) -> anyhow::Result<Vec<String>> {
    let listed: Ratchet = toml::from_str(&std::fs::read_to_string(RATCHET)?)?;
    let found = measure(rules, sources)?;
    let files = compare("lines", &listed.files, &found.files, rules.file_lines_max);
    let functions = compare("lines in the function", &listed.functions, &found.functions, rules.function_lines_max);
    if !shrink {
        return Ok([files.grown, files.loose, functions.grown, functions.loose].concat());
    }
    let next = Ratchet { files: files.next, functions: functions.next };
    std::fs::write(RATCHET, format!("{HEAD}{}", toml::to_string(&next)?))?;
    Ok([files.grown, functions.grown].concat())
}

struct Compared {
    grown: Vec<String>,
    loose: Vec<String>,
    next: BTreeMap<String, usize>,
}

fn compare(what: &str, listed: &BTreeMap<String, usize>, found: &BTreeMap<String, usize>, max: usize) -> Compared {
    let mut compared = Compared { grown: Vec::new(), loose: Vec::new(), next: BTreeMap::new() };
    for (name, &size) in found {
        match listed.get(name) {
            Some(&allowed) if size <= allowed => drop(compared.next.insert(name.clone(), size)),
            Some(allowed) => compared.grown.push(format!("{name}: {size} {what}, was {allowed}")),
            None => compared.grown.push(format!("{name}: {size} {what}, at most {max}")),
        }
    }
    for (name, &allowed) in listed {
        if found.get(name).is_none_or(|&size| size < allowed) {
            compared.loose.push(format!("{name}: smaller than {RATCHET} says; run `cargo xtask tidy --shrink`"));
        }
    }
    compared
}

fn measure(rules: &Rules, sources: &[Source]) -> anyhow::Result<Ratchet> {
    let mut found = Ratchet::default();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let lines: Vec<&str> = source.text.lines().collect();
        if lines.len() > rules.file_lines_max {
            found.files.insert(source.path.clone(), lines.len());
        }
        let tree = syn::parse_file(&source.text).with_context(|| format!("{} is not Rust", source.path))?;
        let mut functions =
            Functions { path: &source.path, lines: &lines, max: rules.function_lines_max, large: BTreeMap::new() };
        functions.visit_file(&tree);
        found.functions.append(&mut functions.large);
    }
    Ok(found)
}

struct Functions<'a> {
    path: &'a str,
    lines: &'a [&'a str],
    max: usize,
    large: BTreeMap<String, usize>,
}

impl Functions<'_> {
    fn one(&mut self, name: &syn::Ident, body: &syn::Block) {
        let (first, last) = (body.span().start().line, body.span().end().line);
        let inner = self.lines.get(first..last.saturating_sub(1)).unwrap_or_default();
        let code = inner.iter().map(|line| line.trim()).filter(|line| !line.is_empty() && !line.starts_with("//")).count();
        if code > self.max {
            self.large.insert(format!("{}::{name}", self.path), code);
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.one(&item.sig.ident, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.one(&item.sig.ident, &item.block);
        visit::visit_impl_item_fn(self, item);
    }
}
