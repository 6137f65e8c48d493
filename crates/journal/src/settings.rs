//! How long the journal remembers.

use schemars::JsonSchema;
use serde::Deserialize;

use posthouse_config::{ByteSize, Period};

/// `[journal]`: the timeline that `posthouse trace` prints. Whatever limit is reached first, the oldest entries go.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// How long entries are kept.
    pub keep: Period,
    /// How large the journal's file may grow.
    pub size_max: ByteSize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep: Period::days(30), size_max: ByteSize::gib(1) }
    }
}
