//! From octets to a command, and to a line within a login.

use bytes::{Bytes, BytesMut};
use posthouse_mail::Status;

use super::core::Core;
use super::question::{CloseReason, Output, Stage};
use super::replies;
use super::state::{Ended, Login, Open, State};
use super::verb::{self, Turn};
use super::verdict::{Reason, Verdict};
use crate::syntax::{LineError, LineScanner, split_command};

/// The octets of a command line. RFC 5321 §4.5.3.1.4 says 512; SIZE, BODY, SMTPUTF8, RET, ENVID, AUTH, MT-PRIORITY, HOLDUNTIL, BY, NOTIFY and ORCPT
/// each ask for more (the most: 500 for ORCPT and 500 for AUTH, RFC 3461 §4.2 and RFC 4954 §3), and an address in UTF-8 is up to four times as long.
const COMMAND_BYTES_MAX: usize = 2048;
/// The octets of AUTH and of a line within a login (RFC 4954 §4).
const AUTH_BYTES_MAX: usize = 12_288;

/// What one step of the session came to.
pub(super) enum Step {
    /// Something changed; go on.
    Again,
    /// This is to be put out.
    Out(Output),
    /// Nothing can be done before the peer or the clock moves.
    Idle,
}

/// What a state made of the input.
pub(super) enum Next {
    /// A command, or the end of a letter.
    Turn(Turn),
    /// A piece of the letter.
    Body(State, Bytes),
    /// More input is needed.
    Wait(State),
}

/// Reads one command.
pub(super) fn next(open: Open, core: &mut Core, input: &mut BytesMut, scanner: &mut LineScanner) -> Next {
    if core.stopping && matches!(open, Open::Start(_) | Open::Ready(_)) {
        core.say(&replies::shutdown());
        return Next::Turn(Turn::Go(State::Ended(Ended { why: CloseReason::Shutdown })));
    }
    let is_auth = input.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
    let line = match scanner.next_line(input, if is_auth { AUTH_BYTES_MAX } else { COMMAND_BYTES_MAX }) {
        Ok(Some(line)) => line,
        Ok(None) => return Next::Wait(State::Open(open)),
        Err(error) => return Next::Turn(broken(core, Stage::Command, error)),
    };
    Next::Turn(match str::from_utf8(&line) {
        Ok(line) => {
            let (verb, arguments) = split_command(line);
            verb::dispatch(open, core, verb, arguments)
        }
        Err(_) => Turn::Go(core.bad(open, Stage::Command, replies::not_text())),
    })
}

/// Reads one line within a login.
pub(super) fn next_in_login(login: Login, core: &mut Core, input: &mut BytesMut, scanner: &mut LineScanner) -> Next {
    match scanner.next_line(input, AUTH_BYTES_MAX) {
        Ok(Some(line)) => {
            // What is not UTF-8 is not base64 either, and is refused as such.
            Next::Turn(verb::auth_line(login, core, &String::from_utf8_lossy(&line)))
        }
        Ok(None) => Next::Wait(State::Login(login)),
        Err(error) => Next::Turn(broken(core, Stage::Auth, error)),
    }
}

/// An answer that does not fit its question: a fault of ours.
pub(super) fn misfit() -> Verdict {
    Verdict::Defer(Reason::new(451, Status::temporary(3, 0), "something is wrong here, try again later"))
}

/// After a wrong line end nobody can tell what is a command: it is said, and the connection ends.
fn broken(core: &mut Core, stage: Stage, error: LineError) -> Turn {
    Turn::Go(core.end(stage, replies::line(error), CloseReason::Malformed))
}
