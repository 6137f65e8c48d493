//! Quantities with their unit in the text: sizes and durations.
//!
//! A bare number is refused for a duration (seconds? minutes?) and taken as bytes for a size. Fractions are refused: `90m`, not
//! `1.5h`. Failure means the value must be rewritten; the message shows how.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use thiserror::Error;

/// The longest period: ten years. An `Instant` plus more could overflow, and nothing in mail waits longer.
const PERIOD_MAX: Duration = Duration::from_secs(3650 * 86_400);

/// Binary units first: they are what [`ByteSize`] prints.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

/// Milliseconds of each unit, longest first: what [`Period`] prints is the longest that divides.
const PERIOD_UNITS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A size in octets, written `"50 MiB"`, `"50 MB"` (decimal) or as a plain number of octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct ByteSize(pub u64);

/// A length of time, written `"500ms"`, `"30s"`, `"5m"`, `"4h"` or `"5d"`; at most ten years.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Period(pub Duration);

/// Why a text is not a [`ByteSize`] or a [`Period`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnitError {
    /// No size at all.
    #[error("`{0}` is not a size: write a whole number and a unit, such as \"50 MiB\"")]
    Size(String),
    /// A size with a unit that does not exist, or is ambiguous.
    #[error("`{0}` is not a unit of size: use B, KiB, MiB, GiB, TiB (1024) or KB, MB, GB, TB (1000), such as \"{1} MiB\"")]
    SizeUnit(String, u64),
    /// More than 2^64 octets.
    #[error("a size must stay below 16 EiB")]
    SizeRange,
    /// No duration at all.
    #[error("`{0}` is not a duration: write a whole number and a unit, such as \"30s\", \"5m\", \"4h\" or \"5d\"")]
    Period(String),
    /// A number without a unit.
    #[error("a duration needs its unit: \"{0}s\", \"{0}m\", \"{0}h\" or \"{0}d\"")]
    PeriodNoUnit(u64),
    /// A duration with a unit that does not exist.
    #[error("`{0}` is not a unit of time: use ms, s, m, h or d, such as \"{1}m\"")]
    PeriodUnit(String, u64),
    /// Longer than ten years.
    #[error("a duration must not exceed ten years (3650d)")]
    PeriodRange,
}

impl ByteSize {
    /// `n` × 1024 octets.
    #[must_use]
    pub const fn kib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 10))
    }

    /// `n` × 1024² octets.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 20))
    }

    /// `n` × 1024³ octets.
    #[must_use]
    pub const fn gib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 30))
    }

    /// The size in octets.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in octets as a length in memory, capped.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Period {
    /// `n` milliseconds.
    #[must_use]
    pub const fn millis(n: u64) -> Self {
        Self(Duration::from_millis(n))
    }

    /// `n` seconds.
    #[must_use]
    pub const fn seconds(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    /// `n` minutes.
    #[must_use]
    pub const fn minutes(n: u64) -> Self {
        Self(Duration::from_secs(n.saturating_mul(60)))
    }

    /// `n` hours.
    #[must_use]
    pub const fn hours(n: u64) -> Self {
        Self(Duration::from_secs(n.saturating_mul(3600)))
    }

    /// `n` days.
    #[must_use]
    pub const fn days(n: u64) -> Self {
        Self(Duration::from_secs(n.saturating_mul(86_400)))
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text).ok_or_else(|| UnitError::Size(text.to_owned()))?;
        if unit.is_empty() {
            return Ok(Self(number));
        }
        let factor = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|&(_, factor)| factor);
        let factor = factor.ok_or_else(|| UnitError::SizeUnit(unit.to_owned(), number))?;
        number.checked_mul(factor).map(Self).ok_or(UnitError::SizeRange)
    }
}

impl FromStr for Period {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text).ok_or_else(|| UnitError::Period(text.to_owned()))?;
        if unit.is_empty() {
            return Err(UnitError::PeriodNoUnit(number));
        }
        let factor = PERIOD_UNITS.iter().find(|&&(name, _)| name == unit).map(|&(_, factor)| factor);
        let factor = factor.ok_or_else(|| UnitError::PeriodUnit(unit.to_owned(), number))?;
        let duration = number.checked_mul(factor).map(Duration::from_millis).ok_or(UnitError::PeriodRange)?;
        if duration > PERIOD_MAX { Err(UnitError::PeriodRange) } else { Ok(Self(duration)) }
    }
}

/// A whole number and what follows it, blanks around both dropped.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let unit = unit.trim_start();
    // `1.5 GiB` and `1 000` would otherwise be complaints about a unit `.5 GiB`.
    if unit.starts_with(|c: char| !c.is_alphabetic()) {
        return None;
    }
    Some((number.parse().ok()?, unit))
}

/// The largest binary unit that leaves no fraction; read back by [`FromStr`].
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZE_UNITS.iter().take(5).find(|&&(_, factor)| self.0 >= factor && self.0.is_multiple_of(factor));
        let (name, factor) = exact.copied().unwrap_or(("B", 1));
        write!(f, "{} {name}", self.0 / factor)
    }
}

/// The longest unit that leaves no fraction; read back by [`FromStr`].
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        let exact = PERIOD_UNITS.iter().find(|&&(_, factor)| millis.is_multiple_of(factor));
        let (name, factor) = exact.copied().unwrap_or(("ms", 1));
        write!(f, "{}{name}", millis / factor)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PeriodVisitor)
    }
}

struct SizeVisitor;
struct PeriodVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size, such as \"50 MiB\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, octets: u64) -> Result<ByteSize, E> {
        Ok(ByteSize(octets))
    }

    fn visit_i64<E: serde::de::Error>(self, octets: i64) -> Result<ByteSize, E> {
        u64::try_from(octets).map(ByteSize).map_err(|_| E::custom("a size cannot be negative: write one such as \"50 MiB\""))
    }
}

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration, such as \"30s\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Period, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Period, E> {
        Err(E::custom(UnitError::PeriodNoUnit(number)))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Period, E> {
        Err(u64::try_from(number).map_or_else(
            |_| E::custom("a duration cannot be negative: write one such as \"30s\""),
            |number| E::custom(UnitError::PeriodNoUnit(number)),
        ))
    }
}

impl JsonSchema for ByteSize {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "format": "size" })
    }
}

impl JsonSchema for Period {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "duration" })
    }
}

#[cfg(test)]
mod tests;
