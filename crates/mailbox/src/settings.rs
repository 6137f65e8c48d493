//! What an operator may set of stored mail.

use posthouse_config::Period;
use schemars::JsonSchema;
use serde::Deserialize;

/// `[mailbox]`: stored mail.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// How long letters lie in Junk folders, from when they came there, before they are removed for good; looked at once a day, so it may be a fifteenth longer. `"0s"`: for ever. Time in
    /// which the server is off does not count beyond two days at a time, nor does a clock that jumps.
    pub junk_kept: Period,
}

impl Default for Settings {
    fn default() -> Self {
        Self { junk_kept: Period::days(30) }
    }
}
