//! From a place in the text to a key path, and back.
//!
//! Works on the parsed document with its spans; knows no types. Says nothing when the text is not TOML.

use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// The keys and list places that lead to the value or key at an offset, outermost first. Empty when the offset stands at the root.
pub(crate) fn path_at(text: &str, offset: usize) -> Vec<String> {
    let Ok(document) = DeTable::parse(text) else { return Vec::new() };
    let mut path = Vec::new();
    descend_table(document.get_ref(), offset, &mut path);
    path
}

/// The span of the value at `path`, or of the innermost table around it that exists.
pub(crate) fn span_of(text: &str, path: &str) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let mut steps = path.split('.');
    let (_, mut value) = entry(document.get_ref(), steps.next()?)?;
    for step in steps {
        let next = match value.get_ref() {
            DeValue::Table(table) => entry(table, step).map(|(_, value)| value),
            DeValue::Array(array) => step.parse().ok().and_then(|place: usize| array.get(place)),
            DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => None,
        };
        let Some(next) = next else { break };
        value = next;
    }
    Some(value.span())
}

fn entry<'t, 'i>(
    table: &'t DeTable<'i>,
    key: &str,
) -> Option<(&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>)> {
    table.iter().find(|(name, _)| name.get_ref() == key)
}

/// Returns whether the offset was found below `table`; a table's own span need not hold its entries (`[a]` … `[a.b]`).
fn descend_table(table: &DeTable<'_>, offset: usize, path: &mut Vec<String>) -> bool {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        if key.span().contains(&offset) || descend(value, offset, path) {
            return true;
        }
        path.pop();
    }
    false
}

fn descend_array(array: &DeArray<'_>, offset: usize, path: &mut Vec<String>) -> bool {
    for (place, value) in array.iter().enumerate() {
        path.push(place.to_string());
        if descend(value, offset, path) {
            return true;
        }
        path.pop();
    }
    false
}

fn descend(value: &Spanned<DeValue<'_>>, offset: usize, path: &mut Vec<String>) -> bool {
    let inside = match value.get_ref() {
        DeValue::Table(table) => descend_table(table, offset, path),
        DeValue::Array(array) => descend_array(array, offset, path),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => false,
    };
    inside || value.span().contains(&offset)
}

#[cfg(test)]
mod tests;
