//! What the session says by itself.

use posthouse_mail::{Priority, Reply, Status};

use crate::syntax::{ArgumentError, FutureRelease, LineError, PathError};

fn no(code: u16, subject: u16, detail: u16, text: &str) -> Reply {
    Reply::new(code, Status::permanent(subject, detail), text)
}

fn later(code: u16, subject: u16, detail: u16, text: &str) -> Reply {
    Reply::new(code, Status::temporary(subject, detail), text)
}

fn yes(code: u16, subject: u16, detail: u16, text: &str) -> Reply {
    Reply::new(code, Status::success(subject, detail), text)
}

pub(super) fn greeting(hostname: &str, lmtp: bool) -> Reply {
    Reply::bare(220, &format!("{hostname} {} Posthouse", if lmtp { "LMTP" } else { "ESMTP" }))
}

pub(super) fn early_talker() -> Reply {
    no(554, 5, 1, "you talk before the greeting")
}

pub(super) fn ok() -> Reply {
    yes(250, 0, 0, "ok")
}

pub(super) fn sender_ok() -> Reply {
    yes(250, 1, 0, "sender ok")
}

/// RFC 6710 §12 gives the status, and wants the priority as the first word.
pub(super) fn sender_ok_with(priority: Priority) -> Reply {
    yes(250, 3, 6, &format!("{priority} is the new priority of this letter"))
}

pub(super) fn recipient_ok() -> Reply {
    yes(250, 1, 5, "recipient ok")
}

pub(super) fn go_ahead() -> Reply {
    Reply::bare(354, "go ahead, end with a dot alone on a line")
}

pub(super) fn chunk_ok(size: u64) -> Reply {
    yes(250, 6, 0, &format!("{size} octets taken"))
}

pub(super) fn stored(id: &str) -> Reply {
    yes(250, 6, 0, &format!("{id} stored"))
}

pub(super) fn quit(hostname: &str) -> Reply {
    yes(221, 0, 0, &format!("{hostname} closes the connection"))
}

/// RFC 5321 §3.5.3: said for every name, so that nobody learns which mailboxes there are (§7.3).
pub(super) fn vrfy() -> Reply {
    yes(252, 1, 5, "not told; send your letter and see")
}

pub(super) fn help() -> Reply {
    Reply::new(214, Status::success(0, 0), "")
        .with_lines(["this is Posthouse; the commands are those of RFC 5321", "see also EHLO"])
}

pub(super) fn starttls_ready() -> Reply {
    yes(220, 0, 0, "begin the TLS handshake")
}

pub(super) fn login_ok() -> Reply {
    yes(235, 7, 0, "welcome")
}

pub(super) fn login_failed() -> Reply {
    no(535, 7, 8, "wrong login or password")
}

pub(super) fn login_cancelled() -> Reply {
    no(501, 7, 0, "login cancelled")
}

pub(super) fn login_malformed() -> Reply {
    no(501, 5, 2, "this does not follow the mechanism")
}

pub(super) fn login_base64() -> Reply {
    no(501, 5, 2, "this is not base64")
}

pub(super) fn mechanism_unknown() -> Reply {
    no(504, 5, 4, "this mechanism is not offered")
}

/// RFC 4954 §6 has the code, RFC 5248 the status.
pub(super) fn login_needs_tls() -> Reply {
    no(538, 7, 11, "encryption first: STARTTLS")
}

pub(super) fn already_logged_in() -> Reply {
    no(503, 5, 1, "you are logged in already")
}

pub(super) fn too_many_logins() -> Reply {
    later(421, 7, 0, "too many failed logins")
}

pub(super) fn unknown_command() -> Reply {
    no(500, 5, 1, "unknown command")
}

pub(super) fn not_implemented() -> Reply {
    no(502, 5, 1, "this command is not provided here")
}

pub(super) fn other_protocol() -> Reply {
    no(500, 5, 1, "this is SMTP, not HTTP")
}

pub(super) fn not_text() -> Reply {
    no(500, 5, 2, "a command is text in UTF-8")
}

pub(super) fn no_arguments() -> Reply {
    no(501, 5, 4, "this command takes no arguments")
}

pub(super) fn arguments(error: &ArgumentError, address_status: Status) -> Reply {
    match error {
        ArgumentError::Form(_) | ArgumentError::Parameter(_) => no(501, 5, 4, &error.to_string()),
        ArgumentError::Path(PathError::Brackets | PathError::Behind) => no(501, 5, 2, &error.to_string()),
        ArgumentError::Path(_) => Reply::new(501, address_status, &error.to_string()),
        ArgumentError::UnknownParameter(_) => no(555, 5, 4, &error.to_string()),
        ArgumentError::NeedsSmtpUtf8 => no(553, 6, 7, &error.to_string()),
    }
}

pub(super) fn extension_not_offered() -> Reply {
    no(555, 5, 4, "parameters need EHLO")
}

pub(super) fn hello_first() -> Reply {
    no(503, 5, 1, "introduce yourself first")
}

pub(super) fn mail_first() -> Reply {
    no(503, 5, 1, "MAIL first")
}

pub(super) fn nested_mail() -> Reply {
    no(503, 5, 1, "a letter is begun already")
}

pub(super) fn in_transaction() -> Reply {
    no(503, 5, 1, "not while a letter is begun")
}

pub(super) fn in_chunks() -> Reply {
    no(503, 5, 1, "the letter comes by BDAT")
}

/// RFC 5321 §3.3 gives 554 and 503; RFC 2033 §4.2 wants 503 for LMTP.
pub(super) fn no_recipients(lmtp: bool) -> Reply {
    no(if lmtp { 503 } else { 554 }, 5, 1, "no valid recipients")
}

pub(super) fn binary_needs_bdat() -> Reply {
    no(503, 5, 1, "BINARYMIME travels by BDAT")
}

pub(super) fn already_tls() -> Reply {
    no(503, 5, 1, "this connection is encrypted already")
}

pub(super) fn too_many_recipients() -> Reply {
    later(452, 5, 3, "too many recipients, send to the others in another letter")
}

pub(super) fn too_many_letters() -> Reply {
    later(421, 5, 3, "too many letters, send the others over another connection")
}

pub(super) fn too_many_refused_recipients() -> Reply {
    later(421, 7, 0, "too many refused recipients")
}

pub(super) fn too_many_errors() -> Reply {
    later(421, 7, 0, "too many errors")
}

pub(super) fn too_many_idle_commands() -> Reply {
    later(421, 7, 0, "too many commands without a letter")
}

pub(super) fn too_large(bytes_max: u64) -> Reply {
    no(552, 3, 4, &format!("a letter may have {bytes_max} octets"))
}

pub(super) fn held_too_long(limit: &FutureRelease) -> Reply {
    let FutureRelease { seconds_max, until_max } = limit;
    no(501, 5, 4, &format!("a letter is held for {seconds_max} seconds at most, until {}", until_max.to_rfc3339_seconds()))
}

/// RFC 2852 §4: any permanent refusal of the parameter.
pub(super) fn too_soon(seconds_min: u32) -> Reply {
    no(555, 5, 4, &format!("BY with R needs {seconds_min} seconds at least"))
}

pub(super) fn line(error: LineError) -> Reply {
    no(500, 5, 2, &error.to_string())
}

pub(super) fn letter_line(error: LineError) -> Reply {
    no(554, 6, 0, &format!("the letter has {error}"))
}

pub(super) fn timeout() -> Reply {
    later(421, 4, 2, "you are too slow")
}

pub(super) fn internal() -> Reply {
    later(451, 3, 0, "something is wrong here, try again later")
}

pub(super) fn shutdown() -> Reply {
    later(421, 3, 2, "the server stops, come back later")
}
