//! Libraries that must not be older than where a known hole was closed: `xtask/floors.toml` against `Cargo.lock`.

#[cfg(test)]
mod tests;

use anyhow::Context;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Floors {
    floor: Vec<Floor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Floor {
    #[serde(rename = "crate")]
    name: String,
    min: String,
    why: String,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

/// The packages of the lock file that are below their floor.
pub(super) fn check(floors: &str, lock: &str) -> anyhow::Result<Vec<String>> {
    let (floors, lock): (Floors, Lock) = (toml::from_str(floors)?, toml::from_str(lock)?);
    let mut wrong = Vec::new();
    for Floor { name, min, why } in floors.floor {
        let least = parts(&min)?;
        for package in lock.package.iter().filter(|package| package.name == name) {
            if parts(&package.version)? < least {
                wrong.push(format!("Cargo.lock: {name} {} is below {min}: {why}", package.version));
            }
        }
    }
    Ok(wrong)
}

/// The numbers of a version, and whether it is released: what comes before a release is below it.
fn parts(version: &str) -> anyhow::Result<(Vec<u64>, bool)> {
    let version = version.split('+').next().unwrap_or_default();
    let (numbers, before) = version.split_once('-').map_or((version, None), |(numbers, before)| (numbers, Some(before)));
    let parsed: Result<Vec<u64>, _> = numbers.split('.').map(str::parse).collect();
    Ok((parsed.with_context(|| format!("`{version}` is no version"))?, before.is_none()))
}
