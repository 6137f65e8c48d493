//! What the documents claim: a test that proves something exists, and code that implements a standard is where it is said to be.

#[cfg(test)]
mod tests;

use super::Source;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

const THREATS: &str = "docs/design/threats.md";
const STANDARDS: &str = "docs/rfc/index.toml";

#[derive(Deserialize)]
struct Standards {
    rfc: BTreeMap<String, Standard>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Standard {
    #[expect(dead_code, reason = "only that each has one is checked")]
    title: String,
    state: State,
    #[serde(default, rename = "where")]
    places: Vec<String>,
    #[expect(dead_code, reason = "for people")]
    note: Option<String>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum State {
    Yes,
    Partial,
    No,
}

/// Claims that nothing stands behind.
pub(super) fn check(sources: &[Source]) -> anyhow::Result<Vec<String>> {
    let text = |path: &str| sources.iter().find(|source| source.path == path).map_or("", |source| source.text.as_str());
    let mut wrong = threats(text(THREATS), &tests(sources));
    let standards: Standards = toml::from_str(text(STANDARDS))?;
    for (number, standard) in standards.rfc {
        if (standard.state == State::No) != standard.places.is_empty() {
            wrong.push(format!("{STANDARDS}: RFC {number}: a standard that is there is somewhere, any other is nowhere"));
        }
        let lost =
            standard.places.into_iter().filter(|place| !sources.iter().any(|source| source.path.starts_with(place.as_str())));
        wrong.extend(lost.map(|place| format!("{STANDARDS}: RFC {number}: there is no {place}")));
    }
    Ok(wrong)
}

/// The names of functions that tests could be.
fn tests(sources: &[Source]) -> BTreeSet<&str> {
    let lines = sources.iter().filter(|source| source.is_rust()).flat_map(|source| source.text.lines());
    lines.filter_map(|line| line.trim().strip_prefix("fn ")?.split(['(', '<']).next()).collect()
}

/// In a row of the table, each word in backquotes that looks like the name of a test is one; and each row has one, or says that it does not apply.
fn threats(table: &str, tests: &BTreeSet<&str>) -> Vec<String> {
    let rows = table.lines().enumerate().filter(|(_, line)| line.starts_with("| "));
    let mut wrong = Vec::new();
    for (number, line) in rows {
        let quoted = line.split('`').skip(1).step_by(2);
        let names = quoted.filter(|word| {
            word.contains('_') && word.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
        });
        let mut names = names.peekable();
        let is_row = line.strip_prefix("| ").is_some_and(|rest| rest.starts_with(|char: char| char.is_ascii_digit()));
        if is_row && names.peek().is_none() && !line.contains("applicable") {
            wrong.push(format!("{THREATS}:{}: no test proves it", number + 1));
        }
        wrong.extend(
            names.filter(|name| !tests.contains(name)).map(|name| format!("{THREATS}:{}: there is no test {name}", number + 1)),
        );
    }
    wrong
}
