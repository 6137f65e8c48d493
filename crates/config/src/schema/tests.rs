use schemars::JsonSchema;

use super::*;
use crate::{ByteSize, Period};

#[derive(serde::Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case")]
struct Outer {
    /// How long.
    wait: Period,
    size_max: Option<ByteSize>,
    inner: Inner,
    list: Vec<Inner>,
    port: u16,
}

/// Below.
#[derive(serde::Deserialize, JsonSchema, Default)]
#[expect(dead_code, reason = "only its schema is read")]
struct Inner {
    name: String,
}

impl Default for Outer {
    fn default() -> Self {
        Self { wait: Period::minutes(5), size_max: None, inner: Inner::default(), list: Vec::new(), port: 25 }
    }
}

#[test]
fn a_path_leads_through_references_lists_and_options() {
    let schema = schemars::schema_for!(Outer);
    let root = Node::root(schema.as_value());
    let at = |path: &str| root.at(&path.split('.').map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(at("wait").unwrap().description(), Some("How long."));
    assert_eq!(at("wait").unwrap().example().as_deref(), Some("\"5m\""), "the default is the best example");
    assert_eq!(at("size-max").unwrap().kind(), "size");
    assert_eq!(at("port").unwrap().kind(), "whole number, 0 to 65535");
    assert_eq!(at("inner.name").unwrap().kind(), "text");
    assert_eq!(at("list.3.name").unwrap().kind(), "text");
    assert!(at("inner.nothing").is_none());
    assert_eq!(root.tables_with("name"), ["inner", "list"]);
}
