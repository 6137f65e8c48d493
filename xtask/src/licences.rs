//! Banned crates, licences and sources, from the same `deny.toml` that `cargo deny` reads.
//!
//! Reads the list and the tree of `cargo metadata`; changes nothing. Advisories need a database from
//! elsewhere and are left to `cargo deny check advisories`.

#[cfg(test)]
mod tests;

use crate::metadata::{self, Metadata};
use anyhow::bail;
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Deserialize)]
struct Deny {
    bans: Bans,
    licenses: Licenses,
    sources: Sources,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: BTreeSet<String>,
}

/// Fails with every package that the list does not let in.
pub(crate) fn run() -> anyhow::Result<()> {
    let deny: Deny = toml::from_str(&std::fs::read_to_string("deny.toml")?)?;
    let wrong = check(&deny, &metadata::read_built()?);
    if !wrong.is_empty() {
        bail!("{} against deny.toml:\n  {}", wrong.len(), wrong.join("\n  "));
    }
    println!("licences: bans, licences and sources agree with deny.toml");
    Ok(())
}

fn check(deny: &Deny, tree: &Metadata) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in tree.packages.iter().filter(|package| !package.is_ours()) {
        let name = format!("{} {}", package.name, package.version);
        if let Some(ban) = deny.bans.deny.iter().find(|ban| ban.name == package.name) {
            wrong.push(format!("{name} is banned: {}", ban.reason));
        }
        let licence = package.license.as_deref().unwrap_or("none");
        if !Expression::allowed(licence, &deny.licenses.allow) {
            wrong.push(format!("{name} has the licence {licence}"));
        }
        let source = package.source.as_deref().unwrap_or_default();
        let known = source.strip_prefix("registry+").is_some_and(|registry| deny.sources.allow_registry.contains(registry));
        if !known {
            wrong.push(format!("{name} comes from {source}"));
        }
    }
    wrong
}

/// A licence expression of SPDX: names joined by `OR` (also written `/`) and `AND`, with brackets.
struct Expression<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl Expression<'_> {
    fn allowed(text: &str, allow: &BTreeSet<String>) -> bool {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut expression = Expression { words: spaced.split_whitespace().collect(), at: 0 };
        expression.either(allow) && expression.at == expression.words.len()
    }

    fn word(&self) -> &str {
        self.words.get(self.at).copied().unwrap_or_default()
    }

    fn either(&mut self, allow: &BTreeSet<String>) -> bool {
        let mut good = self.both(allow);
        while self.word() == "OR" {
            self.at += 1;
            good |= self.both(allow);
        }
        good
    }

    fn both(&mut self, allow: &BTreeSet<String>) -> bool {
        let mut good = self.one(allow);
        while self.word() == "AND" {
            self.at += 1;
            good &= self.one(allow);
        }
        good
    }

    fn one(&mut self, allow: &BTreeSet<String>) -> bool {
        if self.word() == "(" {
            self.at += 1;
            let good = self.either(allow);
            self.at += 1;
            return good;
        }
        let mut name = self.word().to_owned();
        self.at += 1;
        if self.word() == "WITH" {
            self.at += 1;
            name = format!("{name} WITH {}", self.word());
            self.at += 1;
        }
        allow.contains(&name)
    }
}
