//! Wall-clock time as mail writes it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Milliseconds since 1970-01-01 00:00 UTC. The clock itself is read in `runtime` alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// This time and a duration, capped at the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// `date-time` of RFC 5322 §3.3 in UTC, as in `Mon, 24 Nov 2026 03:12:03 +0000`.
    #[must_use]
    pub fn to_rfc5322(self) -> String {
        self.timestamp().to_zoned_datetime(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
    }

    /// Reads `date-time` of RFC 3339 §5.6 in UTC, as in `2026-11-24T03:12:03Z`, with or without fractions of a second. What lies before 1970 is its
    /// beginning.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        const FORM: &[u8] = b"dddd-dd-ddTdd:dd:dd";
        let (seconds, rest) = text.split_at_checked(FORM.len())?;
        let fits = |(octet, form): (u8, &u8)| if *form == b'd' { octet.is_ascii_digit() } else { octet == *form };
        let fraction = rest.strip_suffix('Z')?;
        let digits = fraction.strip_prefix('.').unwrap_or("0");
        let fraction_right = (fraction.is_empty() || fraction.starts_with('.')) && (1..=9).contains(&digits.len());
        if !seconds.bytes().zip(FORM).all(fits) || !fraction_right || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        let timestamp: Timestamp = text.parse().ok()?;
        Some(Self(u64::try_from(timestamp.as_millisecond()).unwrap_or(0)))
    }

    /// RFC 3339 in UTC without fractions of a second. Read back by [`Self::from_rfc3339`].
    #[must_use]
    pub fn to_rfc3339_seconds(self) -> String {
        format!("{:.0}", self.timestamp())
    }

    fn timestamp(self) -> Timestamp {
        i64::try_from(self.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
    }
}

/// RFC 3339 in UTC with milliseconds.
impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

#[cfg(test)]
mod tests;
