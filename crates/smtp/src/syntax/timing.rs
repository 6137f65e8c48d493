//! When a letter is to leave, and when it is to have arrived: the values of `HOLDFOR`, `HOLDUNTIL` and `BY`, and what EHLO says of the first two.

use std::fmt;

use posthouse_mail::{ByMode, DeliverBy, UnixMillis};

/// The most seconds that nine digits can say.
const SECONDS_MAX: u32 = 999_999_999;

/// `HOLDFOR=` or `HOLDUNTIL=` (RFC 4865 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// `HOLDFOR=`: so many seconds.
    For(u32),
    /// `HOLDUNTIL=`: until then.
    Until(UnixMillis),
}

/// `BY=` (RFC 2852 §4).
///
/// ```text
/// by-value = by-time ";" by-mode [by-trace]
/// by-time  = ["-" / "+"] 1*9digit     ; above zero when by-mode is "R"
/// by-mode  = "N" / "R"
/// by-trace = "T"
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct By {
    /// The seconds that are left; with [`ByMode::Notify`] the time may be over.
    pub seconds: i32,
    /// What follows when they are over.
    pub mode: ByMode,
    /// Whether each hop reports that it has relayed the letter.
    pub trace: bool,
}

/// What a server says behind `FUTURERELEASE` (RFC 4865 §4): how long it holds a letter.
///
/// ```text
/// future-release-param = max-future-release-interval SP max-future-release-date-time
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FutureRelease {
    /// The seconds of `HOLDFOR` at most.
    pub seconds_max: u32,
    /// `HOLDUNTIL` at the latest.
    pub until_max: UnixMillis,
}

impl Hold {
    /// Reads the value of `HOLDFOR`: `1*9DIGIT`, of which the first is not zero.
    pub(super) fn parse_for(value: &str) -> Option<Self> {
        seconds(value).filter(|_| !value.starts_with('0')).map(Self::For)
    }

    /// Reads the value of `HOLDUNTIL`: a time in UTC.
    pub(super) fn parse_until(value: &str) -> Option<Self> {
        UnixMillis::from_rfc3339(value).map(Self::Until)
    }
}

impl By {
    pub(super) fn parse(value: &str) -> Option<Self> {
        let (time, mode) = value.split_once(';')?;
        let (negative, digits) = match time.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, time.strip_prefix('+').unwrap_or(time)),
        };
        let seconds = i32::try_from(seconds(digits)?).ok()?;
        let seconds = if negative { -seconds } else { seconds };
        let (mode, trace) = match mode.to_ascii_uppercase().as_str() {
            "N" => (ByMode::Notify, false),
            "NT" => (ByMode::Notify, true),
            "R" => (ByMode::Return, false),
            "RT" => (ByMode::Return, true),
            _ => return None,
        };
        (mode == ByMode::Notify || seconds > 0).then_some(Self { seconds, mode, trace })
    }

    /// What is left of the time, rounded down.
    #[must_use]
    pub fn left(deliver_by: DeliverBy, now: UnixMillis) -> Self {
        let capped = |millis: u64| i32::try_from((millis / 1000).min(SECONDS_MAX.into())).unwrap_or(i32::MAX);
        let seconds = match deliver_by.at.0.checked_sub(now.0) {
            Some(left) => capped(left),
            None => -capped((now.0 - deliver_by.at.0).saturating_add(999)),
        };
        Self { seconds, mode: deliver_by.mode, trace: deliver_by.trace }
    }
}

impl FutureRelease {
    /// Letters are held from `now` for so many seconds at most.
    #[must_use]
    pub fn from_now(now: UnixMillis, seconds: u64) -> Self {
        let seconds_max = u32::try_from(seconds).unwrap_or(SECONDS_MAX).min(SECONDS_MAX);
        Self { seconds_max, until_max: now.plus(std::time::Duration::from_secs(seconds_max.into())) }
    }

    /// Reads what stands behind the keyword.
    pub(crate) fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let seconds_max = words.next().and_then(seconds)?;
        let until_max = words.next().and_then(UnixMillis::from_rfc3339)?;
        Some(Self { seconds_max, until_max })
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(seconds) => write!(f, "HOLDFOR={seconds}"),
            Self::Until(time) if time.0 % 1000 == 0 => write!(f, "HOLDUNTIL={}", time.to_rfc3339_seconds()),
            Self::Until(time) => write!(f, "HOLDUNTIL={time}"),
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            ByMode::Notify => 'N',
            ByMode::Return => 'R',
        };
        write!(f, "BY={};{mode}{}", self.seconds, if self.trace { "T" } else { "" })
    }
}

impl fmt::Display for FutureRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seconds_max, self.until_max.to_rfc3339_seconds())
    }
}

/// `1*9DIGIT`.
fn seconds(digits: &str) -> Option<u32> {
    let right = (1..=9).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit());
    right.then(|| digits.parse().ok())?
}
