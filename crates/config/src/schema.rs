//! Questions to the JSON schema of the settings: what may stand at a path, and an example of it.
//!
//! The schema is our own output (schemars), so whatever it does not answer is simply not said.

use serde_json::Value;

/// A place in the schema: the value as declared there (description, default) and what it refers to.
#[derive(Clone, Copy)]
pub(crate) struct Node<'s> {
    root: &'s Value,
    /// As declared at the property.
    pub(crate) declared: &'s Value,
    /// The same with `$ref` and optionality looked through.
    pub(crate) resolved: &'s Value,
}

impl<'s> Node<'s> {
    /// The whole schema.
    pub(crate) fn root(root: &'s Value) -> Self {
        Self::new(root, root)
    }

    fn new(root: &'s Value, declared: &'s Value) -> Self {
        Self { root, declared, resolved: resolve(root, declared) }
    }

    /// Another value of the same schema.
    pub(crate) fn sibling(&self, declared: &'s Value) -> Self {
        Self::new(self.root, declared)
    }

    /// The place below, by key or list place.
    pub(crate) fn child(&self, step: &str) -> Option<Self> {
        let below = self.resolved.pointer("/properties").and_then(|properties| properties.get(step));
        let below = below.or_else(|| self.resolved.get("items").filter(|_| step.parse::<usize>().is_ok()));
        let below = below.or_else(|| self.resolved.get("additionalProperties").filter(|value| value.is_object()))?;
        Some(Self::new(self.root, below))
    }

    /// The place at the end of `path`.
    pub(crate) fn at(self, path: &[String]) -> Option<Self> {
        path.iter().try_fold(self, |node, step| node.child(step))
    }

    /// The keys of this table with their places, in the order of the schema.
    pub(crate) fn properties(&self) -> Vec<(&'s str, Self)> {
        let properties = self.resolved.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(key, value)| (key.as_str(), Self::new(self.root, value))).collect()
    }

    /// The doc comment.
    pub(crate) fn description(&self) -> Option<&'s str> {
        let of = |value: &'s Value| value.get("description").and_then(Value::as_str);
        of(self.declared).or_else(|| of(self.resolved))
    }

    /// The default, unless it is null or a table.
    pub(crate) fn default(&self) -> Option<&'s Value> {
        self.declared.get("default").filter(|value| !value.is_null() && !value.is_object())
    }

    /// `boolean`, `integer`, `array` …, as the schema calls it.
    pub(crate) fn json_type(&self) -> Option<&'s str> {
        self.text("type")
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.text("format") == Some("secret")
    }

    pub(crate) fn is_table(&self) -> bool {
        self.resolved.get("properties").is_some()
    }

    /// The table that a list holds, if it holds tables.
    pub(crate) fn table_in_list(&self) -> Option<Self> {
        let item = self.sibling(self.resolved.get("items")?);
        item.is_table().then_some(item)
    }

    /// The words of an enumeration with their meaning.
    pub(crate) fn words(&self) -> Vec<(&'s str, Option<&'s str>)> {
        if let Some(words) = self.resolved.get("enum").and_then(Value::as_array) {
            return words.iter().filter_map(Value::as_str).map(|word| (word, None)).collect();
        }
        let variants = self.resolved.get("oneOf").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut words = Vec::new();
        for variant in variants {
            let meaning = variant.get("description").and_then(Value::as_str);
            let several = variant.get("enum").and_then(Value::as_array).into_iter().flatten();
            words.extend(variant.get("const").into_iter().chain(several).filter_map(Value::as_str).map(|word| (word, meaning)));
        }
        words
    }

    /// The type in words.
    pub(crate) fn kind(&self) -> String {
        let words = self.words();
        if !words.is_empty() {
            return words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        }
        let number = |name: &str| self.resolved.get(name).and_then(Value::as_i64);
        match (self.text("format"), self.text("type")) {
            (Some("size"), _) => "size".to_owned(),
            (Some("duration"), _) => "duration".to_owned(),
            (Some("secret"), _) => "secret".to_owned(),
            (Some("ip" | "ipv4" | "ipv6"), _) => "IP address".to_owned(),
            (_, Some("boolean")) => "true or false".to_owned(),
            (_, Some("integer")) => match (number("minimum"), number("maximum")) {
                (Some(min), Some(max)) => format!("whole number, {min} to {max}"),
                (Some(0), None) => "whole number, 0 or more".to_owned(),
                (Some(min), None) => format!("whole number, {min} or more"),
                _ => "whole number".to_owned(),
            },
            (_, Some("number")) => "number".to_owned(),
            (_, Some("array")) => {
                let item = self.resolved.get("items").map(|items| self.sibling(items).kind());
                item.map_or_else(|| "list".to_owned(), |item| format!("list of {item}"))
            }
            (_, Some("object")) => "table".to_owned(),
            _ => "text".to_owned(),
        }
    }

    /// A right value, as TOML: the declared example, the default, or one made for the type.
    pub(crate) fn example(&self) -> Option<String> {
        let given = |value: &'s Value| value.pointer("/examples/0").map(to_toml);
        let default = || self.default().filter(|value| value.is_string() || value.is_number()).map(to_toml);
        let given = given(self.declared).or_else(default).or_else(|| given(self.resolved));
        given.or_else(|| {
            if let Some((word, _)) = self.words().first() {
                return Some(format!("\"{word}\""));
            }
            match (self.text("format"), self.text("type").unwrap_or_default()) {
                (Some("ip" | "ipv4"), _) => Some("\"192.0.2.1\"".to_owned()),
                (Some("size"), _) => Some("\"50 MiB\"".to_owned()),
                (Some("duration"), _) => Some("\"30s\"".to_owned()),
                (Some("secret"), _) => Some("{ file = \"/path\" }".to_owned()),
                (_, "boolean") => Some("true".to_owned()),
                (_, "integer") => Some(self.resolved.get("minimum").and_then(Value::as_i64).unwrap_or(1).max(1).to_string()),
                (_, "array") => {
                    let item = self.sibling(self.resolved.get("items")?).example()?;
                    Some(format!("[{item}]"))
                }
                (_, "string") => Some("\"…\"".to_owned()),
                _ => None,
            }
        })
    }

    /// The tables below that know `key`, as dotted paths without list places.
    pub(crate) fn tables_with(&self, key: &str) -> Vec<String> {
        let mut found = Vec::new();
        self.search(key, "", 0, &mut found);
        found
    }

    fn search(&self, key: &str, above: &str, depth: usize, found: &mut Vec<String>) {
        // Settings are a few tables deep; a schema that refers to itself must end somewhere.
        const DEPTH_MAX: usize = 6;
        for (name, node) in self.properties() {
            if name == key {
                found.push(above.to_owned());
            }
            let Some(table) = node.is_table().then_some(node).or_else(|| node.table_in_list()) else { continue };
            if depth < DEPTH_MAX {
                let path = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
                table.search(key, &path, depth + 1, found);
            }
        }
    }

    fn text(&self, key: &str) -> Option<&'s str> {
        match self.resolved.get(key)? {
            Value::String(text) => Some(text),
            // `["string", "null"]`: an option.
            Value::Array(several) => several.iter().filter_map(Value::as_str).find(|&kind| kind != "null"),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    }
}

/// Looks through `$ref`, and through `anyOf` and `allOf` when null is the only other choice.
fn resolve<'s>(root: &'s Value, declared: &'s Value) -> &'s Value {
    const STEPS_MAX: usize = 16;
    let mut value = declared;
    for _ in 0..STEPS_MAX {
        let target = value.get("$ref").and_then(Value::as_str).and_then(|path| root.pointer(path.strip_prefix('#')?));
        let next = target.or_else(|| {
            if value.get("format").is_some() {
                return None;
            }
            let choices = value.get("anyOf").or_else(|| value.get("allOf"))?.as_array()?;
            let mut choices = choices.iter().filter(|choice| choice.get("type").and_then(Value::as_str) != Some("null"));
            choices.next().filter(|_| choices.next().is_none())
        });
        let Some(next) = next else { break };
        value = next;
    }
    value
}

/// A JSON value in TOML's words; tables are not met in defaults that are shown.
pub(crate) fn to_toml(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(to_toml).collect::<Vec<_>>().join(", ")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
