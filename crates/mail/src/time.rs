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
