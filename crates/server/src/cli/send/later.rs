//! When a letter is to leave: the value of `--at`.

use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use posthouse_mail::UnixMillis;

use crate::cli::Failure;
use crate::cli::data::malformed;

const FORMS: &str = "write 18:00, '2026-12-24 18:00' (local time), 2026-12-24T18:00:00+01:00, +90m, +2h or +3d";

/// Reads a time that lies behind `now`, in this machine's time zone where it names none.
pub(super) fn read(text: &str, now: UnixMillis) -> Result<UnixMillis, Failure> {
    let wrong = || malformed("--at", text, FORMS);
    let zoned = i64::try_from(now.0).ok().and_then(|now| Timestamp::from_millisecond(now).ok());
    let at = zoned.and_then(|zoned| meant(text.trim(), &zoned.to_zoned_datetime(TimeZone::system()))).ok_or_else(wrong)?;
    if at <= now { Err(malformed("--at", text, "that time is over")) } else { Ok(at) }
}

fn meant(text: &str, now: &ZonedDateTime) -> Option<UnixMillis> {
    if let Some(after) = text.strip_prefix('+') {
        return Some(millis(now.timestamp())?.plus(span(after)?));
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return millis(timestamp);
    }
    if let Ok(at) = text.parse::<DateTime>() {
        return millis(at.to_zoned_datetime(now.time_zone().clone()).ok()?.timestamp());
    }
    let time: Time = text.parse().ok()?;
    let today = now.date().to_datetime(time).to_zoned_datetime(now.time_zone().clone()).ok()?;
    let next = if today > *now {
        today
    } else {
        now.date().tomorrow().ok()?.to_datetime(time).to_zoned_datetime(now.time_zone().clone()).ok()?
    };
    millis(next.timestamp())
}

/// `90m`, `2h`, `3d`.
fn span(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
    Some(Duration::from_secs(seconds.saturating_mul(count.into())))
}

fn millis(timestamp: Timestamp) -> Option<UnixMillis> {
    u64::try_from(timestamp.as_millisecond()).ok().map(UnixMillis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<String> {
        let now: ZonedDateTime = "2026-11-26T15:30:00+01:00[Europe/Berlin]".parse().unwrap();
        meant(text, &now).map(|at| at.to_rfc3339_seconds())
    }

    #[test]
    fn a_time_is_meant_where_the_user_is_and_never_in_the_past_of_the_day() {
        for (text, expected) in [
            ("18:00", "2026-11-26T17:00:00Z"),
            ("15:00", "2026-11-27T14:00:00Z"),
            ("2026-12-24 18:00", "2026-12-24T17:00:00Z"),
            ("2026-07-01 12:00", "2026-07-01T10:00:00Z"),
            ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00Z"),
            ("2026-12-24T18:00:00-05:00", "2026-12-24T23:00:00Z"),
            ("+90m", "2026-11-26T16:00:00Z"),
            ("+3d", "2026-11-29T14:30:00Z"),
        ] {
            assert_eq!(at(text).as_deref(), Some(expected), "{text}");
        }
        for wrong in ["", "soon", "+", "+2w", "+-2h", "25:00", "2026-13-01 10:00"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
        assert!(read("2000-01-01T00:00:00Z", UnixMillis(1_795_000_000_000)).is_err());
    }
}
