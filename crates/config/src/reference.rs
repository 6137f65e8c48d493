//! The reference manual of the settings, written from their schema.

use std::fmt::Write as _;

use schemars::JsonSchema;

use crate::schema::{Node, to_toml};

/// Markdown: one section for the top of the file, one for each table, each with a table of key, type, default and meaning.
#[must_use]
pub fn markdown<T: JsonSchema>() -> String {
    let schema = schemars::schema_for!(T);
    let mut out = String::new();
    section(&mut out, "", Node::root(schema.as_value()));
    out
}

/// The JSON schema, for editors that complete and check TOML.
#[must_use]
pub fn json_schema<T: JsonSchema>() -> String {
    let schema = schemars::schema_for!(T);
    // A JSON value is always written as JSON.
    let mut text = serde_json::to_string_pretty(schema.as_value()).unwrap_or_default();
    text.push('\n');
    text
}

fn section(out: &mut String, title: &str, node: Node<'_>) {
    // Writing to a String cannot fail.
    if !title.is_empty() {
        let _ = writeln!(out, "\n## `{title}`\n");
    }
    if let Some(text) = node.description() {
        let _ = writeln!(out, "{text}\n");
    }
    let mut rows = Vec::new();
    let mut tables = Vec::new();
    let inner = title.trim_matches(['[', ']']);
    for (key, below) in node.properties() {
        let path = if inner.is_empty() { key.to_owned() } else { format!("{inner}.{key}") };
        match below.table_in_list() {
            Some(table) => tables.push((format!("[[{path}]]"), table)),
            None if below.is_table() => tables.push((format!("[{path}]"), below)),
            None => rows.push(row(key, below)),
        }
    }
    if !rows.is_empty() {
        let _ = writeln!(out, "| Key | Type | Default | Meaning |\n|---|---|---|---|");
        rows.iter().for_each(|row| out.push_str(row));
    }
    for (title, table) in tables {
        section(out, &title, table);
    }
}

fn row(key: &str, node: Node<'_>) -> String {
    let words = node.words();
    let kind = if words.is_empty() {
        node.kind()
    } else {
        words.iter().map(|(word, _)| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
    };
    let default = node.default().map_or_else(String::new, |value| format!("`{}`", to_toml(value)));
    let mut meaning = node.description().unwrap_or_default().to_owned();
    for (word, text) in words {
        if let Some(text) = text {
            let _ = write!(meaning, " `{word}`: {text}");
        }
    }
    // A row is one line, and a bar would begin the next cell.
    let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    format!("| `{key}` | {kind} | {default} | {meaning} |\n")
}

#[cfg(test)]
mod tests;
