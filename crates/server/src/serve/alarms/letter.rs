//! The words of an alarm, for a letter and for a chat.

use posthouse_admin::{Notice, Turn};
use posthouse_delivery::AlarmLetter;
use posthouse_mail::UnixMillis;

/// The letter that tells of these.
pub(super) fn of(hostname: &str, notices: &[Notice]) -> AlarmLetter {
    let mut lines = vec![format!("This is {hostname}.")];
    for notice in notices {
        let Notice { turn, title, what, remedy, since, at, .. } = notice;
        lines.extend([String::new(), format!("{}  {title}", turn.as_str().to_uppercase()), format!("  {what}")]);
        match turn {
            Turn::Ended => lines.push(format!("  From {since} to {at}.")),
            Turn::Began | Turn::Stands | Turn::Test => {
                lines.extend([format!("  Since {since}."), format!("  What to do: {remedy}")])
            }
        }
    }
    lines.extend([String::new(), "How it is now: posthouse status. What stands: posthouse alarms.".to_owned()]);
    let cause: String =
        notices.iter().map(|notice| format!("{} {} {}\n", notice.turn.as_str(), notice.title, notice.at)).collect();
    let at = notices.last().and_then(|notice| UnixMillis::from_rfc3339(&notice.at)).unwrap_or_default();
    AlarmLetter { subject: format!("[{hostname}] {}", headline(notices)), lines, cause, at }
}

/// `alarm: disk`, `ended: list dead.example`, `3 alarms, 1 ended`.
pub(super) fn headline(notices: &[Notice]) -> String {
    if let [one] = notices {
        let word = match one.turn {
            Turn::Began | Turn::Stands => "alarm",
            Turn::Ended => "ended",
            Turn::Test => return "alarms arrive here".to_owned(),
        };
        return format!("{word}: {}", one.title);
    }
    let ended = notices.iter().filter(|notice| notice.turn == Turn::Ended).count();
    match (notices.len() - ended, ended) {
        (alarms, 0) => format!("{alarms} alarms"),
        (0, ended) => format!("{ended} ended"),
        (alarms, ended) => format!("{alarms} alarms, {ended} ended"),
    }
}
