//! Commands that change nothing: NOOP, VRFY, HELP, those we do not have, and those of HTTP.

use posthouse_mail::Status;

use super::Turn;
use crate::server::core::Core;
use crate::server::question::{CloseReason, Stage};
use crate::server::replies;
use crate::server::state::{Open, State};
use crate::syntax::ArgumentError;

/// RFC 5321 §4.1.1.9: an argument is ignored.
pub(super) fn noop(open: Open, core: &mut Core, _: &str) -> Turn {
    core.say(&replies::ok());
    Turn::Go(State::Open(open))
}

/// RFC 5321 §4.1.1.6.
pub(super) fn vrfy(open: Open, core: &mut Core, arguments: &str) -> Turn {
    let what = arguments.strip_suffix(" SMTPUTF8").unwrap_or(arguments);
    if what.is_empty() {
        let error = ArgumentError::Form("the form is VRFY name");
        return Turn::Go(core.bad(open, Stage::Command, replies::arguments(&error, Status::permanent(1, 3))));
    }
    // RFC 6531 §3.7.4.2.
    if !what.is_ascii() && what.len() == arguments.len() {
        return Turn::Go(core.bad(
            open,
            Stage::Command,
            replies::arguments(&ArgumentError::NeedsSmtpUtf8, Status::permanent(1, 3)),
        ));
    }
    core.say(&replies::vrfy());
    Turn::Go(State::Open(open))
}

/// RFC 5321 §4.1.1.8.
pub(super) fn help(open: Open, core: &mut Core, _: &str) -> Turn {
    core.say(&replies::help());
    Turn::Go(State::Open(open))
}

/// Known, and not for here.
pub(super) fn not_implemented(open: Open, core: &mut Core, _: &str) -> Turn {
    Turn::Go(core.bad(open, Stage::Command, replies::not_implemented()))
}

/// The methods of HTTP.
pub(super) fn http(_: Open, core: &mut Core, _: &str) -> Turn {
    Turn::Go(core.end(Stage::Command, replies::other_protocol(), CloseReason::OtherProtocol))
}
