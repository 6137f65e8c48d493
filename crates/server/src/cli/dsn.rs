//! What is asked of delivery reports, as people write it (RFC 3461 §4).

use posthouse_mail::{Notify, Ret};

/// `never`, or some of `success,failure,delay` (§4.1).
pub(super) fn notify(text: &str) -> Result<Notify, String> {
    let mut notify = Notify::default();
    if text.eq_ignore_ascii_case("never") {
        return Ok(notify);
    }
    for word in text.split(',') {
        match word.trim().to_ascii_lowercase().as_str() {
            "success" => notify.success = true,
            "failure" => notify.failure = true,
            "delay" => notify.delay = true,
            _ => return Err("write never, or some of success,failure,delay".to_owned()),
        }
    }
    Ok(notify)
}

/// `full` or `hdrs` (§4.3).
pub(super) fn ret(text: &str) -> Result<Ret, String> {
    match text.to_ascii_lowercase().as_str() {
        "full" => Ok(Ret::Full),
        "hdrs" => Ok(Ret::Headers),
        _ => Err("write full or hdrs".to_owned()),
    }
}

/// Printable ASCII, at most 100 octets (§4.4).
pub(super) fn envid(text: &str) -> Result<String, String> {
    let right = !text.is_empty() && text.len() <= 100 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if right { Ok(text.to_owned()) } else { Err("an envelope id is printable ASCII, at most 100 octets".to_owned()) }
}
