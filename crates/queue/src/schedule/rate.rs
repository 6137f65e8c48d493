//! Letters a minute, of a site or of a sender: a minute's letters may go at once, from then on they are spread.

use posthouse_mail::UnixMillis;

const MINUTE_MILLIS: u64 = 60_000;

/// How far a limit is used up. Where there is none, nothing is counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rate {
    used_up_to: UnixMillis,
}

impl Rate {
    /// When the next letter may go, if that is not now.
    pub(crate) fn later(self, per_minute: Option<u32>, now: UnixMillis) -> Option<UnixMillis> {
        per_minute?;
        let at = UnixMillis(self.used_up_to.0.saturating_sub(MINUTE_MILLIS));
        (at > now).then_some(at)
    }

    /// Counts a letter.
    pub(crate) fn count(&mut self, per_minute: Option<u32>, now: UnixMillis) {
        if let Some(per_minute) = per_minute {
            let share = MINUTE_MILLIS / u64::from(per_minute.max(1));
            self.used_up_to = UnixMillis(self.used_up_to.0.max(now.0).saturating_add(share));
        }
    }

    /// Whether there is nothing to remember.
    pub(crate) fn is_unused(self, now: UnixMillis) -> bool {
        self.used_up_to <= now
    }
}
