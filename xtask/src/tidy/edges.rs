//! The one-way edges between the crates, against `xtask/edges.toml`.

#[cfg(test)]
mod tests;

use crate::metadata::{Dependency, Metadata, Package};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Edges {
    crates: BTreeMap<String, MayUse>,
    dev: BTreeMap<String, MayUse>,
    owners: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MayUse {
    These(Vec<String>),
    All(All),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum All {
    All,
}

impl MayUse {
    fn holds(&self, name: &str) -> bool {
        match self {
            MayUse::These(names) => names.iter().any(|known| known == name),
            MayUse::All(All::All) => true,
        }
    }
}

/// Every edge that the table does not have.
pub(super) fn check(tree: &Metadata) -> anyhow::Result<Vec<String>> {
    let edges: Edges = toml::from_str(&std::fs::read_to_string("xtask/edges.toml")?)?;
    Ok(breaches(&edges, tree))
}

fn breaches(edges: &Edges, tree: &Metadata) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in tree.packages.iter().filter(|package| package.is_ours()) {
        let name = short(&package.name);
        if name != "xtask" && !edges.crates.contains_key(name) {
            wrong.push(format!("xtask/edges.toml: no line for the crate {name}"));
        }
        wrong.extend(package.dependencies.iter().filter_map(|dependency| breach(edges, package, dependency)));
    }
    wrong
}

fn breach(edges: &Edges, package: &Package, dependency: &Dependency) -> Option<String> {
    let (from, to) = (short(&package.name), short(&dependency.name));
    let dev = dependency.kind.as_deref() == Some("dev");
    if !dependency.name.starts_with("posthouse-") {
        let owners = edges.owners.get(to)?;
        let good = dev || owners.iter().any(|owner| owner == from);
        return (!good).then(|| format!("{from} → {to}: only {} may name it", owners.join(", ")));
    }
    let listed = |table: &BTreeMap<String, MayUse>, row: &str| table.get(row).is_some_and(|may| may.holds(to));
    let good = listed(&edges.crates, from) || dev && (listed(&edges.dev, "all") || listed(&edges.dev, from));
    (!good).then(|| format!("{from} → {to}: this edge is not in xtask/edges.toml"))
}

fn short(package: &str) -> &str {
    match package.strip_prefix("posthouse-") {
        Some(name) => name,
        None if package == "posthouse" => "server",
        None => package,
    }
}
