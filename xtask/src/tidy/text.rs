//! Banned calls, forbidden words, and the `//!` that opens a module.

#[cfg(test)]
mod tests;

use super::{Ban, Rules, Source};

/// This file lists the words, so it has them.
const LIST: &str = "xtask/tidy.toml";

/// Every line that says what it must not, and every module without its opening.
pub(super) fn check(rules: &Rules, sources: &[Source], place: &Option<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|source| source.path != LIST) {
        wrong.extend(words(rules, source, place));
        if source.is_rust() {
            let bans = rules.ban.iter().filter(|ban| binds(ban, source));
            wrong.extend(bans.flat_map(|ban| calls(ban, source)));
            wrong.extend(opening(source));
        }
    }
    wrong
}

fn binds(ban: &Ban, source: &Source) -> bool {
    let free = ban.allowed.iter().any(|prefix| source.path.starts_with(prefix));
    !free && (ban.tests || !source.is_test())
}

fn calls(ban: &Ban, source: &Source) -> Vec<String> {
    let code = source.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let found = code.filter(|(_, line)| line.match_indices(&ban.text).any(|(at, _)| starts_a_path(line, at)));
    found.map(|(number, _)| format!("{}:{}: `{}`: {}", source.path, number + 1, ban.text, ban.why)).collect()
}

/// `tokio::` is banned, `not_tokio::` is something else.
fn starts_a_path(line: &str, at: usize) -> bool {
    let before = line.get(..at).and_then(|before| before.chars().next_back());
    !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
}

fn words(rules: &Rules, source: &Source, place: &Option<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for word in rules.forbidden_words.iter().chain(place) {
        let lines = source.text.lines().enumerate().filter(|(_, line)| line.contains(word.as_str()));
        wrong.extend(lines.map(|(number, _)| format!("{}:{}: the word `{word}` stands in no file", source.path, number + 1)));
    }
    wrong
}

fn opening(source: &Source) -> Option<String> {
    // Tests that stand beside the code are described by their names.
    let exempt = source.path.ends_with("/tests.rs") || source.path.ends_with("build.rs") || source.text.starts_with("//!");
    (!exempt).then(|| format!("{}:1: a module opens with `//!`", source.path))
}
