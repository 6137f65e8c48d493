//! QUIT (RFC 5321 §4.1.1.10).

use super::Turn;
use crate::server::core::Core;
use crate::server::question::{CloseReason, Stage};
use crate::server::replies;
use crate::server::state::{Ended, Open, State};

pub(super) fn handle(open: Open, core: &mut Core, arguments: &str) -> Turn {
    if !arguments.is_empty() {
        return Turn::Go(core.bad(open, Stage::Command, replies::no_arguments()));
    }
    let reply = replies::quit(&core.profile.hostname);
    core.say(&reply);
    Turn::Go(State::Ended(Ended { why: CloseReason::Quit }))
}
