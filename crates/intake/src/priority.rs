//! The highest priority that is given, as the configuration says it.

use std::borrow::Cow;

use posthouse_mail::Priority;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A priority from 0 to 9: a letter that asks for none is never put behind others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriorityMax(Priority);

impl PriorityMax {
    /// A highest priority; `None` outside 0 … 9.
    #[must_use]
    pub fn new(level: i8) -> Option<Self> {
        Priority::new(level).filter(|priority| *priority >= Priority::default()).map(Self)
    }

    /// This priority, or the highest there is.
    pub(crate) fn cap(self, asked: Priority) -> Priority {
        asked.min(self.0)
    }
}

impl Default for PriorityMax {
    /// Enough to go before all others; what lies above is for the operator to allow.
    fn default() -> Self {
        Self(Priority::new(4).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for PriorityMax {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let level = i64::deserialize(deserializer)?;
        let found = i8::try_from(level).ok().and_then(Self::new);
        found.ok_or_else(|| de::Error::custom(format!("{level} is not a priority: write a number from 0 to 9")))
    }
}

impl JsonSchema for PriorityMax {
    fn schema_name() -> Cow<'static, str> {
        "PriorityMax".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 0, "maximum": 9, "description": "a number from 0 to 9" })
    }
}
