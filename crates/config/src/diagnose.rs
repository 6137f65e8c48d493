//! Turns what the TOML reader says into what the person at the editor needs: the mistake, its place, and what would be right.
//!
//! The reader's sentences are taken apart by their fixed beginnings (serde's `Error` trait words them); a sentence that is not
//! known is passed on as it is, so nothing is lost when a library rewords one.

use std::ops::Range;

use schemars::Schema;
use toml::de::DeTable;

use crate::error::ConfigError;
use crate::schema::Node;
use crate::source::Source;

/// Builds the picture of one error.
pub(crate) fn mistake(source: &Source, error: &toml::de::Error, schema: &Schema) -> ConfigError {
    let span = error.span().unwrap_or(0..0);
    let message = error.message();
    if DeTable::parse(source.text()).is_err() {
        return syntax(source, &span, message);
    }
    let at =
        Place { source, root: Node::root(schema.as_value()), path: crate::document::path_at(source.text(), span.start), span };
    if let Some((key, known)) = unknown(message, "unknown field `") {
        return at.unknown_key(key, &known);
    }
    if let Some((word, known)) = unknown(message, "unknown variant `") {
        return at.unknown_word(word, &known);
    }
    if let Some(key) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return at.missing(key);
    }
    let invalid = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((found, expected)) = invalid.and_then(|rest| rest.split_once(", expected ")) {
        return at.wrong_type(found, expected);
    }
    at.other(message)
}

fn syntax(source: &Source, span: &Range<usize>, message: &str) -> ConfigError {
    let mut lines = message.lines();
    let first = lines.next().unwrap_or("it cannot be read");
    let there = source.short(span).unwrap_or_default();
    if first == "duplicate key" {
        let help = "keep one of the two; all settings of a table stand under one `[name]`".to_owned();
        let message = if there.is_empty() { "a setting is given twice".to_owned() } else { format!("`{there}` is given twice") };
        return source.mistake_at(span, &message, "the second time", vec![help]);
    }
    let mut help: Vec<String> = lines.map(str::to_owned).collect();
    help.push(match first {
        _ if first.contains("must be quoted") && !there.is_empty() => format!("write \"{there}\""),
        _ if first.contains("basic string, expected `\"`") => "close the text with a \" on the same line".to_owned(),
        _ => "a setting is `key = value`, a table begins with `[name]`, text stands in \"quotes\"".to_owned(),
    });
    source.mistake_at(span, &format!("this is not TOML: {first}"), "", help)
}

/// Splits ``unknown field `x`, expected one of `a`, `b` `` into the word and the known ones.
fn unknown<'m>(message: &'m str, beginning: &str) -> Option<(&'m str, Vec<&'m str>)> {
    let (word, rest) = message.strip_prefix(beginning)?.split_once('`')?;
    Some((word, rest.split('`').skip(1).step_by(2).collect()))
}

struct Place<'a> {
    source: &'a Source,
    root: Node<'a>,
    path: Vec<String>,
    span: Range<usize>,
}

impl Place<'_> {
    fn unknown_key(&self, key: &str, known: &[&str]) -> ConfigError {
        let table = self.path.iter().rev().skip(1).rev().filter(|step| step.parse::<usize>().is_err());
        let table = table.cloned().collect::<Vec<_>>().join(".");
        let message = match table.as_str() {
            "" => format!("`{key}` is not a setting"),
            table => format!("`{key}` is not a setting of `{table}`"),
        };
        let elsewhere = self.root.tables_with(key);
        let mut help = Vec::new();
        match (nearest(key, known), elsewhere.first().map(String::as_str)) {
            (Some(near), _) => help.push(format!("did you mean `{near}`?")),
            (None, Some("")) => help.push(format!("`{key}` belongs at the top, above the first `[table]`")),
            (None, Some(table)) => help.push(format!("`{key}` is a setting of `{table}`")),
            (None, None) => {}
        }
        if !known.is_empty() {
            let list = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            help.push(format!("known here: {list}"));
        }
        self.source.mistake_at(&self.span, &message, "unknown key", help)
    }

    fn unknown_word(&self, word: &str, known: &[&str]) -> ConfigError {
        let mut help: Vec<String> = nearest(word, known).map(|near| format!("did you mean \"{near}\"?")).into_iter().collect();
        let list = known.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        help.push(format!("it is one of {list}"));
        self.source.mistake_at(&self.span, &format!("`{}` cannot be \"{word}\"", self.name()), "unknown word", help)
    }

    fn missing(mut self, key: &str) -> ConfigError {
        // The place is where the table begins, which may be where its first entry begins, too.
        let mut node = None;
        while node.is_none() {
            node = self.root.at(&self.path).and_then(|node| node.child(key));
            if node.is_none() && self.path.pop().is_none() {
                break;
            }
        }
        let mut help = Vec::new();
        match node {
            Some(node) if node.table_in_list().is_some() => help.push(format!("add at least one `[[{key}]]`")),
            Some(node) => help.extend(node.example().map(|example| format!("add `{key} = {example}`"))),
            None => {}
        }
        help.extend(node.and_then(|node| node.description()).map(|text| format!("{key}: {}", first_sentence(text))));
        match self.name().as_str() {
            "" => {
                let message = format!("the setting `{key}` is missing");
                self.source.mistake_at(&(0..0), &message, &format!("needs `{key}` above the first `[table]`"), help)
            }
            table => {
                let message = format!("the setting `{key}` is missing in `{table}`");
                self.source.mistake_at(&self.span, &message, &format!("needs `{key}`"), help)
            }
        }
    }

    fn wrong_type(&self, found: &str, expected: &str) -> ConfigError {
        let node = self.root.at(&self.path);
        // Texts are not repeated: one may be a secret in the wrong place.
        let found = match found.split([' ', '`']).next() {
            Some("string") => "text",
            Some("sequence") => "a list",
            Some("map") => "a table",
            _ => self.source.short(&self.span).unwrap_or("this"),
        };
        let wanted = node.map_or_else(|| expected.to_owned(), |node| node.kind());
        let message = format!("`{}` cannot be {found}", self.name());
        self.source.mistake_at(&self.span, &message, &format!("expected: {wanted}"), self.right_value(node))
    }

    fn other(&self, message: &str) -> ConfigError {
        let node = self.root.at(&self.path).filter(|node| !node.is_table());
        let message = match message {
            "invalid socket address syntax" => "this is not an IP address with a port, such as \"192.0.2.1:25\"",
            "invalid IP address syntax" => "this is not an IP address, such as \"192.0.2.1\"",
            message => message,
        };
        // The units and secrets say themselves what would be right.
        let said = message.contains("such as") || node.is_some_and(|node| node.is_secret());
        let help = if said { Vec::new() } else { self.right_value(node) };
        let name = self.name();
        let message = if name.is_empty() { message.to_owned() } else { format!("`{name}`: {message}") };
        self.source.mistake_at(&self.span, &message, "", help)
    }

    fn right_value(&self, node: Option<Node<'_>>) -> Vec<String> {
        let Some(node) = node else { return Vec::new() };
        let in_list = self.path.last().is_some_and(|step| step.parse::<usize>().is_ok());
        let key = self.path.iter().rev().find(|step| step.parse::<usize>().is_err());
        let mut help = Vec::new();
        if node.table_in_list().is_some() {
            help.push(format!("write `[[{}]]`, once for each", self.name()));
        }
        match (key, self.mended(node).or_else(|| node.example())) {
            (Some(_), Some(value)) if in_list => help.push(format!("an entry is written {value}")),
            (Some(key), Some(value)) => help.push(format!("write `{key} = {value}`")),
            _ => {}
        }
        help.extend(node.description().map(first_sentence));
        help
    }

    /// What was written, brought into the right form, where it is plain what was meant.
    fn mended(&self, node: Node<'_>) -> Option<String> {
        let there = self.source.short(&self.span)?;
        let inside = there.trim_matches('"');
        match node.json_type()? {
            "array" if node.table_in_list().is_none() && !there.starts_with(['[', '{']) => Some(format!("[{there}]")),
            "integer" if inside != there => inside.parse::<u64>().ok().map(|number| number.to_string()),
            "boolean" => match inside.to_ascii_lowercase().as_str() {
                "yes" | "on" | "1" | "true" => Some("true".to_owned()),
                "no" | "off" | "0" | "false" => Some("false".to_owned()),
                _ => None,
            },
            _ => None,
        }
    }

    /// The dotted path without list places.
    fn name(&self) -> String {
        self.path.iter().filter(|step| step.parse::<usize>().is_err()).cloned().collect::<Vec<_>>().join(".")
    }
}

/// The known word that was most likely meant: the same but for case and underscores, or a few keystrokes away.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let word = plain(word);
    // More than every third letter wrong is another word.
    let strokes_max = (word.chars().count() / 3).max(1);
    let scored = known.iter().map(|&known| (strsim::osa_distance(&word, &plain(known)), known));
    scored.filter(|&(strokes, _)| strokes <= strokes_max).min_by_key(|&(strokes, _)| strokes).map(|(_, known)| known)
}

fn first_sentence(text: &str) -> String {
    let text = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    text.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests;
