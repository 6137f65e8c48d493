//! What an operator may set of the keys that sign letters.

use std::time::Duration;

use posthouse_config::Period;
use schemars::JsonSchema;
use serde::Deserialize;

/// The keys that sign letters (DKIM), and how they are changed: made ahead, used when the DNS has them, published for a while after.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// How old the keys of a domain become before new ones are made beside them, such as "180d". Their records are to be published then: the log and `posthouse
    /// status` say so, and until the DNS has them the old keys go on signing. Not set: keys are changed by `posthouse domain rotate` alone.
    pub rotate_every: Option<Period>,
    /// How long the DNS must have had the record of a new key before the key signs: as long as the slowest secondary name server takes.
    pub settle: Period,
    /// How long the record of a key that signs no more is to stay in the DNS: what it has signed is on its way, and may be looked at late.
    pub overlap: Period,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rotate_every: None, settle: Period(Duration::from_hours(1)), overlap: Period(Duration::from_hours(7 * 24)) }
    }
}
