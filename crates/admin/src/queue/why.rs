//! Why a letter waits, in one sentence.

use posthouse_config::Period;
use posthouse_mail::UnixMillis;
use posthouse_queue::{DeliveryState, Queued};
use posthouse_runtime::log::one_line;

use super::results::{QueuedState, next};

pub(crate) fn sentence(queued: &Queued, state: QueuedState, blocked: Option<&str>, now: UnixMillis) -> String {
    let sentence = of_letter(queued, state, now);
    match (blocked, state) {
        (Some(blocked), QueuedState::New | QueuedState::Deferred) => {
            format!("{sentence}; nothing goes there now: {}", one_line(blocked))
        }
        (None, _) | (_, QueuedState::Held | QueuedState::Delivering) => sentence,
    }
}

fn of_letter(queued: &Queued, state: QueuedState, now: UnixMillis) -> String {
    let due = next(queued);
    let when = if due <= now { "is due now".to_owned() } else { format!("is in {}", period(due.since(now).as_secs())) };
    match state {
        QueuedState::Delivering => "an attempt is under way now".to_owned(),
        QueuedState::Held => "an operator holds it until it is released".to_owned(),
        QueuedState::New => format!("it has not been tried yet; its first attempt {when}"),
        QueuedState::Deferred => {
            let waiting = || queued.recipients.iter().filter(|recipient| recipient.is_pending());
            let first = waiting().find(|recipient| matches!(recipient.state, DeliveryState::Pending { next } if next == due));
            let Some(first) = first else { return format!("its next attempt {when}") };
            let more = match waiting().count().saturating_sub(1) {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            let answer = first.last.as_ref().map_or_else(
                || "it has not been tried for this recipient".to_owned(),
                |last| format!("after {} the last answer was: {}", attempts(first.attempts), one_line(&last.to_string())),
            );
            format!("{}{more} waits: {answer}; the next attempt {when}", first.recipient.address)
        }
    }
}

fn attempts(count: u32) -> String {
    if count == 1 { "one attempt".to_owned() } else { format!("{count} attempts") }
}

/// Rounded down to what people say: `4d`, `3h`, `12m`, `40s`.
fn period(seconds: u64) -> String {
    let unit = [86_400, 3_600, 60].into_iter().find(|unit| seconds >= 2 * unit).unwrap_or(1);
    Period::seconds(seconds / unit * unit).to_string()
}
